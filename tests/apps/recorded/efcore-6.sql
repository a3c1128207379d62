-- What Entity Framework Core up to 6 sends to SQLite, with the same model: the id is asked for in a statement of its own, and only where
-- changes() says that one row was written. So say its documents of change tracking (dotnet/EntityFramework.Docs, "Explicitly tracking entities"),
-- and github.com/dotnet/efcore/issues/24835.
-- [migrate]
CREATE TABLE "__EFMigrationsHistory" (
    "MigrationId" TEXT NOT NULL CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY,
    "ProductVersion" TEXT NOT NULL
);
BEGIN;
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
INSERT INTO "__EFMigrationsHistory" ("MigrationId", "ProductVersion") VALUES ('20261130120000_InitialCreate', '6.0.0');
COMMIT;
-- [open]
PRAGMA foreign_keys = 1;
-- [begin]
BEGIN IMMEDIATE;
-- [parent]
INSERT INTO "Blogs" ("Name")
VALUES (:name);
SELECT "Id"
FROM "Blogs"
WHERE changes() = 1 AND "rowid" = last_insert_rowid();
-- [child]
INSERT INTO "Posts" ("BlogId", "Title")
VALUES (:parent, :text);
SELECT "Id"
FROM "Posts"
WHERE changes() = 1 AND "rowid" = last_insert_rowid();
-- [commit]
COMMIT;
