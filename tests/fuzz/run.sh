#!/usr/bin/env bash
# Runs every fuzz target for SECONDS, two at a time, one line a target; exits 1 when one crashes.
#
#   tests/fuzz/run.sh SECONDS [BUILD_DIR]
#
# BUILD_DIR (default build-fuzz) is a clang build with -Dfuzz=true. The corpus is kept from run to run in
# $MARMOT_FUZZ_CORPUS (default BUILD_DIR/fuzz-corpus); an input that crashes is left beside it, under crashes/.
set -u

seconds=${1:?usage: run.sh SECONDS [BUILD_DIR]}
build=${2:-build-fuzz}
corpus=${MARMOT_FUZZ_CORPUS:-$build/fuzz-corpus}
bin=$build/tests/fuzz
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT

"$bin/fuzz_seeds" "$seeds" || exit 1
mkdir -p "$corpus/crashes"

# One target: its line goes to stdout, and on a crash the end of its log.
run_target() {
  local name=$1 log=$seeds/$1.log
  mkdir -p "$corpus/$name" "$seeds/$name"  # some have no seeds
  if "$bin/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
      -artifact_prefix="$corpus/crashes/$name-" "$corpus/$name" "$seeds/$name" > "$log" 2>&1; then
    echo "fuzz $name: ok, $(awk '/number_of_executed_units/ {print $2}' "$log") runs, $(ls "$corpus/$name" | wc -l) inputs kept"
    return 0
  fi
  echo "fuzz $name: FAILED, $(grep -m1 -E 'ERROR|does not hold|runtime error' "$log"), input in $(ls -t "$corpus/crashes/$name-"* 2> /dev/null | head -1)"
  tail -40 "$log" >&2
  return 1
}

failed=0 passed=0
running=()
# Waits for the target that has run longest.
reap() {
  if wait "${running[0]}"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  running=("${running[@]:1}")
}
for target in "$bin"/fuzz_*; do
  name=$(basename "$target")
  name=${name#fuzz_}
  [[ -f $target && -x $target && $name != seeds ]] || continue
  if ((${#running[@]} == 2)); then reap; fi
  run_target "$name" &
  running+=($!)
done
((${#running[@]} > 0)) || { echo "no fuzz targets in $bin" >&2; exit 1; }
while ((${#running[@]} > 0)); do reap; done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
