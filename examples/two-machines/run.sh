#!/usr/bin/env bash
# Two machines, one network cable: sudo ./examples/two-machines/run.sh
#
# The machines are two network namespaces of this one, db1 and db2, with a cable (a veth pair) between them. Each has its own
# app.db. What db1's agent prints is typed on db2; the cable is pulled while both write, and put back. Ends with 77 where network
# namespaces cannot be made (it needs root).
#
#   MARMOT_BUILD=DIR     use what is built in DIR instead of building
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/examples/common.sh"
here=$(mktemp -d "${TMPDIR:-/tmp}/marmot-two-machines.XXXXXX")
one=marmot-$$-db1 two=marmot-$$-db2  # as `ip netns list` shows them
agents=()

finish() {
  local code=$? pid
  trap - EXIT INT TERM
  if [ "$code" != 0 ] && [ "$code" != 77 ]; then
    echo "run.sh: stopped with an error; what the agents said last:" >&2
    tail -n 5 "$here"/db?/log >&2 2>/dev/null || true
  fi
  for pid in "${agents[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  wait
  ip netns delete "$one" 2>/dev/null || true
  ip netns delete "$two" 2>/dev/null || true
  rm -rf "$here"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

skip() { echo "skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "network namespaces need root: sudo $0"
command -v ip >/dev/null || skip "there is no ip command: apt-get install iproute2"
ip netns add "$one" 2>"$here/why.txt" || skip "no network namespace can be made here: $(cat "$here/why.txt")"
ip netns add "$two"
ip -n "$one" link add eth0 type veth peer name eth0 netns "$two" 2>"$here/why.txt" || skip "no cable can be made here: $(cat "$here/why.txt")"
for number in 1 2; do
  namespace=marmot-$$-db$number
  ip -n "$namespace" link set lo up
  ip -n "$namespace" address add "10.78.0.$number/24" dev eth0
  ip -n "$namespace" link set eth0 up
  mkdir "$here/db$number"
done

# on MACHINE COMMAND...: runs it there, in that machine's folder.
on() { local machine=$1; shift; (cd "$here/$machine" && ip netns exec "marmot-$$-$machine" "$@"); }
shown() { printf '%s$ %s\n' "$1" "$2"; }
# start MACHINE OPTIONS...: its agent, until that is ready.
start() {
  local machine=$1; shift
  shown "$machine" "marmot agent app.db $* &"
  (cd "$here/$machine" && exec ip netns exec "marmot-$$-$machine" "$marmot" agent app.db "$@" >out 2>log </dev/null) &
  agents+=("$!")
  until_printed "$!" "$here/$machine/out" 'to join from'
}
# sql MACHINE SQL: shows and runs it.
sql() { shown "$1" "sqlite3 app.db \"$2\""; on "$1" sqlite3 -cmd '.timeout 5000' app.db "$2"; }
# until_true MACHINE SQL: until the SQL gives 1.
until_true() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    [ "$(on "$1" sqlite3 -cmd '.timeout 5000' app.db "$2" 2>/dev/null)" != 1 ] || return 0
    sleep 0.1
  done
  echo "run.sh: not within 30 s on $1: $2" >&2
  return 1
}
cable() { ip -n "$one" link set eth0 "$1"; echo "-- the cable is $2"; }

provide_marmot "$here/build.txt"
sql db1 "CREATE TABLE note(id TEXT PRIMARY KEY DEFAULT (hex(randomblob(8))), body TEXT)"
start db1 --listen 0.0.0.0
grep 'to join' "$here/db1/out"
# What was printed, typed on the other machine.
join=$(sed -n 's/^to join from another machine: marmot agent app.db //p' "$here/db1/out")
# shellcheck disable=SC2086  # several words
start db2 $join
sql db1 "INSERT INTO note(body) VALUES('from db1')"
until_true db2 "SELECT count(*) = 1 FROM note"
sql db2 "SELECT body FROM note"
cable down "pulled"
sql db1 "INSERT INTO note(body) VALUES('db1, alone')"
sql db2 "INSERT INTO note(body) VALUES('db2, alone')"
cable up "back"
until_true db1 "SELECT count(*) = 3 FROM note"
until_true db2 "SELECT count(*) = 3 FROM note"
shown db2 "marmot verify app.db"
on db2 "$marmot" wait app.db --level all >/dev/null
on db2 "$marmot" verify app.db
