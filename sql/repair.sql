-- What repair asks: rows against their versions, and versions against those of other nodes.

-- name: scrub_versions
SELECT key, state FROM __marmot_version WHERE tbl = ?1 AND key > ?2 ORDER BY key LIMIT ?3

-- name: range_registers
SELECT key, hlc, origin, seq, hash, state FROM __marmot_version WHERE tbl = ?1 AND key > ?2 ORDER BY key

-- name: unacknowledge
UPDATE __marmot_version SET seq = NULL WHERE tbl = ?1 AND key = ?2

-- name: log_empty
SELECT NOT EXISTS(SELECT 1 FROM __marmot_log)

-- name: select_members
SELECT node, incarnation, seen, applied FROM __marmot_member ORDER BY node

-- name: put_member
INSERT INTO __marmot_member(node, incarnation, seen, applied) VALUES(?1, ?2, ?3, ?4)
ON CONFLICT(node) DO UPDATE SET incarnation = excluded.incarnation, seen = excluded.seen, applied = excluded.applied

-- name: forget_members
DELETE FROM __marmot_member WHERE seen < ?1
