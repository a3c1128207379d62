#!/bin/sh
# A line of a scenario that says nothing that can be done is told by file, number, and what is allowed.  bad_lines.sh RUN
run=$1
dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# tells SCRIPT TEXT...: it fails, and says each text.
tells() {
  printf '%b\n' "$1" >"$dir/bad.txt"
  script=$1
  shift
  said=$("$run" --scenario "$dir/bad.txt") && said="$said (and did not fail)" wrong=yes || wrong=no
  for text in "$@"; do
    case $said in *"$text"*) ;; *) wrong=yes ;; esac
  done
  if [ $wrong = no ]; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    printf 'failed  %s\n  is told as: %s\n' "$script" "$said"
  fi
}

tells '# nothing\njump 1' 'bad.txt:2: jump 1' "no command 'jump'; there are: set, node, sql"
tells 'run soon' 'bad.txt:1: run soon' "MS is to be a number, not 'soon'; it is: run MS"
tells 'node 1\nrun' 'bad.txt:2: run' 'MS is missing; it is: run MS'
tells 'node 1\nkill 2' 'bad.txt:2: kill 2' 'no node 2; there are: 1'
tells 'node 1\nnode 1' 'there is a node 1 already'
tells 'node 1\nkill 1 now' "nothing is expected behind, but there is 'now'; it is: kill N"
tells 'node 1\ncut 1 sideways' "'sideways' is not one of: in, out"
tells 'node 1\nhold 1\nrelease 1 first' 'nothing of it is on its way'
tells 'node 1\nset scrub 0' 'bad.txt:2: set scrub 0' 'stands before everything else'
tells 'set colour 1' "'colour' is not one of: seed, delay_ms"
tells 'node 1\nsql 1x SELECT 1' "S is N or N.NAME, not '1x'"
tells 'node 1\ncommit 1' 'it has no transaction open'
tells 'node 1\nrestore 1 inside' 'no copy of its file was kept'
tells 'node 1\nexpect 1 0 SELECT 0' "' : ' is missing"
tells 'node 1\nexpect 1 1 : SELECT 0' 'bad.txt:2:' 'n1 has 0'
tells 'node 1\nsql 1 INSERT INTO nowhere VALUES(1)' 'bad.txt:2:' 'no such table: nowhere'
tells 'node 1\nrefused 1 CREATE TABLE t(id INTEGER PRIMARY KEY)' 'it is not refused'
tells 'node 1\nsql 1 CREATE TABLE t(v)' "no key, and no column 'tag'"
tells 'node 1\nsql 1 CREATE TABLE t(id INTEGER PRIMARY KEY)\nsql 1 ALTER TABLE t ADD COLUMN v' 'table t has another definition now' 'm0, m1'
tells '' 'its trace is now'
printf '%s passed, %s failed, 0 skipped\n' $passed $failed
[ $failed = 0 ]
