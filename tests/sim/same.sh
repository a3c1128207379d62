#!/usr/bin/env bash
# tests/sim/same.sh BUILD OTHER_BUILD SEEDS: the simulator does the same, event for event, in both builds, and passes in both.
set -euo pipefail
digests() { "$1"/tests/sim/run --seeds "$2" --digests; }
one=$(digests "$1" "$3") || { echo "$one"; exit 1; }
other=$(digests "$2" "$3") || { echo "$other"; exit 1; }
if ! diff <(grep -E '^[0-9]+ [0-9a-f]{16}$' <<<"$one") <(grep -E '^[0-9]+ [0-9a-f]{16}$' <<<"$other"); then
  echo "seeds (above) that do not do the same in $1 and in $2"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi
[ "$(grep -cE '^[0-9]+ [0-9a-f]{16}$' <<<"$one")" = "$3" ]
echo "$3 seeds do the same in both builds"
echo "1 passed, 0 failed, 0 skipped"
