#!/usr/bin/env bash
# tests/bench/run.sh [--build DIR] [--smoke] [--json FILE]: see run.py. Without --build it makes a release build first.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
case " $* " in
  *" --build "*) ;;
  *)
    "$root/tests/packages.sh" build runtime test
    build=$root/build-bench
    [ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dbuildtype=release >/dev/null
    ninja -C "$build" agent/marmot tests/bench/engine_bench >/dev/null
    set -- --build "$build" "$@" ;;
esac
exec /usr/bin/python3 -B "$root/tests/bench/run.py" "$@"
