#!/usr/bin/env bash
# Everything that is tested: ./tests/run.sh [--long] [STAGE...]
#
# Installs what the tests need, builds three times (gcc -O2; clang with address and undefined sanitizers and the fuzz
# targets; gcc with the thread sanitizer), and runs every suite. 30 to 45 minutes on two cores; --long adds what takes
# hours: more fuzzing, ten-minute loads, a million rows. It ends with one line,
#
#   N passed, M failed, K skipped
#
# and with 0 only if something ran and nothing failed. Builds are kept in build-tests/, logs in build-tests/logs/.
# STAGE names run only those (see --list); the builds they need come along.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=${MARMOT_TEST_DIR:-$root/build-tests}
logs=$work/logs
gcc_build=$work/gcc asan_build=$work/clang-asan tsan_build=$work/gcc-tsan
data=${MARMOT_TEST_DATA:-$root/../shared/data}
all_stages=(gcc unit sim mutations mysql cluster orm apps readme quickstart bench asan unit-asan sim-asan fuzz cluster-asan tsan agent-tsan)

# among WORD LIST...: it is in the list.
among() {
  local word=$1 other
  shift
  for other; do [ "$other" != "$word" ] || return 0; done
  return 1
}

long=no
stages=()
for argument in "$@"; do
  case "$argument" in
    --long) long=yes ;;
    --list) printf '%s\n' "${all_stages[@]}"; exit 0 ;;
    --help|-h) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "run.sh: no option '$argument' (there are --long, --list, --help)" >&2; exit 2 ;;
    *)
      if ! among "$argument" "${all_stages[@]}"; then
        echo "run.sh: no stage '$argument'; there are: ${all_stages[*]}" >&2
        exit 2
      fi
      stages+=("$argument") ;;
  esac
done
if [ "${MARMOT_DRY_RUN:-}" = 1 ]; then  # how the README test executes the line that runs itself
  echo "would run: ${all_stages[*]}"
  echo "0 passed, 0 failed, 0 skipped"
  exit 0
fi

passed=0 failed=0 skipped=0
failures=()
clock() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }
wanted() { [ ${#stages[@]} = 0 ] || among "$1" "${stages[@]}"; }
needed() { local s; for s in "$@"; do wanted "$s" && return; done; return 1; }

# add NAME CODE PASSED FAILED SKIPPED: the result of one suite.
add() {
  passed=$((passed + $3)) failed=$((failed + $4)) skipped=$((skipped + $5))
  printf '         %s: %d passed, %d failed, %d skipped\n' "$1" "$3" "$4" "$5"
  if [ "$4$5" != 00 ]; then
    # Once more at the end: of a long output one may be shown the last lines only.
    {
      echo "--- $1"
      grep -a -E -A 8 '^(failed|skipped) |FAILED|not ok|^TEST CASE:|: error:' "$logs/$1.log" | cut -c1-400 | head -n 40
    } >>"$logs/failed"
  fi
  if [ "$4" != 0 ]; then
    failures+=("$1")
    echo "--- the end of $logs/$1.log (ended with $2)"
    tail -n 60 "$logs/$1.log"
    echo "---"
  fi
}

# took NAME SECONDS: for the table at the end.
took() { printf '%5d s  %s\n' "$2" "$1" >>"$logs/times"; }

# run_suite NAME SECONDS COMMAND...: runs it; count_suite counts by the closing line of its output. Apart, so that several can run
# side by side: what neither measures time nor minds when others do.
run_suite() {
  local name=$1 seconds=$2 code=0 from=$SECONDS
  shift 2
  printf '[%6s] %s\n' "$(clock)" "$name"
  timeout --kill-after=30 "$seconds" "$@" >"$logs/$name.log" 2>&1 </dev/null || code=$?
  [ "$code" != 124 ] || echo "not done within $seconds s" >>"$logs/$name.log"
  echo "$code" >"$logs/$name.code"
  took "$name" $((SECONDS - from))
}
count_suite() {
  local name=$1 code counts
  code=$(cat "$logs/$name.code" 2>/dev/null || echo 1)
  rm -f "$logs/$name.code"
  read -r -a counts < <(/usr/bin/python3 -B "$root/tests/count.py" log "$logs/$name.log" "$code")
  add "$name" "$code" "${counts[@]}"
  grep -E '^(failed|skipped) |^ {17}\S' "$logs/$name.log" || true
}
suite() {
  run_suite "$@"
  count_suite "$1"
}

# meson_suite NAME SECONDS BUILD ARGUMENTS...: counts the tests' own cases.
meson_suite() {
  local name=$1 seconds=$2 build=$3 code=0 counts from=$SECONDS
  shift 3
  printf '[%6s] %s\n' "$(clock)" "$name"
  rm -f "$build"/meson-logs/testlog*
  timeout --kill-after=30 "$seconds" meson test -C "$build" --no-rebuild --print-errorlogs --num-processes 2 "$@" \
    >"$logs/$name.log" 2>&1 </dev/null || code=$?
  read -r -a counts < <(/usr/bin/python3 -B "$root/tests/count.py" meson "$build/meson-logs/testlog.json")
  [ "$code" = 0 ] || [ "${counts[1]}" != 0 ] || counts[1]=1
  took "$name" $((SECONDS - from))
  add "$name" "$code" "${counts[@]}"
}

# compile NAME DIR TARGETS -- MESON OPTIONS...: configures once, then compiles; count_build says how it went.
compile() {
  local name=$1 dir=$2 targets=$3 code=0 from=$SECONDS
  shift 4
  printf '[%6s] %s\n' "$(clock)" "$name"
  {
    if [ -f "$dir/build.ninja" ]; then
      meson configure "$dir" "$@"
    else
      meson setup "$dir" "$root" -Dwerror=true "$@"
    fi || code=$?
    if [ "$code" = 0 ]; then
      # shellcheck disable=SC2086  # several targets
      ninja -C "$dir" $targets &
      wait $! || code=$?
    fi
  } >"$logs/$name.log" 2>&1 </dev/null
  echo "$code" >"$logs/$name.code"
  took "$name" $((SECONDS - from))
}
# A build that fails is one failure.
count_build() {
  local name=$1 code
  code=$(cat "$logs/$name.code" 2>/dev/null || echo 1)
  rm -f "$logs/$name.code"
  if [ "$code" != 0 ]; then
    add "$name" "$code" 0 1 0
    return 1
  fi
  printf '         %s: built without a warning\n' "$name"
}
build_gcc() { CXX=$gxx compile gcc "$gcc_build" "" -- -Dbuildtype=debugoptimized; }
build_asan() {
  CXX=$clangxx compile asan "$asan_build" "" -- -Dbuildtype=plain -Doptimization=1 \
    -Dcpp_args="-gline-tables-only -fno-omit-frame-pointer -fno-sanitize-recover=all" -Db_sanitize=address,undefined \
    -Db_lundef=false -Dfuzz=true
}
build_tsan() {
  CXX=$gxx compile tsan "$tsan_build" "agent/marmot tests/agent/agent_tests tests/agent/check_test" -- -Dbuildtype=plain -Doptimization=1 \
    -Dcpp_args="-g1 -Wno-tsan" -Db_sanitize=thread -Db_lundef=false
}

mkdir -p "$logs"
rm -f "$logs"/times "$logs"/failed "$logs"/*.code
cd "$root" || exit 1
PATH=$PATH:/usr/sbin:/usr/local/sbin  # where Debian keeps nats-server
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:abort_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
export MARMOT_TEST_DATA=$data
# A clone in another folder finds what was compiled before (ccache's manual, "Compiling in different directories").
export CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros
gxx="${MARMOT_GXX:-g++}" clangxx="${MARMOT_CLANGXX:-clang++-14}"
fuzz_seconds=30 cluster_limit=1500 apps_limit=600 seeds=1000 sim_limit=900 long_flag=()
if [ "$long" = yes ]; then
  fuzz_seconds=600 cluster_limit=7200 apps_limit=3600 seeds=100000 sim_limit=36000 long_flag=(--long)
fi

if ! "$root/tests/packages.sh" build runtime test; then
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi
if command -v ccache >/dev/null; then gxx="ccache $gxx" clangxx="ccache $clangxx"; fi

# ---- build 1: gcc -O2; the sanitizers' builds go on beside what follows, with what it leaves of the processors

with_asan=no with_tsan=no builder=
if needed asan unit-asan sim-asan fuzz cluster-asan; then with_asan=yes; fi
if needed tsan agent-tsan; then with_tsan=yes; fi
build_sanitizers() {
  chrt --idle --pid 0 "$BASHPID" >/dev/null 2>&1 || true
  trap 'kill $(jobs -pr) 2>/dev/null; exit 1' TERM
  [ "$with_asan" = no ] || build_asan
  [ "$with_tsan" = no ] || build_tsan
}
# awaited NAME: its build has ended.
awaited() {
  while [ ! -e "$logs/$1.code" ] && kill -0 "$builder" 2>/dev/null; do sleep 1; done
  count_build "$1"
}
trap 'kill $(jobs -pr) 2>/dev/null' EXIT  # whatever is still under way when this is interrupted

if needed gcc unit sim mutations mysql sim-asan cluster orm apps readme quickstart bench &&
   build_gcc && count_build gcc; then
  if wanted unit; then meson_suite unit 600 "$gcc_build"; fi
  # Two lanes of one core each.
  {
    if wanted sim; then run_suite sim "$sim_limit" "$gcc_build"/tests/sim/run --seeds "$seeds" --keep-going; fi
  } &
  {
    if wanted mutations; then run_suite mutations 900 "$gcc_build"/tests/sim/run_mutated --mutations; fi
    if wanted mysql; then
      run_suite mysql-oracle 300 /usr/bin/python3 -B tests/mysql/oracle/run.py "$gcc_build"/extension/libmarmotmysql.so
      run_suite mysql-mtr 300 /usr/bin/python3 -B tests/mysql/mtr/run.py "$gcc_build"/extension/libmarmotmysql.so
      # shellcheck disable=SC2046  # several versions
      run_suite mysql-matrix 900 /usr/bin/python3 -B tests/mysql/matrix/run.py "$gcc_build"/extension "$work"/sqlite $([ "$long" = yes ] || echo 3.40 3.53)
      run_suite mysql-examples 600 tests/mysql/examples.sh "$gcc_build" "$work"/node
    fi
  } &
  wait
  if wanted sim; then count_suite sim; fi
  if wanted mutations; then count_suite mutations; fi
  if wanted mysql; then for name in mysql-oracle mysql-mtr mysql-matrix mysql-examples; do count_suite "$name"; done; fi
  build_sanitizers &
  builder=$!
  if wanted cluster; then suite cluster "$cluster_limit" tests/cluster/run.py --jobs 2 --build "$gcc_build" "${long_flag[@]}"; fi
  if wanted orm; then suite orm 400 tests/orm/run.py --build "$gcc_build"; fi
  if wanted apps; then suite apps "$apps_limit" env MARMOT_TEST_DIR="$work" tests/apps/run.py --build "$gcc_build" "${long_flag[@]}"; fi
  if wanted readme; then suite readme 900 tests/readme/run.py --build "$gcc_build" $([ "$long" = yes ] && echo --source-build); fi
  if wanted quickstart; then
    suite quickstart 120 env CI=true MARMOT_BUILD="$gcc_build" examples/quickstart.sh
    suite quickstart-again 120 env CI=true MARMOT_BUILD="$gcc_build" bash -c 'cd / && exec "$0"' "$root/examples/quickstart.sh"
  fi
  if wanted bench && [ -x tests/bench/run.sh ]; then
    suite bench-smoke 300 tests/bench/run.sh --build "$gcc_build" --smoke
    suite bench-catch-up 120 /usr/bin/python3 -B tests/bench/catch_up.py --build "$gcc_build" --smoke
    suite bench-functions 60 /usr/bin/python3 -B tests/bench/functions.py "$gcc_build"/extension/libmarmot.so --smoke
  fi
fi

# ---- build 2: clang with sanitizers and fuzzers

if [ -z "$builder" ]; then
  build_sanitizers &
  builder=$!
fi
if [ "$with_asan" = yes ] && awaited asan; then
  if wanted unit-asan; then meson_suite unit-asan 900 "$asan_build"; fi
  if wanted sim-asan; then suite sim-asan 600 tests/sim/same.sh "$gcc_build" "$asan_build" 40; fi
  if wanted fuzz && [ -x tests/fuzz/run.sh ]; then
    suite fuzz $((fuzz_seconds * 10 + 300)) tests/fuzz/run.sh "$fuzz_seconds" "$asan_build"
  fi
  if wanted cluster-asan; then
    suite cluster-asan "$cluster_limit" tests/cluster/run.py --jobs 2 --build "$asan_build" --short
  fi
fi

# ---- build 3: gcc with the thread sanitizer: the agent and its tests

if [ "$with_tsan" = yes ] && awaited tsan; then
  if wanted agent-tsan; then meson_suite agent-tsan 600 "$tsan_build" --suite agent; fi
fi

# ---- the count

if [ "$skipped" -gt 0 ] && [ -e "$data/chinook.db" ]; then
  echo "$skipped tests were skipped although $data is there: that is a failure."
  failed=$((failed + 1))
fi
if [ $((passed + failed)) = 0 ]; then
  echo "nothing ran"
  failed=1
fi
[ ${#failures[@]} = 0 ] || echo "failed: ${failures[*]} (logs in $logs)"
cat "$logs/failed" 2>/dev/null
echo "where the time went (some side by side):"
sort -rn "$logs/times" 2>/dev/null
printf '[%6s] done\n' "$(clock)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
