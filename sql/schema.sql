-- Marmot's tables in the application's file. Read this first: everything else reads or writes these.
-- Plain SQL of SQLite 3.35; nothing here needs the extension. `marmot cleanup` drops them all.

-- name: create_internal_tables
CREATE TABLE IF NOT EXISTS __marmot_meta(     -- facts about this file: see the keys in common/replica/meta.hpp
  key TEXT PRIMARY KEY,
  value
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_table(    -- watched tables; triggers are named __marmot_<id>_<event>
  id INTEGER PRIMARY KEY,                     -- here; never used again for another table
  hlc INT, node INT, incarnation INT,         -- permanent table id: the version that created it; NULL until an agent has seen it
  name TEXT NOT NULL,                         -- as last seen
  mode TEXT NOT NULL DEFAULT 'keys',          -- 'keys', or 'full' (old values kept, for change data capture)
  sql TEXT,                                   -- CREATE TABLE as the agent last saw it here: a difference is a schema change; NULL: never yet
  baseline INT NOT NULL DEFAULT 0,            -- 1: every row that stood here when the table was first watched has its version
  rehash INT NOT NULL DEFAULT 0,              -- 1: a column went; the hashes in __marmot_version are to be made again
  stopped TEXT,                               -- why nothing is replicated for this table now; NULL: running
  uniques TEXT                                -- the unique indexes that __marmot_unique was filled for: a difference rebuilds it
);
CREATE TABLE IF NOT EXISTS __marmot_column(   -- which of the table's columns is called what in this file
  tbl INT NOT NULL,                           -- __marmot_table.id
  id TEXT NOT NULL,                           -- the column's permanent id
  name TEXT NOT NULL,                         -- here, as last seen
  PRIMARY KEY(tbl, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_schema(   -- the schema's registers: common/core/schema.hpp
  kind INT NOT NULL,                          -- SchemaKind
  tbl TEXT NOT NULL,                          -- permanent table id; empty for an object
  id TEXT NOT NULL,                           -- of a table: the name it was made under; column id; "index name"; "user_version node"
  hlc INT NOT NULL, node INT NOT NULL, incarnation INT NOT NULL,  -- version; 0: it stood here before this file met a stream
  dropped INT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  position INT NOT NULL,
  seq INT,                                    -- stream sequence of the last message that named it; 0: sent, not yet seen; NULL: to be sent
  here TEXT,                                  -- object: its SQL as this file last had it; NULL: this file has not got it.
                                              -- number: the version of this register that the number in this file replaced, or is
  PRIMARY KEY(kind, tbl, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_log(      -- a queue, written by the triggers, emptied by each drain
  seq INTEGER PRIMARY KEY,
  tbl INT,                                    -- __marmot_table.id
  op INT,                                     -- 1 insert, 2 update, 3 delete: what the trigger saw; it counts only where rowids are keys
  ts INT,                                     -- wall clock, milliseconds since 1970
  k1                                          -- key values; composite keys add k2, k3, ...
);
CREATE TABLE IF NOT EXISTS __marmot_parked(   -- what the log says of a table that is stopped; drained when it resumes
  tbl INT NOT NULL,
  key BLOB NOT NULL,
  ts INT NOT NULL,
  PRIMARY KEY(tbl, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_origin(   -- who has written: a node in one of its lives
  id INTEGER PRIMARY KEY,                     -- here; 0 is "stood here before it was watched"
  node INT NOT NULL,
  incarnation INT NOT NULL,
  unit INT NOT NULL DEFAULT 0,                -- the last unit of this origin that was applied here
  UNIQUE(node, incarnation)
);
CREATE TABLE IF NOT EXISTS __marmot_version(  -- one register a row, live or dead
  tbl INT NOT NULL,
  key BLOB NOT NULL,                          -- canonical key bytes: common/core/key.hpp
  hlc INT NOT NULL,                           -- counter << 48 | milliseconds: Hlc::stored()
  origin INT NOT NULL,                        -- __marmot_origin.id
  seq INT,                                    -- stream sequence of the last message that touched the key; NULL: ours, not yet seen in the stream
  hash INT NOT NULL,                          -- of the row by column name, 64 bits under the key in __marmot_meta; 0 for a tombstone
  state INT NOT NULL,                         -- 0 tombstone, 1 live, 2 live: inserted here, not yet seen in the stream;
                                              -- 3 and 4: as 1 and 2, but on the shelf, not in the table
  PRIMARY KEY(tbl, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS __marmot_outbox ON __marmot_version(tbl, key) WHERE seq IS NULL;
CREATE INDEX IF NOT EXISTS __marmot_dead ON __marmot_version(seq) WHERE state = 0;
CREATE TABLE IF NOT EXISTS __marmot_unique(   -- who holds which unique value, shelved rows too: to find what REPLACE deleted
                                              -- without a trigger, and who is in whose way
  tbl INT NOT NULL,
  idx INT NOT NULL,                           -- 31 bits of the hash of the index's name (of an automatic one, without the table's)
  key BLOB NOT NULL,
  hash INT NOT NULL,                          -- of the indexed values as the index compares them, 64 bits under that key
  PRIMARY KEY(tbl, idx, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS __marmot_unique_hash ON __marmot_unique(tbl, idx, hash);
CREATE TABLE IF NOT EXISTS __marmot_shelf(    -- live rows that are not in their table: in the way of a newer one, or refused
  id INTEGER PRIMARY KEY,
  tbl INT NOT NULL,
  key BLOB NOT NULL,
  row BLOB NOT NULL,                          -- its content: common/core/row.hpp
  kind TEXT NOT NULL,                         -- 'unique': another row has a unique value of it; 'refused': by the table's definition
  reason TEXT NOT NULL,                       -- for people
  at INT NOT NULL,                            -- wall clock, milliseconds
  discard INT NOT NULL DEFAULT 0,             -- 1: somebody asked to delete it everywhere (marmot conflicts discard)
  UNIQUE(tbl, key)
);
CREATE TABLE IF NOT EXISTS __marmot_rowid(    -- rows without a declared key: (life, rowid there) <-> the rowid here
  tbl INT NOT NULL,
  node INT NOT NULL,                          -- the life in which it was first seen (common/core/key.hpp)
  there INT NOT NULL,
  here INT NOT NULL,
  PRIMARY KEY(tbl, node, there)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS __marmot_rowid_here ON __marmot_rowid(tbl, here);
CREATE TABLE IF NOT EXISTS __marmot_copied(   -- one row, under rowid 2: a tool that copies rows without their rowids (.dump, .clone) puts it
                                              -- under 1, and has given rows without a declared key other rowids as well
  made INT NOT NULL                           -- the rowid that it was made under
);
INSERT INTO __marmot_copied(rowid, made) SELECT 2, 2 WHERE NOT EXISTS (SELECT 1 FROM __marmot_copied);
CREATE INDEX IF NOT EXISTS __marmot_copied_keep ON __marmot_copied((1)) WHERE 0;  -- VACUUM leaves the rowid: it leaves those of watched tables too
CREATE TABLE IF NOT EXISTS __marmot_part(     -- staged parts of units that are not whole, or not next, yet; a floor ends their wait
  node INT NOT NULL,
  incarnation INT NOT NULL,
  unit INT NOT NULL,
  part INT NOT NULL,                          -- -1: no part; the unit was passed over, for the stream does not hold it
  seq INT NOT NULL,                           -- its stream sequence
  last INT NOT NULL,                          -- 1: the unit's final part
  kind INT NOT NULL,                          -- codec::Kind
  data BLOB NOT NULL,
  PRIMARY KEY(node, incarnation, unit, part)
);
CREATE INDEX IF NOT EXISTS __marmot_part_dead ON __marmot_part(node, incarnation, unit) WHERE kind = 0;
CREATE TABLE IF NOT EXISTS __marmot_passed(   -- rows that a former life's log tells of and that are as they were, there or not: nobody was told of
                                              -- them; until the file has caught up with the stream (decision 0021)
  tbl INT NOT NULL,
  key BLOB NOT NULL,
  ts INT NOT NULL,                            -- of the last touch, as in __marmot_log
  hlc INT NOT NULL, node INT NOT NULL, incarnation INT NOT NULL,  -- version of the register; 0: there was none
  PRIMARY KEY(tbl, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_waiting(  -- units with rows for a table that is stopped here; applied again when it resumes
  id INTEGER PRIMARY KEY,                     -- in the order in which they came to be applied
  seq INT NOT NULL,                           -- of the message that made it whole and next: several units can have the same
  node INT NOT NULL, incarnation INT NOT NULL, unit INT NOT NULL,
  payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS __marmot_refused(  -- units that came too late for a floor; applied where their sender, who should send again what they hold,
                                              -- begins a new life, or where a later floor passes them
  id INTEGER PRIMARY KEY,                     -- in the order in which they came to be applied
  seq INT NOT NULL,                           -- of the message that made it whole and next
  node INT NOT NULL, incarnation INT NOT NULL, unit INT NOT NULL,
  payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS __marmot_misdated( -- stamps of ours that the stream refused, for they were too far ahead (decision 0032)
  incarnation INT NOT NULL,
  hlc INT NOT NULL,                           -- as Hlc::value
  at INT NOT NULL,                            -- in their place, likewise: JetStream's time of the message that was refused, behind all stamps before it
  PRIMARY KEY(incarnation, hlc)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_touched(  -- when stamps of ours were made in truth, while the clock that others had set was ahead: those from `hlc` on
  hlc INTEGER PRIMARY KEY,                    -- as Hlc::value
  at INT NOT NULL                             -- wall clock, milliseconds; 0: when they say
);
CREATE TABLE IF NOT EXISTS __marmot_reset(    -- `marmot clock reset` in this stream: how stamps of units are lowered that were made without knowing of it
  seq INTEGER PRIMARY KEY,                    -- of its message
  change BLOB NOT NULL                        -- codec::ClockChange
);
CREATE TABLE IF NOT EXISTS __marmot_overruled(-- units that lost against changes of ours with such stamps; applied once more when these have others
  id INTEGER PRIMARY KEY,                     -- in the order in which they were applied
  seq INT NOT NULL,                           -- of the message that made it whole and next
  node INT NOT NULL, incarnation INT NOT NULL, unit INT NOT NULL,
  kind INT NOT NULL,                          -- codec::Kind
  payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS __marmot_pruned(   -- what recognises tombstones that are pruned, should a row come that they beat; the newest of them
  id INTEGER PRIMARY KEY,                     -- in the order in which they were pruned: the lowest go first
  tbl INT NOT NULL,
  hash INT NOT NULL,                          -- of the key, 64 bits under the key in __marmot_meta
  hlc INT NOT NULL,                           -- as in __marmot_version
  origin INT NOT NULL                         -- __marmot_origin.id
);
CREATE UNIQUE INDEX IF NOT EXISTS __marmot_pruned_key ON __marmot_pruned(tbl, hash);
CREATE TABLE IF NOT EXISTS __marmot_buried(   -- tombstones under keys that their tables had before they were given others (decision 0035)
  tbl INT NOT NULL,
  shape BLOB NOT NULL,                        -- what such a key is made of: common/replica/former_key.cpp
  key BLOB NOT NULL,
  hlc INT NOT NULL,                           -- as in __marmot_version
  origin INT NOT NULL,                        -- __marmot_origin.id
  seq INT,                                    -- stream sequence of the last message that told it; 0: sent, not yet seen;
                                              -- NULL: to be sent, before the schema; -1: after it, for the stream does not know the table
  PRIMARY KEY(tbl, shape, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS __marmot_buried_seq ON __marmot_buried(seq);
CREATE TABLE IF NOT EXISTS __marmot_slot(     -- who gives out which ids of AUTOINCREMENT tables: common/core/id_blocks.hpp (decision 0037)
  slot INTEGER PRIMARY KEY,
  generation INT NOT NULL,
  retired INT NOT NULL,                       -- 1: it can be granted again, in its next generation
  owner INT NOT NULL,                         -- node id
  stream INT NOT NULL, place INT NOT NULL,    -- of the claim: stream id and sequence
  seq INT                                     -- as in __marmot_schema
);
CREATE TABLE IF NOT EXISTS __marmot_reach(    -- of slots that were retired: up to which id their owners may have given out ids of a table
  slot INT NOT NULL,
  tbl TEXT NOT NULL,                          -- a permanent id, spelled as in __marmot_schema
  id INT NOT NULL,
  PRIMARY KEY(slot, tbl)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_adopted(  -- tables whose text has the word AUTOINCREMENT from Marmot (decision 0041)
  tbl INTEGER PRIMARY KEY,
  wish INT                                    -- what nobody was told of yet: 1: adopted here, 0: released here
);
CREATE TABLE IF NOT EXISTS __marmot_unfilled( -- full-text indexes that replication made here, and that are still to be filled (decision 0039)
  name TEXT PRIMARY KEY,                      -- as the schema spells it
  failed INT NOT NULL                         -- 1: its content could not be read; 0: it may have been all there
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_pace(     -- how high ids were, a sample a day of the last week
  tbl INT NOT NULL,
  at INT NOT NULL,                            -- wall clock, milliseconds
  highest INT NOT NULL,
  PRIMARY KEY(tbl, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_geometry( -- how the ids of AUTOINCREMENT tables are dealt
  tbl TEXT PRIMARY KEY,                       -- a permanent id, spelled as in __marmot_schema
  number INT NOT NULL,
  start INT NOT NULL,                         -- the first id that it deals
  block INT NOT NULL, slots INT NOT NULL,
  narrow INT NOT NULL,
  at INT NOT NULL,                            -- wall clock, milliseconds
  stream INT NOT NULL, place INT NOT NULL,
  seq INT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_quarantine( -- messages that do not decode; the oldest go (common/replica/quarantine.hpp)
  seq INTEGER PRIMARY KEY,                    -- of the stream
  at INT NOT NULL,                            -- wall clock, milliseconds
  reason TEXT NOT NULL,
  data BLOB NOT NULL,                         -- the first kilobyte
  size INT NOT NULL DEFAULT 0,                -- bytes of the whole
  hash INT NOT NULL DEFAULT 0                 -- of the whole, XXH3-64
);
CREATE TABLE IF NOT EXISTS __marmot_conflict( -- rows that lost where their writers meant to keep them; the oldest go (conflict_log_rows)
  id INTEGER PRIMARY KEY,
  at INT NOT NULL,                            -- wall clock, milliseconds
  kind TEXT NOT NULL,                         -- 'insert': two nodes inserted different rows under one key; 'unique': it held a unique
                                              -- value of a newer row; 'refused': the table's definition did not allow it; others: why
  tbl TEXT NOT NULL,
  key BLOB NOT NULL,                          -- of the loser
  winner_hlc INT, winner_node INT, winner_incarnation INT,  -- NULL: nobody won
  winner_row TEXT,                            -- JSON object by column name: common/core/row.hpp
  loser_hlc INT NOT NULL, loser_node INT NOT NULL, loser_incarnation INT NOT NULL,
  loser_row TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',            -- for people
  UNIQUE(tbl, key, loser_hlc, loser_node, loser_incarnation)
);
CREATE TABLE IF NOT EXISTS __marmot_handled(  -- conflicts that somebody has restored or discarded, on whichever node: no node lists them any more
                                              -- (decision 0040); the oldest go (conflict_log_rows)
  id INTEGER PRIMARY KEY,                     -- in the order in which they became known here
  tbl TEXT NOT NULL,                          -- these five as in __marmot_conflict
  key BLOB NOT NULL,
  loser_hlc INT NOT NULL, loser_node INT NOT NULL, loser_incarnation INT NOT NULL,
  by_node INT NOT NULL,
  at INT NOT NULL,                            -- wall clock there, milliseconds
  seq INT,                                    -- as in __marmot_schema
  UNIQUE(tbl, key, loser_hlc, loser_node, loser_incarnation)
);
CREATE INDEX IF NOT EXISTS __marmot_handled_unsent ON __marmot_handled(id) WHERE seq IS NULL;
CREATE TABLE IF NOT EXISTS __marmot_reread(   -- while the stream is read again after lost history: rows that it has spoken of, and
                                              -- of which this file holds a newer change that it has not got
  tbl INT NOT NULL,
  key BLOB NOT NULL,
  PRIMARY KEY(tbl, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS __marmot_member(   -- who belongs to the cluster: nodes that were heard within `retention`
  node INTEGER PRIMARY KEY,
  incarnation TEXT NOT NULL,                  -- as it calls itself, hexadecimal
  seen INT NOT NULL,                          -- wall clock here, milliseconds
  applied INT NOT NULL                        -- the stream sequence that it had applied then
);
