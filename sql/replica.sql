-- What drain and apply say to the internal tables, once a row or once a unit.
-- __marmot_version.hlc does not sort by time (sql/schema.sql): (hlc & 0xffffffffffff) << 16 | (hlc >> 48 & 0xffff) does.

-- name: select_version
SELECT hlc, origin, seq, hash, state FROM __marmot_version WHERE tbl = ?1 AND key = ?2

-- name: insert_version
INSERT INTO __marmot_version(tbl, key, hlc, origin, seq, hash, state) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- name: update_version
UPDATE __marmot_version SET hlc = ?3, origin = ?4, seq = ?5, hash = ?6, state = ?7 WHERE tbl = ?1 AND key = ?2

-- name: mark_version
UPDATE __marmot_version SET seq = ?3, state = CASE state WHEN 2 THEN 1 WHEN 4 THEN 3 ELSE state END WHERE tbl = ?1 AND key = ?2

-- name: set_row_state
UPDATE __marmot_version SET state = ?3 WHERE tbl = ?1 AND key = ?2

-- name: unmark_version
UPDATE __marmot_version SET seq = NULL WHERE tbl = ?1 AND key = ?2

-- name: versions_after
SELECT key, hlc, origin, seq, hash, state FROM __marmot_version WHERE tbl = ?1 AND key > ?2 ORDER BY key LIMIT ?3

-- name: delete_version
DELETE FROM __marmot_version WHERE tbl = ?1 AND key = ?2

-- name: select_pruned
SELECT tbl, key, hlc, origin FROM __marmot_version INDEXED BY __marmot_dead
WHERE state = 0 AND seq <= ?1 AND tbl NOT IN (SELECT id FROM __marmot_table WHERE stopped IS NOT NULL) LIMIT ?2

-- name: pruned_put
INSERT OR REPLACE INTO __marmot_pruned(tbl, hash, hlc, origin) VALUES(?1, ?2, ?3, ?4)

-- name: pruned_drop_oldest
DELETE FROM __marmot_pruned WHERE id <= (SELECT max(id) FROM __marmot_pruned) - ?1 RETURNING hlc

-- name: pruned_drop_table
DELETE FROM __marmot_pruned WHERE tbl = ?1 RETURNING hlc

-- name: pruned_of_key
SELECT hlc, origin FROM __marmot_pruned WHERE tbl = ?1 AND hash = ?2

-- name: pruned_after
SELECT id, tbl, hash, hlc, origin FROM __marmot_pruned WHERE id > ?1 ORDER BY id LIMIT ?2

-- name: former_of_key
SELECT hlc, origin FROM __marmot_buried WHERE tbl = ?1 AND shape = ?2 AND key = ?3

-- name: former_put
INSERT INTO __marmot_buried(tbl, shape, key, hlc, origin, seq) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT(tbl, shape, key) DO UPDATE SET hlc = excluded.hlc, origin = excluded.origin, seq = excluded.seq

-- name: former_unsent
SELECT tbl, shape, key, hlc, origin FROM __marmot_buried INDEXED BY __marmot_buried_seq WHERE seq IS ?1 ORDER BY tbl, shape, key

-- name: former_sent
UPDATE __marmot_buried SET seq = 0 WHERE seq IS ?1 AND tbl = ?2

-- name: former_again
UPDATE __marmot_buried SET seq = NULL WHERE seq = 0

-- Few of a table, and asked with each unit: it steps from one to the next, for there may be many tombstones of each.
-- name: former_shapes
WITH RECURSIVE shapes(shape) AS (SELECT min(shape) FROM __marmot_buried WHERE tbl = ?1 UNION ALL
SELECT (SELECT min(shape) FROM __marmot_buried WHERE tbl = ?1 AND shape > shapes.shape) FROM shapes WHERE shapes.shape IS NOT NULL)
SELECT shape FROM shapes WHERE shape IS NOT NULL

-- name: former_all
SELECT shape, key, hlc, origin, seq FROM __marmot_buried WHERE tbl = ?1

-- The tombstones of a table that gets another key. ?3: those of this origin are on their way; ?4: of others that nobody told.
-- name: former_take
INSERT OR REPLACE INTO __marmot_buried(tbl, shape, key, hlc, origin, seq)
SELECT tbl, ?2, key, hlc, origin, coalesce(seq, iif(origin = ?3, 0, ?4)) FROM __marmot_version WHERE tbl = ?1 AND state = 0

-- And of one that has gone back to a former key.
-- name: former_give_back
INSERT OR IGNORE INTO __marmot_version(tbl, key, hlc, origin, seq, hash, state)
SELECT tbl, key, hlc, origin, iif(seq > 0, seq, NULL), 0, 0 FROM __marmot_buried WHERE tbl = ?1 AND shape = ?2

-- name: former_forget
DELETE FROM __marmot_buried WHERE tbl = ?1 AND shape = ?2

-- name: former_prune
DELETE FROM __marmot_buried WHERE (tbl, shape, key) IN (SELECT tbl, shape, key FROM __marmot_buried INDEXED BY __marmot_buried_seq
WHERE seq BETWEEN 1 AND ?1 AND tbl NOT IN (SELECT id FROM __marmot_table WHERE stopped IS NOT NULL) LIMIT ?2) RETURNING hlc

-- name: tombstone_up_to
SELECT EXISTS(SELECT 1 FROM __marmot_version INDEXED BY __marmot_dead WHERE state = 0 AND seq <= ?1)
    OR EXISTS(SELECT 1 FROM __marmot_buried INDEXED BY __marmot_buried_seq WHERE seq BETWEEN 1 AND ?1)

-- Rows that some stream had, and of which this one has not spoken.
-- name: select_unsent
SELECT tbl, key FROM __marmot_version INDEXED BY __marmot_outbox
WHERE seq IS NULL AND state IN (1, 3) AND origin <> 0 AND ((hlc & 0xffffffffffff) << 16 | (hlc >> 48 & 0xffff)) < ?1
AND (tbl, key) NOT IN (SELECT tbl, key FROM __marmot_reread)

-- name: reread
INSERT OR IGNORE INTO __marmot_reread(tbl, key) VALUES(?1, ?2)

-- name: forget_reread
DELETE FROM __marmot_reread

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

-- name: pass_over
INSERT OR REPLACE INTO __marmot_passed(tbl, key, ts, hlc, node, incarnation) VALUES(?1, ?2, ?3, ?4, ?5, ?6)

-- name: passed_over
SELECT tbl, key, ts, hlc, node, incarnation FROM __marmot_passed

-- name: forget_passed
DELETE FROM __marmot_passed WHERE (tbl, key) IN (SELECT tbl, key FROM __marmot_passed LIMIT ?1)

-- name: unique_of_key
SELECT hash FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND key = ?3

-- name: unique_holders
SELECT key FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND hash = ?3 AND key <> ?4

-- name: unique_put
INSERT INTO __marmot_unique(tbl, idx, key, hash) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(tbl, idx, key) DO UPDATE SET hash = excluded.hash

-- name: unique_remove
DELETE FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND key = ?3

-- name: unique_indexes_of
SELECT DISTINCT idx FROM __marmot_unique WHERE tbl = ?1

-- name: unique_drop_index
DELETE FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2

-- name: unique_duplicates
SELECT key FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 AND hash IN
  (SELECT hash FROM __marmot_unique WHERE tbl = ?1 AND idx = ?2 GROUP BY hash HAVING count(*) > 1)

-- name: shelved_holders
SELECT u.key FROM __marmot_unique u JOIN __marmot_shelf s ON s.tbl = u.tbl AND s.key = u.key
WHERE u.tbl = ?1 AND u.idx = ?2 AND u.hash = ?3

-- name: shelf_put
INSERT INTO __marmot_shelf(tbl, key, row, kind, reason, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT(tbl, key) DO UPDATE SET row = excluded.row, kind = excluded.kind, reason = excluded.reason

-- name: shelf_get
SELECT row, kind, reason FROM __marmot_shelf WHERE tbl = ?1 AND key = ?2

-- name: shelf_remove
DELETE FROM __marmot_shelf WHERE tbl = ?1 AND key = ?2

-- name: shelf_keys
SELECT key FROM __marmot_shelf WHERE tbl = ?1 ORDER BY key

-- name: shelf_count
SELECT count(*) FROM __marmot_shelf

-- name: shelf_discarded
SELECT EXISTS(SELECT 1 FROM __marmot_shelf WHERE discard)

-- name: shelf_to_retire
SELECT s.tbl, s.key FROM __marmot_shelf s JOIN __marmot_version v ON v.tbl = s.tbl AND v.key = s.key
JOIN __marmot_origin o ON o.id = v.origin
WHERE s.discard OR (?2 AND s.kind = 'unique' AND o.node = ?1 AND v.seq IS NOT NULL) ORDER BY s.tbl, s.key

-- name: select_uniques
SELECT uniques FROM __marmot_table WHERE id = ?1

-- name: update_uniques
UPDATE __marmot_table SET uniques = ?2 WHERE id = ?1

-- name: rowid_by_here
SELECT node, there FROM __marmot_rowid WHERE tbl = ?1 AND here = ?2

-- name: rowid_by_there
SELECT here FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2 AND there = ?3

-- A rowid that was free is nobody else's: who is still noted for it was replaced unseen, and the scrub finds that.
-- name: rowid_put
INSERT OR REPLACE INTO __marmot_rowid(tbl, node, there, here) VALUES(?1, ?2, ?3, ?4)

-- name: rowid_remove
DELETE FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2 AND there = ?3

-- name: rowid_next
SELECT coalesce(max(there), 0) + 1 FROM __marmot_rowid WHERE tbl = ?1 AND node = ?2

-- name: copied_without_rowids
SELECT NOT EXISTS (SELECT 1 FROM __marmot_copied WHERE rowid = 2)

-- name: copy_is_known
UPDATE __marmot_copied SET rowid = 2

-- name: rowids_of_table
SELECT node, there, here FROM __marmot_rowid WHERE tbl = ?1

-- name: stages_up_to
SELECT EXISTS(SELECT 1 FROM __marmot_part WHERE seq <= ?1) OR EXISTS(SELECT 1 FROM __marmot_refused WHERE seq <= ?1)

-- name: stage_part
INSERT OR IGNORE INTO __marmot_part(node, incarnation, unit, part, seq, last, kind, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- Whether reading a unit's parts is worth it: it is dead, or its last part is here, and none before it is missing. Asked after each part:
-- their data is not touched.
-- name: parts_suffice
SELECT EXISTS(SELECT 1 FROM __marmot_part INDEXED BY __marmot_part_dead WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 AND kind = 0)
    OR EXISTS(SELECT 1 FROM (SELECT part, last FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 AND part >= 0 ORDER BY part DESC LIMIT 1)
              WHERE last = 1 AND part + 1 = (SELECT count(*) FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 AND part >= 0))

-- Staged units of one part, behind another one, that are as small as a mark.
-- name: small_units
SELECT unit, kind, data FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit > ?3 AND part = 0 AND last = 1 AND length(data) <= ?4 ORDER BY unit

-- name: staged_parts
SELECT part, last, kind, data, seq FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 AND part >= 0 ORDER BY part

-- The last unit of an origin, behind another one, that is whole.
-- name: last_whole_unit
SELECT unit FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit > ?3 AND part >= 0
  GROUP BY unit HAVING min(kind) > 0 AND count(*) = max(iif(last, part, -2)) + 1 ORDER BY unit DESC LIMIT 1

-- name: staged_origins
SELECT DISTINCT node, incarnation FROM __marmot_part WHERE part >= 0 ORDER BY node, incarnation

-- name: is_gone
SELECT EXISTS(SELECT 1 FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3 AND part = -1)

-- name: all_parts
SELECT node, incarnation, unit, part, seq, last, kind, data FROM __marmot_part

-- name: drop_staged
DELETE FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit <= ?3

-- name: drop_unit
DELETE FROM __marmot_part WHERE node = ?1 AND incarnation = ?2 AND unit = ?3

-- name: former_units
SELECT DISTINCT node, incarnation, unit FROM __marmot_part WHERE node = ?1 AND incarnation <> ?2 ORDER BY incarnation, unit

-- Of each origin all up to the last one of which a part stands at or below a message.
-- name: units_up_to
SELECT DISTINCT p.node, p.incarnation, p.unit FROM __marmot_part p JOIN
  (SELECT node, incarnation, max(unit) AS last FROM __marmot_part WHERE seq <= ?1 GROUP BY node, incarnation) o
  ON o.node = p.node AND o.incarnation = p.incarnation WHERE p.unit <= o.last ORDER BY p.node, p.incarnation, p.unit

-- name: note_unfilled
INSERT OR REPLACE INTO __marmot_unfilled(name, failed) VALUES(?1, ?2)

-- name: select_unfilled
SELECT name, failed FROM __marmot_unfilled

-- name: count_unfilled
SELECT count(*) FROM __marmot_unfilled

-- name: delete_unfilled
DELETE FROM __marmot_unfilled WHERE name = ?1

-- name: rename_unfilled
UPDATE OR REPLACE __marmot_unfilled SET name = ?2 WHERE name = ?1

-- name: quarantine
INSERT OR REPLACE INTO __marmot_quarantine(seq, at, reason, data, size, hash) VALUES(?1, ?2, ?3, ?4, ?5, ?6)

-- name: quarantine_drop_oldest
DELETE FROM __marmot_quarantine WHERE seq IN (SELECT seq FROM __marmot_quarantine ORDER BY at DESC, seq DESC LIMIT -1 OFFSET ?1)

-- name: wait
INSERT INTO __marmot_waiting(seq, node, incarnation, unit, payload) VALUES(?1, ?2, ?3, ?4, ?5)

-- name: refuse
INSERT INTO __marmot_refused(seq, node, incarnation, unit, payload) VALUES(?1, ?2, ?3, ?4, ?5)

-- name: refused_drop_oldest
DELETE FROM __marmot_refused WHERE id <= (SELECT max(id) FROM __marmot_refused) - ?1

-- name: refused_of_former_lives
SELECT id, node, incarnation, unit, payload FROM __marmot_refused WHERE node = ?1 AND incarnation <> ?2 ORDER BY id LIMIT 1

-- name: refused_up_to
SELECT id, node, incarnation, unit, payload FROM __marmot_refused WHERE seq <= ?1 ORDER BY id LIMIT 1

-- name: delete_refused
DELETE FROM __marmot_refused WHERE id = ?1

-- The highest stamp that the stream is known to hold, but for those beyond the year 2200.
-- name: newest_seen
SELECT coalesce(max((hlc & 0xffffffffffff) << 16 | (hlc >> 48 & 0xffff)), 0) FROM __marmot_version
WHERE seq IS NOT NULL AND (hlc & 0xffffffffffff) < 7258118400000

-- name: misdate
INSERT OR IGNORE INTO __marmot_misdated(incarnation, hlc, at) VALUES(?1, ?2, ?3)

-- name: select_misdated
SELECT incarnation, hlc, at FROM __marmot_misdated

-- name: any_misdated
SELECT EXISTS(SELECT 1 FROM __marmot_misdated)

-- name: forget_misdated
DELETE FROM __marmot_misdated

-- name: unsent_versions
SELECT tbl, key, hlc, origin, state FROM __marmot_version INDEXED BY __marmot_outbox WHERE seq IS NULL AND origin <> 0

-- name: redate_version
UPDATE __marmot_version SET hlc = ?3, origin = ?4 WHERE tbl = ?1 AND key = ?2

-- name: unsent_buried
SELECT tbl, shape, key, hlc, origin FROM __marmot_buried WHERE (seq IS NULL OR seq <= 0) AND origin <> 0

-- name: redate_buried
UPDATE __marmot_buried SET hlc = ?4, origin = ?5 WHERE tbl = ?1 AND shape = ?2 AND key = ?3

-- name: note_touched
INSERT OR REPLACE INTO __marmot_touched(hlc, at) VALUES(?1, ?2)

-- name: touched_drop_oldest
DELETE FROM __marmot_touched WHERE hlc < (SELECT hlc FROM __marmot_touched ORDER BY hlc DESC LIMIT 1 OFFSET ?1)

-- name: touched_at
SELECT at FROM __marmot_touched WHERE hlc <= ?1 ORDER BY hlc DESC LIMIT 1

-- name: stamps_ahead
SELECT hlc, count(*) FROM (SELECT hlc FROM __marmot_version WHERE (hlc & 0xffffffffffff) >= ?1
  UNION ALL SELECT hlc FROM __marmot_buried WHERE (hlc & 0xffffffffffff) >= ?1
  UNION ALL SELECT hlc FROM __marmot_pruned WHERE (hlc & 0xffffffffffff) >= ?1) GROUP BY hlc

-- name: registers_ahead
SELECT hlc, count(*) FROM __marmot_schema WHERE hlc >= ?1 << 16 GROUP BY hlc

-- name: keep_reset
INSERT INTO __marmot_reset(seq, change) VALUES(?1, ?2)

-- name: all_resets
SELECT seq, change FROM __marmot_reset ORDER BY seq

-- name: resets_drop_oldest
DELETE FROM __marmot_reset WHERE seq < (SELECT seq FROM __marmot_reset ORDER BY seq DESC LIMIT 1 OFFSET ?1)

-- name: forget_resets
DELETE FROM __marmot_reset WHERE seq > ?1

-- name: waiting_kept
SELECT id, 3, payload FROM __marmot_waiting WHERE id > ?1 ORDER BY id LIMIT 1

-- name: waiting_restamp
UPDATE __marmot_waiting SET payload = ?2 WHERE id = ?1

-- name: refused_kept
SELECT id, 3, payload FROM __marmot_refused WHERE id > ?1 ORDER BY id LIMIT 1

-- name: refused_restamp
UPDATE __marmot_refused SET payload = ?2 WHERE id = ?1

-- name: overruled_kept
SELECT id, kind, payload FROM __marmot_overruled WHERE id > ?1 ORDER BY id LIMIT 1

-- name: overruled_restamp
UPDATE __marmot_overruled SET payload = ?2 WHERE id = ?1

-- name: overrule
INSERT INTO __marmot_overruled(seq, node, incarnation, unit, kind, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6)

-- name: overruled_drop_oldest
DELETE FROM __marmot_overruled WHERE id <= (SELECT max(id) FROM __marmot_overruled) - ?1

-- name: overruled_after
SELECT id, seq, node, incarnation, unit, kind, payload FROM __marmot_overruled WHERE id > ?1 ORDER BY id LIMIT 1

-- name: forget_overruled
DELETE FROM __marmot_overruled

-- name: all_refused
SELECT seq, node, incarnation, unit, payload FROM __marmot_refused ORDER BY id

-- name: select_waiting
SELECT id, seq, node, incarnation, unit, payload FROM __marmot_waiting WHERE id > ?1 ORDER BY id LIMIT 1

-- name: delete_waiting
DELETE FROM __marmot_waiting WHERE id = ?1

-- name: conflict
INSERT OR IGNORE INTO __marmot_conflict(at, kind, tbl, key, winner_hlc, winner_node, winner_incarnation, winner_row,
                                        loser_hlc, loser_node, loser_incarnation, loser_row, reason)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)

-- name: conflict_count
SELECT count(*) FROM __marmot_conflict

-- name: drop_oldest_conflicts
DELETE FROM __marmot_conflict WHERE id IN (SELECT id FROM __marmot_conflict ORDER BY id LIMIT ?1)

-- A table is known by its name here, whatever the case that another node spells it in.
-- name: conflict_forget
DELETE FROM __marmot_conflict WHERE tbl IN (SELECT ?1 UNION SELECT name FROM __marmot_table WHERE name = ?1 COLLATE NOCASE) AND key = ?2
  AND loser_hlc = ?3 AND loser_node = ?4 AND loser_incarnation = ?5

-- name: handled_find
SELECT 1 FROM __marmot_handled WHERE tbl IN (SELECT ?1 UNION SELECT name FROM __marmot_table WHERE name = ?1 COLLATE NOCASE) AND key = ?2
  AND loser_hlc = ?3 AND loser_node = ?4 AND loser_incarnation = ?5

-- Of two that say it the earlier one stays.
-- name: handled_put
INSERT INTO __marmot_handled(tbl, key, loser_hlc, loser_node, loser_incarnation, by_node, at, seq)
VALUES(coalesce((SELECT name FROM __marmot_table WHERE name = ?1 COLLATE NOCASE), ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO UPDATE SET seq = max(coalesce(seq, excluded.seq), coalesce(excluded.seq, seq)), at = min(at, excluded.at),
  by_node = iif((excluded.at, excluded.by_node) < (at, by_node), excluded.by_node, by_node)

-- name: handled_unsent
SELECT tbl, key, loser_hlc, loser_node, loser_incarnation, by_node, at, id FROM __marmot_handled INDEXED BY __marmot_handled_unsent
WHERE seq IS NULL ORDER BY id LIMIT ?1

-- name: handled_sent
UPDATE __marmot_handled SET seq = 0 WHERE seq IS NULL AND id <= ?1

-- name: handled_any_unsent
SELECT EXISTS(SELECT 1 FROM __marmot_handled INDEXED BY __marmot_handled_unsent WHERE seq IS NULL)

-- name: handled_all
SELECT tbl, key, loser_hlc, loser_node, loser_incarnation, by_node, at, seq FROM __marmot_handled ORDER BY id

-- name: handled_drop_oldest
DELETE FROM __marmot_handled WHERE id <= (SELECT max(id) FROM __marmot_handled) - ?1

-- name: counters
SELECT (SELECT count(*) FROM __marmot_log) + (SELECT count(*) FROM __marmot_parked),
       (SELECT count(*) FROM __marmot_version INDEXED BY __marmot_outbox WHERE seq IS NULL)
         + (SELECT count(*) FROM __marmot_buried INDEXED BY __marmot_buried_seq WHERE seq IS NULL OR seq <= 0),
       (SELECT count(*) FROM __marmot_waiting), (SELECT count(*) FROM __marmot_part WHERE part >= 0 AND kind <> 0),
       (SELECT count(*) FROM __marmot_quarantine) + coalesce((SELECT value FROM __marmot_meta WHERE key = 'quarantine_dropped'), 0), (SELECT count(*) FROM __marmot_conflict), (SELECT count(*) FROM __marmot_shelf),
       (SELECT count(*) FROM __marmot_part WHERE part < 0)

-- name: meta_get
SELECT value FROM __marmot_meta WHERE key = ?1

-- name: meta_set
INSERT INTO __marmot_meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value

-- name: select_tables
SELECT id, name, hlc, node, incarnation, sql FROM __marmot_table ORDER BY id

-- name: update_table
UPDATE __marmot_table SET name = ?2, hlc = ?3, node = ?4, incarnation = ?5, sql = ?6, baseline = ?7, rehash = ?8, stopped = ?9 WHERE id = ?1

-- name: save_local_table
UPDATE __marmot_table SET name = ?2, hlc = ?3, node = ?4, incarnation = ?5, sql = ?6 WHERE id = ?1

-- name: select_columns
SELECT id, name FROM __marmot_column WHERE tbl = ?1

-- name: put_column
INSERT INTO __marmot_column(tbl, id, name) VALUES(?1, ?2, ?3)

-- name: forget_columns
DELETE FROM __marmot_column WHERE tbl = ?1

-- name: select_schema
SELECT kind, tbl, id, hlc, node, incarnation, dropped, name, body, position, seq, here FROM __marmot_schema

-- name: put_schema
INSERT INTO __marmot_schema(kind, tbl, id, hlc, node, incarnation, dropped, name, body, position, seq)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO UPDATE SET hlc = excluded.hlc, node = excluded.node,
incarnation = excluded.incarnation, dropped = excluded.dropped, name = excluded.name, body = excluded.body,
position = excluded.position, seq = excluded.seq

-- name: set_schema_seq
UPDATE __marmot_schema SET seq = ?4 WHERE kind = ?1 AND tbl = ?2 AND id = ?3

-- name: set_schema_here
UPDATE __marmot_schema SET here = ?3 WHERE kind = ?1 AND tbl = '' AND id = ?2

-- name: remove_schema
DELETE FROM __marmot_schema WHERE kind = ?1 AND tbl = ?2 AND id = ?3

-- name: select_slots
SELECT slot, generation, retired, owner, stream, place, seq FROM __marmot_slot

-- name: put_slot
INSERT OR REPLACE INTO __marmot_slot(slot, generation, retired, owner, stream, place, seq) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)

-- name: select_geometries
SELECT tbl, number, start, block, slots, narrow, at, stream, place, seq FROM __marmot_geometry

-- name: put_geometry
INSERT OR REPLACE INTO __marmot_geometry(tbl, number, start, block, slots, narrow, at, stream, place, seq)
VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)

-- name: put_reach
INSERT OR REPLACE INTO __marmot_reach(slot, tbl, id) VALUES(?1, ?2, ?3)

-- name: select_reach
SELECT tbl, id FROM __marmot_reach WHERE slot = ?1

-- name: next_id_after
SELECT seq FROM sqlite_sequence WHERE name = ?1

-- name: move_next_id
UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1

-- name: make_next_id
INSERT INTO sqlite_sequence(name, seq) VALUES(?1, ?2)

-- name: has_adopted
SELECT count(*) FROM sqlite_schema WHERE name = '__marmot_adopted'

-- name: select_adopted
SELECT tbl, wish FROM __marmot_adopted

-- name: wish_adopted
INSERT INTO __marmot_adopted(tbl, wish) VALUES(?1, ?2) ON CONFLICT(tbl) DO UPDATE SET wish = ?2

-- name: forget_adopted
DELETE FROM __marmot_adopted WHERE tbl = ?1

-- name: told_adopted
INSERT OR REPLACE INTO __marmot_adopted(tbl) VALUES(?1)

-- name: adopted_tables
SELECT t.name FROM __marmot_adopted AS a JOIN __marmot_table AS t ON t.id = a.tbl WHERE a.wish IS NOT 0

-- name: count_collisions
SELECT tbl, count(*), min(at) FROM __marmot_conflict WHERE kind = 'insert' GROUP BY tbl ORDER BY tbl

-- name: has_pace
SELECT count(*) FROM sqlite_schema WHERE name IN ('__marmot_pace', 'sqlite_sequence')

-- name: select_pace
SELECT t.name, s.seq, p.at, p.highest FROM __marmot_pace AS p JOIN __marmot_table AS t ON t.id = p.tbl JOIN sqlite_sequence AS s ON s.name = t.name
WHERE p.at = (SELECT min(at) FROM __marmot_pace WHERE tbl = p.tbl) ORDER BY t.name

-- name: newest_pace
SELECT coalesce(max(at), 0) FROM __marmot_pace WHERE tbl = ?1

-- name: put_pace
INSERT OR REPLACE INTO __marmot_pace(tbl, at, highest) VALUES(?1, ?2, ?3)

-- name: prune_pace
DELETE FROM __marmot_pace WHERE tbl = ?1 AND (at > ?2 OR at < (SELECT max(at) FROM __marmot_pace WHERE tbl = ?1 AND at <= ?3))

-- name: brought_along
SELECT key, hash FROM __marmot_version WHERE tbl = ?1 AND origin = 0 AND state = 1 AND seq IS NULL

-- name: live_keys
SELECT key, hash FROM __marmot_version WHERE tbl = ?1 AND state IN (1, 2)

-- name: sent_keys
SELECT key FROM __marmot_version WHERE tbl = ?1 AND state IN (1, 2) AND seq IS NOT NULL

-- name: set_hash
UPDATE __marmot_version SET hash = ?3 WHERE tbl = ?1 AND key = ?2

-- Tables, then what hangs on them; views and triggers may name tables that are missing.
-- name: schema_objects
SELECT type, name, tbl_name, sql, rootpage FROM main.sqlite_schema
WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE '\_\_marmot\_%' ESCAPE '\'
ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid
