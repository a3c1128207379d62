#!/usr/bin/env bash
# Two nodes on this machine, as Marmot v1's README had them: ./examples/run-cluster.sh
#
# /tmp/marmot-1.db and /tmp/marmot-2.db hold a table Books. Write one of them with the sqlite3 shell, read the other. Ctrl-C
# stops the two agents; the files stay, and the next run goes on with them.
#
#   MARMOT_EXAMPLE_DIR=DIR   put the files there instead of /tmp
#   MARMOT_BUILD=DIR         use what is built in DIR instead of building
set -euo pipefail

case "${1:-}" in
  '') ;;
  --help|-h) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "run-cluster.sh: no option '$1' (there is --help)" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
where=${MARMOT_EXAMPLE_DIR:-/tmp}
one=$where/marmot-1.db two=$where/marmot-2.db
. "$root/examples/common.sh"
agents=()

finish() {
  local code=$?
  trap - EXIT INT TERM
  [ ${#agents[@]} = 0 ] || kill -TERM "${agents[@]}" 2>/dev/null || true
  wait
  exit "$code"
}
trap finish EXIT
trap 'echo; echo "Stopped. The files stay: rm -r $where/marmot-[12].db*"; exit 0' INT TERM

# start_agent DB OPTIONS...: in the background, until it is ready.
start_agent() {
  local db=$1; shift
  : >"$db.out"
  "$marmot" agent "$db" "$@" >"$db.out" 2>"$db.log" </dev/null &
  agents+=("$!")
  until_printed "$!" "$db.out" ': ready' && return
  echo "run-cluster.sh: the agent of $db did not become ready:" >&2
  tail -n 5 "$db.log" >&2
  return 1
}

provide_marmot "$where/marmot-build.log"
# Random keys: with counted ones (INTEGER PRIMARY KEY) two nodes would give one number to two books.
sqlite3 -cmd '.timeout 5000' "$one" "
  CREATE TABLE IF NOT EXISTS Books(id TEXT PRIMARY KEY DEFAULT (hex(randomblob(8))),
                                   title TEXT NOT NULL, author TEXT NOT NULL, publication_year INTEGER);
  INSERT INTO Books(title, author, publication_year)
    SELECT * FROM (VALUES('The Hitchhiker''s Guide to the Galaxy', 'Douglas Adams', 1979), ('1984', 'George Orwell', 1949))
    WHERE NOT EXISTS (SELECT 1 FROM Books);"
start_agent "$one" --name books
until_printed "${agents[0]}" "$one.out" 'to join on this machine'
join=$(sed -n 's/^to join on this machine: marmot agent [^ ]* //p' "$one.out")
# shellcheck disable=SC2086  # the printed options are several words
start_agent "$two" $join

cat <<END
Two nodes are running. In another terminal:

  sqlite3 $one "INSERT INTO Books(title, author, publication_year) VALUES('Pride and Prejudice', 'Jane Austen', 1813)"
  sqlite3 $two "SELECT title, author FROM Books"

and the other way round. The agents' logs are $one.log and $two.log.
Ctrl-C stops them.
END
wait
