What the triggers log, and what they leave alone. The log is read as (op, keys): 1 insert, 2 update, 3 delete.

-- fact: an INTEGER PRIMARY KEY is logged on insert, update and delete
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(7, 'a'); INSERT INTO t(v) VALUES('b');
UPDATE t SET v = 'c' WHERE id = 7;
DELETE FROM t WHERE id = 8;
SELECT tbl, op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1|7
-- 1|1|8
-- 1|2|7
-- 1|3|8

-- fact: AUTOINCREMENT keeps counting as before
CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v);
INSERT INTO t(v) VALUES(1);
SELECT marmot_watch('t');
INSERT INTO t(v) VALUES(2); DELETE FROM t WHERE id = 2; INSERT INTO t(v) VALUES(3);
SELECT * FROM sqlite_sequence;
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- t|3
-- 1|2
-- 3|2
-- 1|3

-- fact: the ends of 64 bits are logged exactly
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(k TEXT NOT NULL PRIMARY KEY); CREATE TABLE w(k PRIMARY KEY) WITHOUT ROWID;
SELECT marmot_watch('*');
INSERT INTO t VALUES(9223372036854775807, 1), (-9223372036854775808, 1), (0, 1), (-1, 1);
INSERT INTO w VALUES(9223372036854775807), (-9223372036854775808);
SELECT tbl, quote(k1), typeof(k1) FROM __marmot_log;
-- =>
-- 3
-- 1|9223372036854775807|integer
-- 1|-9223372036854775808|integer
-- 1|0|integer
-- 1|-1|integer
-- 3|9223372036854775807|integer
-- 3|-9223372036854775808|integer

-- fact: TEXT keys keep their bytes, with invalid UTF-8 and embedded NUL
CREATE TABLE t(k TEXT NOT NULL PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES('plain', 1), ('', 1), (CAST(x'61ff62' AS TEXT), 1), (CAST(x'610062' AS TEXT), 1), ('grüße 🚀', 1), ('it''s', 1);
SELECT op, hex(k1), typeof(k1), l.k1 = t.k FROM __marmot_log l JOIN t ON t.k = l.k1;
SELECT count(*) FROM __marmot_log;
-- =>
-- 1
-- 1|706C61696E|text|1
-- 1||text|1
-- 1|61FF62|text|1
-- 1|610062|text|1
-- 1|6772C3BCC39F6520F09F9A80|text|1
-- 1|69742773|text|1
-- 6

-- fact: BLOB keys keep their bytes; an empty one is not NULL
CREATE TABLE t(k BLOB NOT NULL PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(x'', 1), (x'00', 1), (x'00ff', 1), (zeroblob(3), 1);
DELETE FROM t WHERE k = x'';
SELECT op, quote(k1) FROM __marmot_log;
-- =>
-- 1
-- 1|X''
-- 1|X'00'
-- 1|X'00FF'
-- 1|X'000000'
-- 3|X''

-- fact: a key without affinity keeps every storage class
CREATE TABLE t(k PRIMARY KEY NOT NULL, v) WITHOUT ROWID;
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 0), (1.5, 0), (-0.0, 0), (9e999, 0), (-9e999, 0), ('1', 0), (x'31', 0), (1e300, 0);
SELECT typeof(k1), quote(k1) FROM __marmot_log;
SELECT count(*) FROM __marmot_log l JOIN t ON t.k IS l.k1 AND typeof(t.k) = typeof(l.k1);
-- =>
-- 1
-- integer|1
-- real|1.5
-- real|0.0
-- real|Inf
-- real|-Inf
-- text|'1'
-- blob|X'31'
-- real|1.0e+300
-- 8

-- fact: a composite key goes to k1, k2, k3, in the key's order
CREATE TABLE t(v, a TEXT, b INT, c BLOB, PRIMARY KEY(c, a, b)) WITHOUT ROWID;
SELECT marmot_watch('t');
INSERT INTO t VALUES('v', 'a', 2, x'03');
UPDATE t SET b = 5;
SELECT op, quote(k1), k2, k3 FROM __marmot_log;
-- =>
-- 1
-- 1|X'03'|a|2
-- 2|X'03'|a|5
-- 3|X'03'|a|2

-- fact: the log widens for the widest key, and narrower tables leave the rest NULL
CREATE TABLE one(id INTEGER PRIMARY KEY); CREATE TABLE three(a, b, c, PRIMARY KEY(a, b, c)) WITHOUT ROWID;
SELECT marmot_watch('one'), marmot_watch('three');
INSERT INTO one VALUES(1); INSERT INTO three VALUES(1, 2, 3);
SELECT tbl, quote(k1), quote(k2), quote(k3) FROM __marmot_log;
-- =>
-- 1|1
-- 1|1|NULL|NULL
-- 2|1|2|3

-- fact: STRICT tables are logged, ANY included
CREATE TABLE t(k ANY PRIMARY KEY, v TEXT) STRICT; CREATE TABLE i(id INTEGER PRIMARY KEY, v ANY) STRICT;
SELECT marmot_watch('*');
INSERT INTO t VALUES('1', 'a'), (1, 'b'), (x'01', 'c'); INSERT INTO i VALUES(1, x'');
SELECT tbl, typeof(k1), quote(k1) FROM __marmot_log;
-- =>
-- 2
-- 1|text|'1'
-- 1|integer|1
-- 1|blob|X'01'
-- 2|integer|1

-- fact: generated columns, stored and virtual, change nothing
CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, s INT AS (a * 2) STORED, v INT AS (a * 3));
CREATE UNIQUE INDEX iv ON t(v);
SELECT marmot_watch('t');
INSERT INTO t(id, a) VALUES(1, 5); UPDATE t SET a = 6;
SELECT op, k1 FROM __marmot_log; SELECT * FROM t;
-- =>
-- 1
-- 1|1
-- 2|1
-- 1|6|12|18

-- fact: a table without a declared key is logged by rowid
CREATE TABLE t(x, y);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 2), (1, 2); UPDATE t SET x = 9 WHERE rowid = 2; DELETE FROM t WHERE rowid = 1;
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|2
-- 2|2
-- 3|1

-- fact: columns called rowid do not hide the rowid
CREATE TABLE t(rowid TEXT, OID); CREATE TABLE u("_rowid_", x);
SELECT marmot_watch('*');
INSERT INTO t VALUES('not me', 'nor me'); INSERT INTO u VALUES('x', 'y');
UPDATE t SET rowid = 'still not', _rowid_ = 44;
SELECT tbl, op, k1 FROM __marmot_log;
-- =>
-- 2
-- 1|1|1
-- 2|1|1
-- 1|2|44
-- 1|3|1

-- fact: a row with NULL in a declared key is logged with its rowid behind the key
CREATE TABLE t(k TEXT PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES('a', 1), (NULL, 2), (NULL, 3);
UPDATE t SET v = 9 WHERE k IS NULL;
UPDATE t SET k = 'b' WHERE rowid = 2;
SELECT op, quote(k1), k2 FROM __marmot_log;
-- =>
-- 1
-- 1|'a'|1
-- 1|NULL|2
-- 1|NULL|3
-- 2|NULL|2
-- 2|NULL|3
-- 2|'b'|2
-- 3|NULL|2

-- fact: names with quotes, spaces, keywords, brackets and non-ASCII letters are watched and written
CREATE TABLE "select"("from" INTEGER PRIMARY KEY, "where");
CREATE TABLE "a ""b"" 'c' [d]"("k ""1""" TEXT NOT NULL, [k 2] TEXT NOT NULL, `k``3` INT NOT NULL, PRIMARY KEY("k ""1""", [k 2], `k``3`));
CREATE TABLE "größe; --"("Ünï" TEXT NOT NULL PRIMARY KEY);
CREATE TABLE "{{id}}"("{{table}}" INTEGER PRIMARY KEY);
CREATE TABLE "end"(x);
SELECT marmot_watch('*');
INSERT INTO "select" VALUES(1, 2); INSERT INTO "a ""b"" 'c' [d]" VALUES('x', 'y', 3); INSERT INTO "größe; --" VALUES('ä');
INSERT INTO "{{id}}" VALUES(4); INSERT INTO "end" VALUES(5);
UPDATE "select" SET "from" = 2; UPDATE "a ""b"" 'c' [d]" SET [k 2] = 'z'; DELETE FROM "größe; --"; DELETE FROM "end";
SELECT tbl, op, k1, k2, k3 FROM __marmot_log;
SELECT name FROM __marmot_table;
-- =>
-- 5
-- 1|1|1||
-- 2|1|x|y|3
-- 3|1|ä||
-- 4|1|4||
-- 5|1|1||
-- 1|2|2||
-- 1|3|1||
-- 2|2|x|z|3
-- 2|3|x|y|3
-- 3|3|ä||
-- 5|3|1||
-- select
-- a "b" 'c' [d]
-- größe; --
-- {{id}}
-- end

-- fact: a key that changes logs the new one and the old one, one that stays logs once
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 1); UPDATE t SET id = 1; UPDATE t SET id = 2; UPDATE t SET rowid = 3; UPDATE t SET _rowid_ = 4, v = 5;
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 2|1
-- 2|2
-- 3|1
-- 2|3
-- 3|2
-- 2|4
-- 3|3

-- fact: keys that swap places are all logged
CREATE TABLE t(k INT NOT NULL PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'a'), (2, 'b'); UPDATE t SET k = -k; UPDATE t SET k = 3 + k;
SELECT group_concat(op || ':' || k1, ' ') FROM __marmot_log;
-- =>
-- 1
-- 1:1 1:2 2:-1 3:1 2:-2 3:2 2:2 3:-1 2:1 3:-2

-- fact: a key that changes only its storage class, its case or its trailing spaces is logged under both spellings
CREATE TABLE n(k PRIMARY KEY NOT NULL) WITHOUT ROWID; CREATE TABLE c(k TEXT COLLATE NOCASE NOT NULL PRIMARY KEY);
CREATE TABLE r(k TEXT COLLATE RTRIM NOT NULL PRIMARY KEY);
SELECT marmot_watch('*');
INSERT INTO n VALUES(1); UPDATE n SET k = 1.0; INSERT INTO c VALUES('abc'); UPDATE c SET k = 'ABC'; INSERT INTO r VALUES('x'); UPDATE r SET k = 'x  ';
SELECT tbl, op, quote(k1) FROM __marmot_log;
-- =>
-- 3
-- 1|1|1
-- 1|2|1.0
-- 1|3|1
-- 2|1|'abc'
-- 2|2|'ABC'
-- 2|3|'abc'
-- 3|1|'x'
-- 3|2|'x  '
-- 3|3|'x'

-- fact: a rowid that changes under a key that stays is logged where the rowid is part of the identity
CREATE TABLE t(k TEXT PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(NULL, 1); UPDATE t SET rowid = 8;
SELECT op, quote(k1), k2 FROM __marmot_log;
-- =>
-- 1
-- 1|NULL|1
-- 2|NULL|8
-- 3|NULL|1

-- fact: INSERT OR REPLACE logs the row it writes; its victim under the same key is that same key
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'a'); INSERT OR REPLACE INTO t VALUES(1, 'b'); REPLACE INTO t VALUES(1, 'c');
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|1
-- 1|1

-- fact: REPLACE by a secondary unique index deletes its victim without a trigger (so drain must find it)
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'x'), (2, 'y'); INSERT OR REPLACE INTO t VALUES(3, 'x'); UPDATE OR REPLACE t SET u = 'x' WHERE id = 2;
SELECT group_concat(op || ':' || k1, ' ') FROM __marmot_log; SELECT * FROM t;
-- =>
-- 1
-- 1:1 1:2 1:3 2:2
-- 2|x

-- fact: table-level ON CONFLICT REPLACE deletes its victim without a trigger too
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT REPLACE);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'x'); INSERT INTO t VALUES(2, 'x');
SELECT op, k1 FROM __marmot_log; SELECT * FROM t;
-- =>
-- 1
-- 1|1
-- 1|2
-- 2|x

-- fact: with recursive_triggers on, the victims of REPLACE are logged as deletes
PRAGMA recursive_triggers = ON;
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'x'); INSERT OR REPLACE INTO t VALUES(2, 'x');
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 3|1
-- 1|2

-- fact: an upsert logs what it did: an insert, an update, or nothing
CREATE TABLE t(id INTEGER PRIMARY KEY, n INT DEFAULT 1, u UNIQUE);
SELECT marmot_watch('t');
INSERT INTO t(id, u) VALUES(1, 'a') ON CONFLICT(id) DO UPDATE SET n = n + 1;
INSERT INTO t(id, u) VALUES(1, 'b') ON CONFLICT(id) DO UPDATE SET n = n + 1;
INSERT INTO t(id, u) VALUES(2, 'a') ON CONFLICT(u) DO UPDATE SET id = 5;
INSERT INTO t(id, u) VALUES(5, 'z') ON CONFLICT DO NOTHING;
INSERT INTO t(id, u) VALUES(5, 'z') ON CONFLICT(id) DO UPDATE SET n = 7 WHERE n > 100;
SELECT op, k1 FROM __marmot_log; SELECT * FROM t;
-- =>
-- 1
-- 1|1
-- 2|1
-- 2|5
-- 3|1
-- 5|2|a

-- fact: INSERT OR IGNORE logs only what it inserted
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);
SELECT marmot_watch('t');
INSERT OR IGNORE INTO t VALUES(1, 'a'), (1, 'b'), (2, 'a'), (3, 'c'); UPDATE OR IGNORE t SET u = 'c';
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|3
-- 2|3

-- fact: a statement that fails logs nothing, and OR FAIL logs what stays
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'a');
INSERT INTO t VALUES(2, 'b'), (3, 'a');
INSERT OR FAIL INTO t VALUES(4, 'd'), (5, 'a');
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|4
-- error: UNIQUE constraint failed: t.u
-- error: UNIQUE constraint failed: t.u

-- fact: what a savepoint or a transaction rolls back is gone from the log too
CREATE TABLE t(id INTEGER PRIMARY KEY);
SELECT marmot_watch('t');
BEGIN; INSERT INTO t VALUES(1); SAVEPOINT a; INSERT INTO t VALUES(2); SAVEPOINT b; INSERT INTO t VALUES(3); ROLLBACK TO b; RELEASE b;
INSERT INTO t VALUES(4); ROLLBACK TO a; INSERT INTO t VALUES(5); COMMIT;
BEGIN; INSERT INTO t VALUES(6); ROLLBACK;
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|5

-- fact: NULLs in unique columns are no conflict and are logged as rows of their own
CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, a, b, UNIQUE(a, b));
SELECT marmot_watch('t');
INSERT OR REPLACE INTO t VALUES(1, NULL, 1, NULL), (2, NULL, 1, NULL);
SELECT op, k1 FROM __marmot_log; SELECT count(*) FROM t;
-- =>
-- 1
-- 1|1
-- 1|2
-- 2

-- fact: partial and expression indexes do not matter to the triggers
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);
CREATE UNIQUE INDEX p ON t(a) WHERE b > 0; CREATE UNIQUE INDEX e ON t(lower(a), b COLLATE NOCASE);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, 'x', 1), (2, 'x', 0); INSERT OR REPLACE INTO t VALUES(3, 'X', 1);
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|1
-- 1|2
-- 1|3

-- fact: triggers of the application that write other watched tables are logged, after the row that set them off or before it
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE audit(id INTEGER PRIMARY KEY, what); CREATE TABLE before_it(id INTEGER PRIMARY KEY);
CREATE TRIGGER a AFTER INSERT ON t BEGIN INSERT INTO audit(what) VALUES('new ' || NEW.id); UPDATE t SET v = 'set' WHERE id = NEW.id; END;
CREATE TRIGGER b BEFORE INSERT ON t BEGIN INSERT INTO before_it VALUES(NEW.id); END;
SELECT marmot_watch('*');
INSERT INTO t VALUES(1, 'a');
SELECT name, op, k1 FROM __marmot_log l JOIN __marmot_table t ON t.id = l.tbl ORDER BY name, op;
SELECT * FROM t; SELECT * FROM audit;
-- =>
-- 3
-- audit|1|1
-- before_it|1|1
-- t|1|1
-- t|2|1
-- 1|set
-- 1|new 1

-- fact: an application's trigger that raises keeps the row out of the log
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
CREATE TRIGGER c AFTER INSERT ON t WHEN NEW.v < 0 BEGIN SELECT RAISE(ABORT, 'negative'); END;
CREATE TRIGGER i BEFORE INSERT ON t WHEN NEW.v = 0 BEGIN SELECT RAISE(IGNORE); END;
SELECT marmot_watch('t');
INSERT INTO t VALUES(1, -1);
INSERT INTO t VALUES(2, 0); INSERT INTO t VALUES(3, 1);
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|3
-- error: negative

-- fact: a delete that an application's trigger prevents is not logged
CREATE TABLE t(id INTEGER PRIMARY KEY);
SELECT marmot_watch('t');
CREATE TRIGGER keep BEFORE DELETE ON t WHEN OLD.id = 1 BEGIN SELECT RAISE(IGNORE); END;
INSERT INTO t VALUES(1), (2); DELETE FROM t;
SELECT op, k1 FROM __marmot_log; SELECT id FROM t;
-- =>
-- 1
-- 1|1
-- 1|2
-- 3|2
-- 1

-- fact: foreign-key cascades are logged: delete, set null, set default and update
PRAGMA foreign_keys = ON;
CREATE TABLE p(id INTEGER PRIMARY KEY);
CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE n(id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE SET NULL);
CREATE TABLE d(id INTEGER PRIMARY KEY, p DEFAULT 1 REFERENCES p ON DELETE SET DEFAULT);
CREATE TABLE k(p INT REFERENCES p ON UPDATE CASCADE, PRIMARY KEY(p)) WITHOUT ROWID;
INSERT INTO p VALUES(1), (2), (3); INSERT INTO c VALUES(10, 2), (11, 2); INSERT INTO n VALUES(20, 2); INSERT INTO d VALUES(30, 2); INSERT INTO k VALUES(3);
SELECT marmot_watch('*');
DELETE FROM p WHERE id = 2;
SELECT name, op, k1 FROM __marmot_log l JOIN __marmot_table t ON t.id = l.tbl ORDER BY name, op, k1;
DELETE FROM __marmot_log;
UPDATE p SET id = 4 WHERE id = 3;
SELECT name, op, k1 FROM __marmot_log l JOIN __marmot_table t ON t.id = l.tbl ORDER BY name, op, k1;
-- =>
-- 5
-- c|3|10
-- c|3|11
-- d|2|30
-- n|2|20
-- p|3|2
-- k|2|4
-- k|3|3
-- p|2|4
-- p|3|3

-- fact: DELETE without WHERE logs every row
CREATE TABLE t(id INTEGER PRIMARY KEY);
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 1000) INSERT INTO t SELECT i FROM c;
SELECT marmot_watch('t');
DELETE FROM t;
SELECT count(*), min(k1), max(k1), min(op) FROM __marmot_log;
-- =>
-- 1
-- 1000|1|1000|3

-- fact: everything works with trusted_schema off
PRAGMA trusted_schema = OFF;
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE k(v);
SELECT marmot_watch('*');
INSERT INTO t VALUES(1, 1); UPDATE t SET id = 2; DELETE FROM t; INSERT INTO k VALUES(1);
SELECT tbl, op, k1 FROM __marmot_log;
-- =>
-- 2
-- 1|1|1
-- 1|2|2
-- 1|3|1
-- 1|3|2
-- 2|1|1

-- fact: columns that are no key can be added, renamed and dropped, and indexes dropped
CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c); CREATE INDEX i ON t(a); CREATE UNIQUE INDEX u ON t(b); CREATE TABLE k(x, y, z);
SELECT marmot_watch('*');
ALTER TABLE t ADD COLUMN d DEFAULT 4; ALTER TABLE t RENAME COLUMN a TO "new a"; ALTER TABLE t DROP COLUMN c;
DROP INDEX i; DROP INDEX u; ALTER TABLE t DROP COLUMN b;
ALTER TABLE k ADD COLUMN w; ALTER TABLE k DROP COLUMN x; ALTER TABLE k RENAME COLUMN y TO q; ALTER TABLE k DROP COLUMN z;
INSERT INTO t VALUES(1, 2, 3); INSERT INTO k VALUES(1, 2);
SELECT tbl, op, k1 FROM __marmot_log;
SELECT marmot_watch('*'), (SELECT count(*) FROM sqlite_schema WHERE type = 'trigger');
-- =>
-- 2
-- 1|1|1
-- 2|1|1
-- 0|6

-- fact: a renamed key column is logged under its new name, and watching again finds nothing to do
CREATE TABLE t("the key" TEXT NOT NULL PRIMARY KEY, v);
SELECT marmot_watch('t');
ALTER TABLE t RENAME COLUMN "the key" TO "its ""new"" name";
INSERT INTO t VALUES('a', 1); UPDATE t SET "its ""new"" name" = 'b'; DELETE FROM t;
SELECT op, k1 FROM __marmot_log;
CREATE TEMP TABLE before AS SELECT schema_version FROM pragma_schema_version;
SELECT marmot_watch('t');
SELECT a.schema_version = b.schema_version FROM before a, pragma_schema_version b;
-- =>
-- 1
-- 1|a
-- 2|b
-- 3|a
-- 3|b
-- 0
-- 1

-- fact: a renamed table carries its triggers and its id along, across VACUUM too, and with legacy_alter_table
CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE k(x);
SELECT marmot_watch('*');
ALTER TABLE t RENAME TO "t 2"; PRAGMA legacy_alter_table = ON; ALTER TABLE k RENAME TO k2; VACUUM;
INSERT INTO "t 2" VALUES(1); INSERT INTO k2 VALUES(1);
SELECT tbl, op, k1 FROM __marmot_log;
SELECT marmot_watch('*'); SELECT id, name FROM marmot_tables;
-- =>
-- 2
-- 1|1|1
-- 2|1|1
-- 0
-- 1|t 2
-- 2|k2

-- fact: a table rebuilt in the documented twelve steps is watched again under its old id
CREATE TABLE t(id INTEGER PRIMARY KEY, a);
INSERT INTO t VALUES(1, 1);
SELECT marmot_watch('t');
BEGIN; CREATE TABLE new_t(id INTEGER PRIMARY KEY, a TEXT NOT NULL); INSERT INTO new_t SELECT * FROM t; DROP TABLE t;
ALTER TABLE new_t RENAME TO t; COMMIT;
INSERT INTO t VALUES(2, 2);
SELECT count(*) FROM __marmot_log;
SELECT marmot_watch('t'); SELECT id, name FROM marmot_tables;
INSERT INTO t VALUES(3, 3);
SELECT tbl, op, k1 FROM __marmot_log;
-- =>
-- 1
-- 0
-- 1
-- 1|t
-- 1|1|3

-- fact: a watched table can be dropped
CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE k(x);
SELECT marmot_watch('*');
DROP TABLE t; DROP TABLE k;
SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR name GLOB '__marmot_[0-9]*_keep';
-- =>
-- 2
-- 0

-- fact: last_insert_rowid(), changes() and RETURNING are the application's; total_changes() counts log rows too
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE k(v);
SELECT marmot_watch('*');
INSERT INTO t VALUES(41, 1), (42, 2) RETURNING id;
SELECT last_insert_rowid(), changes();
UPDATE t SET id = id + 10; SELECT last_insert_rowid(), changes();
DELETE FROM t WHERE id = 51; SELECT changes();
INSERT INTO k VALUES(1); SELECT last_insert_rowid(), changes(), total_changes() > 6;
-- =>
-- 2
-- 41
-- 42
-- 42|2
-- 42|2
-- 1
-- 1|1|1

-- fact: the time logged is the wall clock in milliseconds
CREATE TABLE t(id INTEGER PRIMARY KEY);
SELECT marmot_watch('t');
INSERT INTO t VALUES(1);
SELECT typeof(ts), abs(ts - CAST(strftime('%s', 'now') AS INT) * 1000) < 5000 FROM __marmot_log;
-- =>
-- 1
-- integer|1

-- fact: UPDATE ... FROM and INSERT ... SELECT from the table itself are logged row by row
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE s(id INTEGER PRIMARY KEY, v);
INSERT INTO t VALUES(1, 'a'), (2, 'b'); INSERT INTO s VALUES(2, 'new');
SELECT marmot_watch('t');
UPDATE t SET v = s.v FROM s WHERE s.id = t.id;
INSERT INTO t SELECT id + 10, v FROM t;
SELECT group_concat(op || ':' || k1, ' ') FROM __marmot_log;
-- =>
-- 1
-- 2:2 1:11 1:12

-- fact: rows written through a view are logged as rows of its table
CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE VIEW w AS SELECT id, v FROM t;
CREATE TRIGGER w_insert INSTEAD OF INSERT ON w BEGIN INSERT INTO t VALUES(NEW.id, NEW.v); END;
SELECT marmot_watch('*');
INSERT INTO w VALUES(3, 'x');
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 1|3

-- fact: TEMP tables of the same names do not catch what is logged
CREATE TABLE t(id INTEGER PRIMARY KEY, v);
CREATE TEMP TABLE t(id INTEGER PRIMARY KEY, other); CREATE TEMP TABLE __marmot_log(tbl, op, ts, k1); CREATE TEMP TABLE __marmot_table(id, name);
SELECT marmot_watch('t');
INSERT INTO main.t VALUES(1, 1); INSERT INTO temp.t VALUES(2, 2);
SELECT count(*) FROM temp.__marmot_log; SELECT op, k1 FROM main.__marmot_log; SELECT marmot_pending();
SELECT marmot_cleanup(); SELECT count(*) FROM main.sqlite_schema; SELECT count(*) FROM temp.sqlite_schema;
-- =>
-- 1
-- 0
-- 1|1
-- 1
-- 1
-- 1
-- 3

-- fact: VACUUM renumbers the rows of a plain table (why the empty index is needed)
CREATE TABLE t(x); INSERT INTO t VALUES('a'), ('b'), ('c'); DELETE FROM t WHERE x = 'b';
VACUUM; SELECT rowid, x FROM t;
-- =>
-- 1|a
-- 2|c

-- fact: a watched table without a key keeps its rowids across VACUUM, and its empty index blocks nothing
CREATE TABLE t(x); INSERT INTO t VALUES('a'), ('b'), ('c'); DELETE FROM t WHERE x = 'b';
SELECT marmot_watch('t');
VACUUM; SELECT rowid, x FROM t;
ALTER TABLE t ADD COLUMN y; ALTER TABLE t DROP COLUMN x; VACUUM; SELECT rowid FROM t;
SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't';
PRAGMA integrity_check;
-- =>
-- 1
-- 1|a
-- 3|c
-- 1
-- 3
-- __marmot_1_keep|CREATE INDEX "__marmot_1_keep" ON "t"((1)) WHERE 0
-- ok

-- fact: a table with a declared key that can be NULL keeps its rowids across VACUUM by that key's index
CREATE TABLE t(k TEXT PRIMARY KEY); INSERT INTO t VALUES('a'), (NULL), ('c'); DELETE FROM t WHERE k = 'a';
SELECT marmot_watch('t');
VACUUM; SELECT rowid, quote(k) FROM t;
SELECT count(*) FROM sqlite_schema WHERE name GLOB '__marmot_[0-9]*_keep';
-- =>
-- 1
-- 2|NULL
-- 3|'c'
-- 0

-- fact: an empty index that was dropped is put back
CREATE TABLE t(x); SELECT marmot_watch('t'); DROP INDEX __marmot_1_keep; SELECT marmot_watch('t');
SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't';
-- =>
-- 1
-- 0
-- __marmot_1_keep

-- fact: no trigger names a column that is no key
CREATE TABLE t(id INTEGER PRIMARY KEY, secret_a, secret_b); CREATE TABLE k(secret_c);
SELECT marmot_watch('*');
SELECT count(*), sum(sql LIKE '%secret%') FROM sqlite_schema WHERE type = 'trigger';
-- =>
-- 2
-- 6|0

-- fact: a log dropped by a migration tool comes back with the next watch
CREATE TABLE t(id INTEGER PRIMARY KEY); SELECT marmot_watch('t');
DROP TABLE __marmot_log;
INSERT INTO t VALUES(1);
SELECT marmot_watch('t'); INSERT INTO t VALUES(2);
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- 0
-- 1|2
-- error: no such table: main.__marmot_log

-- fact: FTS5 external content, watched or not, is written as before
CREATE TABLE note(id INTEGER PRIMARY KEY, body); CREATE VIRTUAL TABLE f USING fts5(body, content='note', content_rowid='id');
CREATE TRIGGER ai AFTER INSERT ON note BEGIN INSERT INTO f(rowid, body) VALUES(NEW.id, NEW.body); END;
SELECT marmot_watch('*'); SELECT name FROM marmot_tables;
INSERT INTO note VALUES(1, 'hello world'); SELECT rowid FROM f('hello');
SELECT op, k1 FROM __marmot_log;
-- =>
-- 1
-- note
-- 1
-- 1|1
