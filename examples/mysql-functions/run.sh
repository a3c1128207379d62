#!/usr/bin/env bash
# examples/mysql-functions/run.sh [BUILD]: MySQL's functions from the shell, Python, PHP and Node.
#
# BUILD (default: build) has extension/libmarmot.so. A host whose runtime is not there is skipped, with a word. better-sqlite3 is
# looked for where Node finds it, and in $MARMOT_NODE_MODULES.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd) || { echo "run.sh: no build in ${1:-build}: meson setup build && ninja -C build" >&2; exit 2; }
export LIBMARMOT=$build/extension/libmarmot.so
passed=0 failed=0 skipped=0

# host NAME COMMAND...: runs it and compares.
host() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1) && [ "$said" = "$(cat "$here/expected.txt")" ]; then
    echo "passed   $name"
    passed=$((passed + 1))
  else
    echo "failed   $name: $said"
    failed=$((failed + 1))
  fi
}
skip() {
  echo "skipped  $1: $2"
  skipped=$((skipped + 1))
}

# Where it is not installed, .load finds it by the loader's path.
host shell env LD_LIBRARY_PATH="$build/extension" bash -c "sqlite3 -batch -init /dev/null :memory: <'$here/functions.sql'"
host python /usr/bin/python3 "$here/functions.py"
if command -v php >/dev/null && grep -qi sqlite3 < <(php -m); then  # not a pipe: grep ends before php has said all
  host php php -d sqlite3.extension_dir="$build/extension" "$here/functions.php"
else
  skip php "php-cli and php-sqlite3 are not there"
fi
modules=$(realpath -m "${MARMOT_NODE_MODULES:-$here/node_modules}")
if command -v node >/dev/null && [ -d "$modules/better-sqlite3" ]; then
  # A module's imports are looked for beside it.
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  cp "$here/functions.mjs" "$copy/" && ln -s "$modules" "$copy/node_modules"
  host node node "$copy/functions.mjs"
else
  skip node "better-sqlite3 is not there: npm install better-sqlite3"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
