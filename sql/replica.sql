-- What drain and apply say to the internal tables, once a row or once a unit.

-- name: select_version
SELECT hlc, origin, seq, hash, state FROM __marmot_version WHERE tbl = ?1 AND key = ?2

-- name: insert_version
INSERT INTO __marmot_version(tbl, key, hlc, origin, seq, hash, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- name: update_version
UPDATE __marmot_version SET hlc = ?3, origin = ?4, seq = ?5, hash = ?6, state = ?7 WHERE tbl = ?1 AND key = ?2

-- name: mark_version
UPDATE __marmot_version SET seq = ?3, state = min(state, 1) WHERE tbl = ?1 AND key = ?2

-- name: delete_version
DELETE FROM __marmot_version WHERE tbl = ?1 AND key = ?2

-- name: baseline_version
INSERT OR IGNORE INTO __marmot_version(tbl, key, hlc, origin, seq, hash, state) VALUES(?1, ?2, 0, 0, NULL, ?3, 1)

-- name: outbox_rows
SELECT key, hlc, origin, hash, state FROM __marmot_version INDEXED BY __marmot_outbox
WHERE seq IS NULL AND tbl = ?1 AND key > ?2 ORDER BY key

-- name: select_origins
SELECT id, node, incarnation, unit FROM __marmot_origin

-- name: insert_origin
INSERT INTO __marmot_origin(id, node, incarnation, unit) VALUES((SELECT coalesce(max(id), 0) + 1 FROM __marmot_origin), ?1, ?2, ?3) RETURNING id

-- name: update_origin
UPDATE __marmot_origin SET unit = ?2 WHERE id = ?1

-- name: log_range
SELECT (SELECT min(seq) FROM __marmot_log), (SELECT max(seq) FROM __marmot_log)

-- name: log_pauses
SELECT seq, ts FROM __marmot_log WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq

-- name: park
INSERT INTO __marmot_parked(tbl, key, ts) VALUES(?1, ?2, ?3) ON CONFLICT(tbl, key) DO UPDATE SET ts = excluded.ts

-- name: select_parked
SELECT key, ts FROM __marmot_parked WHERE tbl = ?1 ORDER BY ts, key

-- name: delete_parked
DELETE FROM __marmot_parked WHERE tbl = ?1

-- name: unique_of_key
SELECT hash FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND key = ?3

-- name: unique_holders
SELECT key FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND hash = ?3 AND key <> ?4

-- name: unique_put
INSERT INTO __marmot_unique(tbl, idx, key, hash) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(tbl, idx, key) DO UPDATE SET hash = excluded.hash

-- name: unique_remove
DELETE FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND key = ?3

-- name: rowid_by_here
SELECT node, there FROM __marmot_rowid WHERE tbl = ?1 AND here = ?2

-- name: rowid_by_there
SELECT here FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2 AND there = ?3

-- name: rowid_put
INSERT INTO __marmot_rowid(tbl, node, there, here) VALUES(?1, ?2, ?3, ?4)

-- name: rowid_remove
DELETE FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2 AND there = ?3

-- name: rowid_next
SELECT coalesce(max(there), 0) + 1 FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2

-- name: stage_part
INSERT OR IGNORE INTO __marmot_part(node, incarnation, unit, part, seq, last, kind, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- name: staged_parts
SELECT part, last, kind, data FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 ORDER BY part

-- name: drop_staged
DELETE FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit <= ?3

-- name: drop_former_lives
DELETE FROM __marmot_part WHERE node = ?1 AND incarnation <> ?2

-- name: quarantine
INSERT OR IGNORE INTO __marmot_quarantine(seq, at, reason, data) VALUES(?1, ?2, ?3, ?4)

-- name: wait
INSERT OR IGNORE INTO __marmot_waiting(seq, node, incarnation, unit, payload) VALUES(?1, ?2, ?3, ?4, ?5)

-- name: select_waiting
SELECT seq, node, incarnation, unit, payload FROM __marmot_waiting WHERE seq > ?1 ORDER BY seq LIMIT 1

-- name: delete_waiting
DELETE FROM __marmot_waiting WHERE seq = ?1

-- name: conflict
INSERT OR IGNORE INTO __marmot_conflict(at, kind, tbl, key, winner_hlc, winner_node, winner_incarnation, loser_hlc, loser_node, loser_incarnation, loser_row)
VALUES(?1, 'insert', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- name: json_member
SELECT json_quote(?1) || ': ' || CASE typeof(?2) WHEN 'blob' THEN json_object('hex', hex(?2)) ELSE json_quote(?2) END

-- name: counters
SELECT (SELECT count(*) FROM __marmot_log) + (SELECT count(*) FROM __marmot_parked),
       (SELECT count(*) FROM __marmot_version INDEXED BY __marmot_outbox WHERE seq IS NULL),
       (SELECT count(*) FROM __marmot_waiting), (SELECT count(*) FROM __marmot_part),
       (SELECT count(*) FROM __marmot_quarantine), (SELECT count(*) FROM __marmot_conflict)

-- name: meta_get
SELECT value FROM __marmot_meta WHERE key = ?1

-- name: meta_set
INSERT INTO __marmot_meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value

-- name: select_tables
SELECT id, name, hlc, node, incarnation, shape, baseline, seq, stopped FROM __marmot_table ORDER BY id

-- name: update_table
UPDATE __marmot_table SET name = ?2, hlc = ?3, node = ?4, incarnation = ?5, shape = ?6, baseline = ?7, seq = ?8, stopped = ?9 WHERE id = ?1

-- name: schema_objects
SELECT type, name, tbl_name, sql FROM sqlite_schema
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_\_marmot\_%' ESCAPE '\'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid
