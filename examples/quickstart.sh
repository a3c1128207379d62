#!/usr/bin/env bash
# Three nodes on this machine, from a fresh clone: ./examples/quickstart.sh [--keep]
#
# Installs the Debian packages that are missing (it says which), builds Marmot into build-quickstart/, starts three agents
# on three database files in a directory of its own, shows what they do, and stops what it started.
#
#   --keep               leave the cluster running; prints how to use it and how to stop it
#   MARMOT_BUILD=DIR     use what is built in DIR instead of building
set -euo pipefail

keep=no
for argument in "$@"; do
  case "$argument" in
    --keep) keep=yes ;;
    --help|-h) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart.sh: no option '$argument' (there is --keep)" >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
here=$(mktemp -d "${TMPDIR:-/tmp}/marmot-quickstart.XXXXXX")
declare -A agent_of=()  # database file -> pid of its agent
. "$root/examples/common.sh"

stop_agents() {
  local pid
  for pid in "${agent_of[@]}"; do kill -CONT "$pid" 2>/dev/null && kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${agent_of[@]}"; do wait "$pid" 2>/dev/null || true; done
  agent_of=()
}

finish() {
  local code=$?
  trap - EXIT INT TERM
  if [ "$code" != 0 ]; then
    echo
    echo "quickstart.sh: stopped with an error; what the agents said last:" >&2
    tail -n 5 "$here"/*.log >&2 2>/dev/null || true
  fi
  if [ "$code" != 0 ] || [ "$keep" = no ]; then
    stop_agents
    rm -rf "$here"
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

heading() { printf '\n\033[1m[%s/6] %s\033[0m\n' "$1" "$2"; }
[ -t 1 ] || heading() { printf '\n[%s/6] %s\n' "$1" "$2"; }
command_line() { printf '      $ %s\n' "$1"; }
result() { printf '        %s\n' "$1"; }

# ---- what is needed, and the build

provide_marmot "$here/build.txt"

# shell DB SQL: the stock sqlite3 shell, which waits for nobody unless it is told to.
shell() { sqlite3 -cmd '.timeout 5000' "$@"; }

# start_agent DB OPTIONS...: starts it in $here and waits until it is ready.
start_agent() {
  local db=$1; shift
  : >"$here/$db.out"
  (cd "$here" && exec nohup "$marmot" agent "$db" "$@" >"$here/$db.out" 2>>"$here/$db.log" </dev/null) &
  agent_of[$db]=$!
  until_printed "${agent_of[$db]}" "$here/$db.out" ': ready' && return
  echo "quickstart.sh: the agent of $db did not become ready" >&2
  return 1
}

# written DB SQL TEST OTHERS...: writes with the sqlite3 shell and shows when TEST is true in the other files.
written() {
  local db=$1 sql=$2 test=$3; shift 3
  command_line "sqlite3 $db \"$sql\""
  result "$(cd "$here" && /usr/bin/python3 -B "$root/examples/arrival.py" --write "$db" "$sql" --see "$test" "$@")"
}

cd "$here"
heading 1 "one database, three nodes"
command_line 'sqlite3 n1.db "CREATE TABLE note(id TEXT PRIMARY KEY DEFAULT (hex(randomblob(8))), body TEXT)"   # and users, and a full-text index'
shell n1.db "CREATE TABLE note(id TEXT PRIMARY KEY DEFAULT (hex(randomblob(8))), body TEXT);
             CREATE TABLE users(name TEXT PRIMARY KEY, city TEXT);
             INSERT INTO users VALUES('ada', 'London'), ('grace', 'New York');
             CREATE VIRTUAL TABLE search USING fts5(id UNINDEXED, body);
             CREATE TRIGGER note_search AFTER INSERT ON note BEGIN
               INSERT INTO search(id, body) VALUES(new.id, new.body); END;"
command_line "marmot agent n1.db &"
start_agent n1.db
sed -n '/ready/!s/^/        /p' n1.db.out
join=$(sed -n 's/^to join on this machine: marmot agent [^ ]* //p' n1.db.out)
[ -n "$join" ] || { echo "quickstart.sh: the first agent printed no join line" >&2; exit 1; }
for db in n2.db n3.db; do
  command_line "marmot agent $db $join &"
  # shellcheck disable=SC2086  # the printed options are several words
  start_agent "$db" $join
done
result "n2.db and n3.db, which did not exist: $(/usr/bin/python3 -B "$root/examples/arrival.py" --count 2 \
       --see "SELECT count(*) FROM users" n2.db n3.db | sed 's/ after.*//') users"

heading 2 "write on any node, with the stock sqlite3 shell"
written n1.db "INSERT INTO note(body) VALUES('hello from one')" "SELECT 1 FROM note WHERE body = 'hello from one'" n2.db n3.db
written n2.db "UPDATE users SET city = 'Turin' WHERE name = 'ada'" "SELECT city = 'Turin' FROM users WHERE name = 'ada'" n1.db n3.db
written n3.db "DELETE FROM users WHERE name = 'grace'" "SELECT count(*) = 0 FROM users WHERE name = 'grace'" n1.db n2.db

heading 3 "full-text search on node 3 finds node 1's row"
command_line "sqlite3 n3.db \"SELECT body FROM search WHERE search MATCH 'hello'\""
result "$(shell n3.db "SELECT body FROM search WHERE search MATCH 'hello'")"

heading 4 "a conflict: nodes 2 and 3 are cut off, and both write the same rows"
kill -STOP "${agent_of[n2.db]}" "${agent_of[n3.db]}"
command_line "sqlite3 n2.db \"UPDATE users SET city = 'Rome' WHERE name = 'ada'; INSERT INTO users VALUES('alan', 'Leeds')\""
shell n2.db "UPDATE users SET city = 'Rome' WHERE name = 'ada'; INSERT INTO users VALUES('alan', 'Leeds')"
command_line "sqlite3 n3.db \"UPDATE users SET city = 'Oslo' WHERE name = 'ada'; INSERT INTO users VALUES('alan', 'Bletchley')\""
shell n3.db "UPDATE users SET city = 'Oslo' WHERE name = 'ada'; INSERT INTO users VALUES('alan', 'Bletchley')"
kill -CONT "${agent_of[n2.db]}" "${agent_of[n3.db]}"
test="SELECT group_concat(name || ' ' || city) = 'ada Oslo,alan Bletchley' FROM (SELECT * FROM users ORDER BY name)"
/usr/bin/python3 -B "$root/examples/arrival.py" --see "$test" n1.db n2.db n3.db >/dev/null
for db in n1.db n2.db n3.db; do
  result "$db: $(shell "$db" "SELECT group_concat(name || ' in ' || city, ', ') FROM (SELECT * FROM users ORDER BY name)")"
done
result "The later write won, everywhere. Two inserts of one key are a collision: the loser is kept."
command_line "marmot conflicts n1.db"
"$marmot" conflicts n1.db | sed 's/^/        /'

heading 5 "kill -9 node 2's agent; 10,000 rows on node 1; start it again"
kill -9 "${agent_of[n2.db]}"
wait "${agent_of[n2.db]}" 2>/dev/null || true
rows="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
command_line "sqlite3 n1.db \"INSERT INTO note(body) ... 10,000 rows\""
shell n1.db "INSERT INTO note(body) $rows SELECT 'row ' || i FROM n"
command_line "sqlite3 n2.db \"INSERT INTO note(body) VALUES('written on 2 while its agent was dead')\""
shell n2.db "INSERT INTO note(body) VALUES('written on 2 while its agent was dead')"
command_line "marmot agent n2.db $join &"
/usr/bin/python3 -B "$root/examples/arrival.py" --count 10000 --see "SELECT count(*) - 2 FROM note" n2.db \
  >caught-up.txt &
watcher=$!
# shellcheck disable=SC2086
start_agent n2.db $join
wait "$watcher"
result "$(cat caught-up.txt)"
result "$(/usr/bin/python3 -B "$root/examples/arrival.py" --see "SELECT 1 FROM note WHERE body LIKE 'written on 2%'" n1.db n3.db \
       | sed 's/ after [0-9.]* ms//g'): the row that node 2 wrote meanwhile"

heading 6 "all the same?"
command_line "marmot verify n1.db"
"$marmot" wait n1.db --level all >wait.txt
"$marmot" verify n1.db | sed 's/^/        /'

echo
if [ "$keep" = yes ]; then
  disown -a
  cat <<END
The cluster goes on running. Its files are in $here:

  cd $here
  export PATH=\$PATH:$(dirname "$marmot")
  sqlite3 -cmd '.timeout 5000' n3.db "INSERT INTO note(body) VALUES('mine')"
  sqlite3 n1.db "SELECT * FROM note WHERE body = 'mine'"
  marmot status n1.db
  marmot tail n2.db
  marmot agent n4.db $join        # a fourth node

Stop it:

  kill ${agent_of[*]}; rm -r $here
END
else
  stop_agents
  echo "Stopped what was started, removed $here. To keep such a cluster: $0 --keep"
fi
