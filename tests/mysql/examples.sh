#!/usr/bin/env bash
# tests/mysql/examples.sh BUILD WORK: examples/mysql-functions, with better-sqlite3 installed into WORK where npm is there.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$1 work=$2
if command -v npm >/dev/null && [ ! -d "$work/node_modules/better-sqlite3" ]; then
  mkdir -p "$work"
  (cd "$work" && npm init -y >/dev/null && npm install --silent --no-audit --no-fund better-sqlite3@12.11.1) ||
    echo "better-sqlite3 could not be installed"
fi
MARMOT_NODE_MODULES=$work/node_modules exec "$root/examples/mysql-functions/run.sh" "$build"
