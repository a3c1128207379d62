# What the examples share; sourced, after `root`. Sets `marmot`, the program: built here, or in MARMOT_BUILD.

PATH=$PATH:/usr/sbin:/usr/local/sbin  # where Debian keeps nats-server

# provide_marmot LOG: installs the Debian packages that are missing (it says which) and builds into build-quickstart/.
provide_marmot() {
  local log=$1 started=$SECONDS build
  "$root/tests/packages.sh" build runtime
  if [ -n "${MARMOT_BUILD:-}" ]; then
    build=$MARMOT_BUILD
  else
    build=$root/build-quickstart
    if [ ! -x "$build/agent/marmot" ]; then
      echo "Building Marmot into build-quickstart/: two to four minutes on two cores, the first time only."
    fi
    {
      [ -f "$build/build.ninja" ] || meson setup "$build" "$root" -Dtests=false --buildtype=release
      ninja -C "$build"
    } >"$log" 2>&1 || { tail -n 30 "$log" >&2; return 1; }
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
