# What the examples share; sourced, after `root`. Sets `marmot`, the program: built here, or in MARMOT_BUILD.

PATH=$PATH:/usr/sbin:/usr/local/sbin  # where Debian keeps nats-server

# show_steps: of what ninja prints, how far it is: one line that changes on a terminal, else a line a quarter.
show_steps() {
  local line done total quarter=1
  while IFS= read -r line; do
    [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
    done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
    if [ -t 1 ]; then
      printf '\r  %d of %d steps ' "$done" "$total"
    elif [ $((done * 4)) -ge $((total * quarter)) ]; then
      printf '  %d of %d steps\n' "$done" "$total"
      quarter=$((done * 4 / total + 1))
    fi
  done
  if [ -t 1 ]; then printf '\r%30s\r' ''; fi
}

# provide_marmot LOG: installs the Debian packages that are missing (it says which) and builds into build-quickstart/.
provide_marmot() {
  local log=$1 started=$SECONDS build
  "$root/tests/packages.sh" build runtime
  if [ -n "${MARMOT_BUILD:-}" ]; then
    build=$MARMOT_BUILD
  else
    build=$root/build-quickstart
    if [ ! -x "$build/agent/marmot" ]; then
      echo "Building Marmot into build-quickstart/: two to three minutes on two cores, the first time only."
    fi
    {
      # unity: several files at once, which takes a third of the time where everything is compiled anyway.
      [ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dtests=false --buildtype=release --unity=on --unity-size=8
      ninja -C "$build"
    } 2>&1 | tee "$log" | show_steps || { tail -n 30 "$log" >&2; return 1; }
    [ $((SECONDS - started)) -lt 3 ] || echo "Built in $((SECONDS - started)) s."
  fi
  marmot=$build/agent/marmot
}

# until_printed PID FILE PATTERN: waits until the program has printed it; false when the program ends first, or after 15 s.
until_printed() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    grep -q -- "$3" "$2" 2>/dev/null && return
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.05
  done
  return 1
}
