-- What Entity Framework Core 9 sends to SQLite, with a model of blogs and their posts. Its sources and documents say so:
--   the migration lock and history: dotnet/efcore, src/EFCore.Sqlite.Core/Migrations/Internal/SqliteHistoryRepository.cs
--   INSERT ... RETURNING: dotnet/efcore, test/EFCore.Sqlite.FunctionalTests/Update/StoreValueGenerationSqliteTest.cs
--   BEGIN IMMEDIATE and foreign keys: the documents of Microsoft.Data.Sqlite, "Transactions" and "Connection strings"
-- [migrate]
PRAGMA journal_mode = 'wal';
CREATE TABLE IF NOT EXISTS "__EFMigrationsLock" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK___EFMigrationsLock" PRIMARY KEY,
    "Timestamp" TEXT NOT NULL
);
INSERT OR IGNORE INTO "__EFMigrationsLock"("Id", "Timestamp") VALUES(1, '2026-11-30 12:00:00.0000000+00:00');
SELECT changes();
CREATE TABLE IF NOT EXISTS "__EFMigrationsHistory" (
    "MigrationId" TEXT NOT NULL CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY,
    "ProductVersion" TEXT NOT NULL
);
SELECT COUNT(*) FROM "sqlite_master" WHERE "name" = '__EFMigrationsHistory' AND "type" = 'table';
SELECT "MigrationId", "ProductVersion" FROM "__EFMigrationsHistory" ORDER BY "MigrationId";
BEGIN IMMEDIATE;
CREATE TABLE "Blogs" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_Blogs" PRIMARY KEY AUTOINCREMENT,
    "Name" TEXT NOT NULL
);
CREATE TABLE "Posts" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_Posts" PRIMARY KEY AUTOINCREMENT,
    "Title" TEXT NOT NULL,
    "BlogId" INTEGER NOT NULL,
    CONSTRAINT "FK_Posts_Blogs_BlogId" FOREIGN KEY ("BlogId") REFERENCES "Blogs" ("Id") ON DELETE CASCADE
);
CREATE INDEX "IX_Posts_BlogId" ON "Posts" ("BlogId");
INSERT INTO "__EFMigrationsHistory" ("MigrationId", "ProductVersion") VALUES ('20261130120000_InitialCreate', '9.0.0');
COMMIT;
DELETE FROM "__EFMigrationsLock";
-- [open]
PRAGMA foreign_keys = 1;
-- [begin]
BEGIN IMMEDIATE;
-- [parent]
INSERT INTO "Blogs" ("Name")
VALUES (:name)
RETURNING "Id";
-- [child]
INSERT INTO "Posts" ("BlogId", "Title")
VALUES (:parent, :text)
RETURNING "Id";
-- [commit]
COMMIT;
