What libmarmot gives a connection.

-- fact: loading adds marmot_ functions and tables, and touches nothing else
CREATE TEMP TABLE f AS SELECT name, narg, type, builtin FROM pragma_function_list;
SELECT count(*), sum(name LIKE 'marmot\_%' ESCAPE '\') FROM f WHERE NOT builtin AND name LIKE 'marmot%';
SELECT name FROM pragma_module_list WHERE name LIKE 'marmot%' ORDER BY 1;
-- =>
-- 14|14
-- marmot_changes
-- marmot_conflicts
-- marmot_members
-- marmot_tables

-- fact: loading twice is harmless, also by SELECT load_extension
.load @LIBMARMOT@
SELECT load_extension('@LIBMARMOT@') IS NULL, load_extension('@LIBMARMOT@', 'sqlite3_marmot_init') IS NULL, marmot_pending();
-- =>
-- 1|1|0

-- fact: marmot_watch takes a name or a GLOB and returns how many it added
CREATE TABLE a1(id INTEGER PRIMARY KEY); CREATE TABLE a2(x); CREATE TABLE b(x); CREATE TABLE "a*"(x);
SELECT marmot_watch('A1'); SELECT marmot_watch('a?'); SELECT marmot_watch('*'); SELECT marmot_watch('*', 'keys');
SELECT id, name, mode, stopped IS NULL FROM marmot_tables;
-- =>
-- 1
-- 2
-- 1
-- 0
-- 1|a1|keys|1
-- 2|a2|keys|1
-- 3|a*|keys|1
-- 4|b|keys|1

-- fact: a table that is called like a GLOB is meant when its name is given
CREATE TABLE "a*"(x); CREATE TABLE ab(x);
SELECT marmot_watch('a*'); SELECT name FROM marmot_tables;
-- =>
-- 1
-- a*

-- fact: what is not an application's table is refused with the reason
CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIRTUAL TABLE f USING fts5(x); SELECT marmot_watch('t');
SELECT marmot_watch('f');
SELECT marmot_watch('f_data');
SELECT marmot_watch('sqlite_sequence');
SELECT marmot_watch('__marmot_log');
SELECT marmot_watch('nothing*');
SELECT marmot_watch(NULL);
SELECT marmot_watch(7);
-- =>
-- 1
-- error: marmot_watch: f cannot be watched: it is a virtual table
-- error: marmot_watch: f_data cannot be watched: it is a shadow table: it holds a virtual table's data
-- error: marmot_watch: sqlite_sequence cannot be watched: it is one of SQLite's own tables
-- error: marmot_watch: __marmot_log cannot be watched: it is one of Marmot's own tables
-- error: marmot_watch: no table is called or matches 'nothing*'; give a table's name or a GLOB such as '*'
-- error: marmot_watch: table must be text
-- error: marmot_watch: table must be text

-- fact: mode 'full' is refused and an unknown mode named; neither leaves anything behind
CREATE TABLE t(x);
SELECT marmot_watch('t', 'full');
SELECT marmot_watch('t', 'half');
SELECT count(*) FROM sqlite_schema;
-- =>
-- 1
-- error: marmot_watch: watch t: mode 'full' (old values kept) is not in this version; use 'keys'
-- error: marmot_watch: unknown mode 'half'; use 'keys'

-- fact: a GLOB that meets a table which cannot be replicated watches none
CREATE TABLE a(x); CREATE TABLE bad(rowid, oid, _rowid_);
SELECT marmot_watch('*');
SELECT count(*) FROM sqlite_schema WHERE name GLOB '__marmot_*';
-- =>
-- 0
-- error: marmot_watch: table bad cannot be replicated: it needs its rowid for a key, and columns have taken the names rowid, oid and _rowid_; give it a PRIMARY KEY

-- fact: marmot_watch inside a transaction goes with its rollback
CREATE TABLE t(x);
BEGIN; SELECT marmot_watch('t'); INSERT INTO t VALUES(1); SELECT marmot_pending(); ROLLBACK;
SELECT count(*) FROM sqlite_schema; SELECT marmot_pending();
-- =>
-- 1
-- 1
-- 1
-- 0

-- fact: marmot_unwatch takes a table back out, and says when there is nothing to take
CREATE TABLE t(x); CREATE TABLE u(x);
SELECT marmot_unwatch('t');
SELECT marmot_watch('*'); INSERT INTO t VALUES(1); INSERT INTO u VALUES(1); SELECT marmot_unwatch('t'); INSERT INTO t VALUES(2);
SELECT tbl, k1 FROM __marmot_log; SELECT count(*) FROM sqlite_schema WHERE tbl_name = 't';
SELECT marmot_unwatch('t');
-- =>
-- 2
-- 1
-- 2|1
-- 1
-- error: marmot_unwatch: unwatch t: this file is not watched at all
-- error: marmot_unwatch: unwatch t: it is not watched

-- fact: functions that change something cannot be called from a view or a trigger
CREATE TABLE t(x); CREATE VIEW v AS SELECT marmot_watch('t') AS w; CREATE VIEW v2 AS SELECT marmot_cleanup() AS w;
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT marmot_unwatch('t'); END;
SELECT * FROM v;
SELECT * FROM v2;
INSERT INTO t VALUES(1);
SELECT 'still', count(*) FROM t;
-- =>
-- still|0
-- error: unsafe use of marmot_watch()
-- error: unsafe use of marmot_cleanup()
-- error: unsafe use of marmot_unwatch()

-- fact: marmot_new_id works as a default with trusted_schema off
PRAGMA trusted_schema = OFF;
CREATE TABLE t(id INT NOT NULL DEFAULT (marmot_new_id()) PRIMARY KEY, v) ;
INSERT INTO t(v) VALUES(1), (2), (3);
SELECT count(DISTINCT id), max(id) < 1 << 53, min(id) > 0 FROM t;
-- =>
-- 3|1|1

-- fact: marmot_new_id never gives the same id twice, and always a larger one
WITH RECURSIVE c(i, id) AS (SELECT 1, marmot_new_id() UNION ALL SELECT i + 1, marmot_new_id() FROM c WHERE i < 100000)
SELECT count(DISTINCT id), sum(id <= before) FROM (SELECT id, lag(id) OVER (ORDER BY i) AS before FROM c);
-- =>
-- 100000|0

-- fact: marmot_new_id carries the milliseconds since 2020 in its upper 41 bits
SELECT abs((marmot_new_id() >> 12) + 1577836800000 - CAST((julianday('now') - 2440587.5) * 86400000 AS INT)) < 5000;
-- =>
-- 1

-- fact: an HLC is read as a date, and the present one is now
SELECT marmot_hlc_datetime(0), marmot_hlc_datetime((1789000000123 << 16) + 5), marmot_hlc_datetime(NULL) IS NULL;
SELECT abs(julianday(marmot_hlc_datetime(marmot_hlc_now())) - julianday('now')) < 5.0 / 86400;
SELECT marmot_hlc_datetime(-1);
SELECT marmot_hlc_datetime('x');
-- =>
-- 1970-01-01 00:00:00.000|2026-09-10 00:26:40.123|1
-- 1
-- error: marmot_hlc_datetime: an hlc is never negative, as -1 is
-- error: marmot_hlc_datetime: hlc must be an integer

-- fact: marmot_node_id is NULL until an agent has named the file, then what the file says
SELECT quote(marmot_node_id());
CREATE TABLE t(x); SELECT marmot_watch('t'); SELECT quote(marmot_node_id());
INSERT INTO __marmot_meta VALUES('node_id', 9007199254740991); SELECT marmot_node_id();
-- =>
-- NULL
-- 1
-- NULL
-- 9007199254740991

-- fact: marmot_pending counts log rows and unacknowledged versions
SELECT marmot_pending();
CREATE TABLE t(id INTEGER PRIMARY KEY); SELECT marmot_watch('t'); INSERT INTO t VALUES(1), (2);
INSERT INTO __marmot_version VALUES(1, x'47', 1, 1, NULL, 0, 1), (1, x'48', 1, 1, 5, 0, 1);
SELECT marmot_pending();
-- =>
-- 0
-- 1
-- 3

-- fact: marmot_changes shows what is pending, keys as people read them
CREATE TABLE i(id INTEGER PRIMARY KEY); CREATE TABLE c(a TEXT, b INT, PRIMARY KEY(a, b)) WITHOUT ROWID; CREATE TABLE n(x); CREATE TABLE k(s TEXT PRIMARY KEY);
SELECT marmot_watch('*');
INSERT INTO i VALUES(7); UPDATE i SET id = 8; INSERT INTO c VALUES('it''s', 2); INSERT INTO n VALUES('x'); INSERT INTO k VALUES(NULL), ('s');
INSERT INTO __marmot_version VALUES(1, x'49', 1789000000123, 1, NULL, 0, 1), (1, x'4a', (5 << 48) | 1789000000124, 1, NULL, 0, 0), (1, x'4b', 1, 1, 5, 0, 1);
SELECT tbl, key, op FROM marmot_changes; SELECT at FROM marmot_changes WHERE op = 'write';
-- =>
-- 4
-- i|7|insert
-- i|8|update
-- i|7|delete
-- c|('it''s', 2)|insert
-- n|rowid 1|insert
-- k|NULL|insert
-- k|'s'|insert
-- i|9|write
-- i|10|delete
-- 1789000000123

-- fact: marmot_conflicts shows both rows, and the key as people read it; what waits on the shelf stands behind
CREATE TABLE t(x); SELECT count(*) FROM marmot_conflicts; SELECT marmot_watch('t');
INSERT INTO __marmot_conflict VALUES(1, 1789000000123, 'insert', 't', x'47', 2, 20, 200, '{"x":2}', 1, 10, 100, '{"x":1}', '');
INSERT INTO __marmot_origin VALUES(1, 30, 300, 0), (2, 40, 400, 0);
INSERT INTO __marmot_shelf VALUES(3, 1, x'47', x'0178010000000000000005', 'unique', 'why', 1789000000124, 0);
INSERT INTO __marmot_version VALUES(1, x'47', 1, 1, 1, 0, 3), (1, x'48', 2, 2, 1, 0, 1), (1, x'49', 2, 2, 1, 0, 3);
INSERT INTO __marmot_unique VALUES(1, 5, x'47', 55), (1, 5, x'48', 55), (1, 5, x'49', 55);
SELECT * FROM marmot_conflicts;
-- =>
-- 0
-- 1
-- 1|1789000000123|insert|t|7|20|{"x":2}|10|{"x":1}||0
-- 3|1789000000124|unique|t|7|40||30|{"x": 5}|why|1

-- fact: marmot_members shows who belongs to the cluster and which of them this file is; none where an older Marmot watched
CREATE TABLE t(x); SELECT marmot_watch('t'); INSERT OR REPLACE INTO __marmot_meta VALUES('node_id', 2);
INSERT INTO __marmot_member VALUES(2, 'abc', 1789000000123, 17), (1, 'def', 1789000000100, 16);
SELECT * FROM marmot_members;
DROP TABLE __marmot_member; SELECT count(*) FROM marmot_members;
-- =>
-- 1
-- 1|1789000000100|16|0
-- 2|1789000000123|17|1
-- 0

-- fact: the table-valued functions are empty in a file that is not watched, can be joined, and cannot be put into a file
SELECT (SELECT count(*) FROM marmot_tables), (SELECT count(*) FROM marmot_changes), (SELECT count(*) FROM marmot_conflicts);
CREATE TABLE a(x); CREATE TABLE b(x); SELECT marmot_watch('*');
SELECT x.name, y.name FROM marmot_tables x JOIN marmot_tables y ON y.id > x.id;
CREATE VIRTUAL TABLE mine USING marmot_tables;
-- =>
-- 0|0|0
-- 2
-- a|b
-- error: no such module: marmot_tables

-- fact: a table-valued function on a damaged file is an SQL error that names it
CREATE TABLE t(x); SELECT marmot_watch('t'); ALTER TABLE __marmot_table DROP COLUMN stopped;
SELECT * FROM marmot_tables;
SELECT 'after';
-- =>
-- 1
-- after
-- error: marmot_tables: prepare SELECT id, name, mode, stopped FROM main.__marmot_table ORDER BY id: no such column: stopped

-- fact: marmot_wait returns 1 when all is in the stream, 0 when it is not in time
CREATE TABLE t(id INTEGER PRIMARY KEY); SELECT marmot_watch('t');
SELECT marmot_wait('PUBLISHED', 0), marmot_wait('published', 1000);
INSERT INTO t VALUES(1); SELECT marmot_wait('PUBLISHED', 0), marmot_wait('PUBLISHED', 30);
DELETE FROM __marmot_log; INSERT INTO __marmot_version VALUES(1, x'41', 1, 1, NULL, 0, 1); SELECT marmot_wait('PUBLISHED', 30);
UPDATE __marmot_version SET seq = 1; SELECT marmot_wait('PUBLISHED', 30);
-- =>
-- 1
-- 1|1
-- 0|0
-- 0
-- 1

-- fact: marmot_wait refuses what it cannot keep, and says what to do
CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1);
SELECT marmot_wait('PUBLISHED', 10);
SELECT marmot_watch('t');
BEGIN; SELECT marmot_wait('PUBLISHED', 10);
COMMIT;
SELECT marmot_wait('PUBLISHED', 10) FROM t;
SELECT marmot_wait('QUORUM', 10);
SELECT marmot_wait('all', 10);
SELECT marmot_wait('SOON', 10);
SELECT marmot_wait('PUBLISHED', -1);
SELECT marmot_wait('PUBLISHED', 86400001);
SELECT marmot_wait('PUBLISHED', '5');
-- =>
-- 1
-- error: marmot_wait: this file is not watched; start `marmot agent` on it or SELECT marmot_watch('*')
-- error: marmot_wait: a transaction or another statement is open on this connection, so no progress can be seen; commit first, and run SELECT marmot_wait(...) alone
-- error: marmot_wait: a transaction or another statement is open on this connection, so no progress can be seen; commit first, and run SELECT marmot_wait(...) alone
-- error: marmot_wait: level 'QUORUM' is not in this version; use 'PUBLISHED'
-- error: marmot_wait: level 'all' is not in this version; use 'PUBLISHED'
-- error: marmot_wait: unknown level 'SOON'; use 'PUBLISHED'
-- error: marmot_wait: timeout_ms must be between 0 and 86400000
-- error: marmot_wait: timeout_ms must be between 0 and 86400000
-- error: marmot_wait: timeout_ms must be an integer

-- fact: marmot_cleanup says what keeps it from working, and works alone
CREATE TABLE t(x); INSERT INTO t VALUES(1); SELECT marmot_watch('t');
SELECT marmot_cleanup() FROM t;
SELECT count(*) > 1 FROM sqlite_schema;
SELECT marmot_cleanup(); SELECT name FROM sqlite_schema; SELECT marmot_cleanup();
-- =>
-- 1
-- 1
-- 1
-- t
-- 0
-- error: marmot_cleanup: cleanup: database table is locked; run SELECT marmot_cleanup() alone, with no other statement open
