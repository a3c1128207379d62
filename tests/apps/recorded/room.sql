-- What Room (Android) sends to SQLite for two entities with @PrimaryKey(autoGenerate = true), the second with a foreign key. Its sources say so:
--   the tables, room_master_table and its identity hash: androidx/androidx, room/room-compiler/src/test/test-data/kotlinCodeGen/database_simple.kt
--   INSERT OR ABORT with nullif(?, 0), the id by last_insert_rowid(): insertOrUpsertFunctionAdapter.kt beside it
--   what is done as a connection opens, with TEMP triggers on each table that is observed: InvalidationTracker of room-runtime
-- [migrate]
CREATE TABLE IF NOT EXISTS `Blogs` (`Id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `Name` TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS `Posts` (`Id` INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, `BlogId` INTEGER NOT NULL, `Title` TEXT NOT NULL, FOREIGN KEY(`BlogId`) REFERENCES `Blogs`(`Id`) ON UPDATE NO ACTION ON DELETE CASCADE );
CREATE INDEX IF NOT EXISTS `index_Posts_BlogId` ON `Posts` (`BlogId`);
CREATE TABLE IF NOT EXISTS room_master_table (id INTEGER PRIMARY KEY,identity_hash TEXT);
INSERT OR REPLACE INTO room_master_table (id,identity_hash) VALUES(42, '2b1d4b7a0f3c4e5d6f708192a3b4c5d6');
PRAGMA user_version = 1;
-- [open]
PRAGMA foreign_keys = ON;
SELECT identity_hash FROM room_master_table WHERE id = 42 LIMIT 1;
PRAGMA temp_store = MEMORY;
PRAGMA recursive_triggers='ON';
CREATE TEMP TABLE room_table_modification_log (table_id INTEGER PRIMARY KEY, invalidated INTEGER NOT NULL DEFAULT 0);
INSERT OR IGNORE INTO room_table_modification_log VALUES(0, 0);
CREATE TEMP TRIGGER IF NOT EXISTS `room_table_modification_trigger_blogs_INSERT` AFTER INSERT ON `Blogs` BEGIN UPDATE room_table_modification_log SET invalidated = 1 WHERE table_id = 0 AND invalidated = 0; END;
INSERT OR IGNORE INTO room_table_modification_log VALUES(1, 0);
CREATE TEMP TRIGGER IF NOT EXISTS `room_table_modification_trigger_posts_INSERT` AFTER INSERT ON `Posts` BEGIN UPDATE room_table_modification_log SET invalidated = 1 WHERE table_id = 1 AND invalidated = 0; END;
-- [begin]
BEGIN IMMEDIATE TRANSACTION;
-- [parent]
INSERT OR ABORT INTO `Blogs` (`Id`,`Name`) VALUES (nullif(0, 0),:name);
-- [child]
INSERT OR ABORT INTO `Posts` (`Id`,`BlogId`,`Title`) VALUES (nullif(0, 0),:parent,:text);
-- [commit]
END TRANSACTION;
