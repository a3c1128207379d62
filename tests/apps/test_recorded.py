"""Frameworks that are not at hand here, by the statements that they send; and Prisma, whose client is."""
import os
from pathlib import Path

from cache import PYTHON, cache, install, needs
from case import case
from test_frameworks import better_sqlite3
from test_in_step import families_in_step

RECORDED = Path(__file__).resolve().parent / "recorded"
PRISMA = "7.10.0"


def played(t, name, plain=()):
    families_in_step(t, [PYTHON, RECORDED / "play.py", RECORDED / name], dict(os.environ), ("Blogs", "Name"), ("Posts", "BlogId", "Posts.Title"), plain)


@case("what Entity Framework Core sends, with RETURNING: migrated on one node, eight writers on three in step: every post is its own blog's", seconds=120)
def recorded_efcore(t):
    played(t, "efcore.sql", ["__EFMigrationsLock"])  # whose key is 1


@case("what it sent until version 6, with changes() and last_insert_rowid(): the same", seconds=120, long=True)
def recorded_efcore_6(t):
    played(t, "efcore-6.sql")


@case("what Room sends, with its TEMP triggers: the same", seconds=120)
def recorded_room(t):
    played(t, "room.sql", ["room_master_table"])  # whose key is 42


SCHEMA = """generator client {
  provider = "prisma-client-js"
  output   = "../generated"
}
datasource db {
  provider = "sqlite"
}
model User {
  id    Int    @id @default(autoincrement())
  name  String
  posts Post[]
}
model Post {
  id       Int    @id @default(autoincrement())
  title    String
  author   User   @relation(fields: [authorId], references: [id])
  authorId Int
}
"""
PROGRAM = """
const { PrismaClient } = require("./generated")
const { PrismaBetterSqlite3 } = require("@prisma/adapter-better-sqlite3")
const [db, name, count] = process.argv.slice(2)
const migration = [  // as `prisma migrate diff --from-empty --script` prints it for this schema
  `CREATE TABLE "User" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL)`,
  `CREATE TABLE "Post" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "title" TEXT NOT NULL, "authorId" INTEGER NOT NULL,
    CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE)`]
async function main() {
  const prisma = new PrismaClient({ adapter: new PrismaBetterSqlite3({ url: "file:" + db, timeout: 30000 }) })
  if (name === "make") {
    for (const statement of migration) await prisma.$executeRawUnsafe(statement)
    return
  }
  for (let number = 0; number < Number(count); number++) {
    const titles = [0, 1].map((i) => `${name}-${number} ${i}`)
    const user = await prisma.user.create({ data: { name: `${name}-${number}`, posts: { create: titles.map((title) => ({ title })) } }, include: { posts: true } })
    const [first] = titles
    if (user.name !== `${name}-${number}` || user.posts.map((post) => post.title).join() !== titles.join()) throw new Error(`${first}: ${JSON.stringify(user)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
main().catch((error) => { console.error(error); process.exit(1) })
"""


def prisma():
    """Its client with the query compiler that comes in the package. Its schema engine does not, and is not called for: `generate` only wants to know where
    one stands. better-sqlite3 is the one that the other tests have built."""
    needs("node", "npm")
    work = cache("prisma")
    (work / "prisma").mkdir(exist_ok=True)
    (work / "prisma" / "schema.prisma").write_text(SCHEMA)
    (work / "package.json").write_text('{"name": "tried", "private": true}')
    driver = better_sqlite3() / "better-sqlite3"
    packages = [f"{name}@{PRISMA}" for name in ("prisma", "@prisma/client", "@prisma/adapter-better-sqlite3")]
    install(["npm", "install", "--ignore-scripts", "--silent", "--no-audit", "--no-fund", *packages], work, work / "node_modules" / "prisma" / "build" / "index.js")
    install(["sh", "-c", f"rm -rf node_modules/better-sqlite3 && ln -s '{driver}' node_modules/better-sqlite3 && "
             "PRISMA_SCHEMA_ENGINE_BINARY=/bin/true CHECKPOINT_DISABLE=1 node node_modules/prisma/build/index.js generate"], work, work / "generated" / "index.js")
    (work / "program.js").write_text(PROGRAM)
    return work / "program.js"


@case("Prisma's client: users with two posts by eight writers on three nodes in step: every post is its own user's", seconds=500, long=True)
def prisma_in_step(t):
    families_in_step(t, ["node", prisma()], dict(os.environ), ("User", "name"), ("Post", "authorId", "title"))
