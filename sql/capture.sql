-- The triggers that watch one table, filled in by common/replica/capture.cpp. They write which key was touched and when,
-- never values. They name key columns only, so that no ALTER TABLE or DROP INDEX is ever refused because of them, and only
-- built-in functions of SQLite 3.35, so that a process without the extension keeps writing.
--   {{main}}    `main.` when the trigger is made; nothing where its text is compared with what sqlite_schema holds
--   {{k}}       k1, k2, ...: the log's key columns
--   {{new}}     NEW.key, ...: what goes there: the key's columns; a rowid where none is declared; both where a key can be NULL
--   {{changed}} true when one of them is not what it was: typeof too, for 1 and 1.0 are equal and still different bytes
-- 210866759999999.5 is 1970-01-01 as a Julian day in milliseconds, less the half that makes CAST round.

-- name: insert_trigger
CREATE TRIGGER {{main}}"__marmot_{{id}}_insert" AFTER INSERT ON {{table}} BEGIN
  INSERT INTO __marmot_log(tbl, op, ts, {{k}}) VALUES({{id}}, 1, CAST(julianday('now') * 86400000 - 210866759999999.5 AS INT), {{new}});
END

-- An UPDATE logs the key that the row has now, and the one it had where that differs. No OF list: `SET rowid = 7` changes an
-- INTEGER PRIMARY KEY without firing UPDATE OF. (Tried: two INSERTs or one INSERT ... UNION ALL cost the same, 0.5 us a row.)
-- name: update_trigger
CREATE TRIGGER {{main}}"__marmot_{{id}}_update" AFTER UPDATE ON {{table}} BEGIN
  INSERT INTO __marmot_log(tbl, op, ts, {{k}}) VALUES({{id}}, 2, CAST(julianday('now') * 86400000 - 210866759999999.5 AS INT), {{new}});
  INSERT INTO __marmot_log(tbl, op, ts, {{k}}) SELECT {{id}}, 3, CAST(julianday('now') * 86400000 - 210866759999999.5 AS INT), {{old}}
    WHERE {{changed}};
END

-- name: delete_trigger
CREATE TRIGGER {{main}}"__marmot_{{id}}_delete" AFTER DELETE ON {{table}} BEGIN
  INSERT INTO __marmot_log(tbl, op, ts, {{k}}) VALUES({{id}}, 3, CAST(julianday('now') * 86400000 - 210866759999999.5 AS INT), {{old}});
END

-- VACUUM renumbers the rows of a table that has neither an INTEGER PRIMARY KEY nor any index: this one stays empty.
-- name: keep_index
CREATE INDEX {{main}}"__marmot_{{id}}_keep" ON {{table}}((1)) WHERE 0
