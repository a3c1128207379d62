// What neither capture nor the scrub can see, because a row and its version stay in step: only another node knows better.
#include <sqlite3.h>

#include "common/core/key.hpp"
#include "tests/sim/app.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace {

std::string hex_literal(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "x'";
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out + "'";
}

// SQL conditions that find a row of the table, and its version.
struct Target {
  std::string table, row, version;
  std::string key;  // canonical bytes
};

Target target(const std::string& table, int64_t id) {
  std::string key;
  ValueView value;
  value.type = ValueType::integer;
  value.integer = id;
  append_key_part(key, value);
  return {table, "id = " + std::to_string(id),
          "tbl = (SELECT id FROM __marmot_table WHERE name = '" + table + "') AND key = " + hex_literal(key), key};
}

// As a tool does that knows nothing of triggers. Where anything is on its way it would be the row's change, not damage.
bool tamper(sqlite::Database& db, const std::string& when, const std::string& sql) {
  if (!db.exec("BEGIN IMMEDIATE")) return false;
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  const auto still = db.query_integer("SELECT NOT EXISTS(SELECT 1 FROM __marmot_log) AND " + when);
  const bool done = still && *still == 1 && db.exec(sql) && db.exec("COMMIT");
  if (!done) (void)db.exec("ROLLBACK");
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
  return done;
}

}  // namespace

void World::damage() {
  Node& node = any_node();
  const char* const tables[] = {"parent", "child"};
  const std::string table = random.pick(tables);
  const uint64_t which = random.below(1 << 20);
  const uint64_t kind = random.below(3);
  const int64_t later = random.between(100, 1500);
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  const auto id = db->query_integer("SELECT id FROM " + table + " ORDER BY id LIMIT 1 OFFSET " + std::to_string(which) +
                                    " % max(1, (SELECT count(*) FROM " + table + "))");
  if (!id) return;  // no row, or no table yet
  const Target at = target(table, *id);
  const std::string live = "EXISTS(SELECT 1 FROM __marmot_version WHERE " + at.version + " AND state IN (1, 2) AND seq IS NOT NULL)";
  const auto strike = [this, &node, at](const std::string& when, const std::string& sql, const char* what) {
    sqlite::Database* const file = checker(node);
    const Enter inside(disks, node.id, Process::checker);
    if (calm_ || file == nullptr || !tamper(*file, when, sql)) return;
    say(node.id, at.table + " " + at.row + " " + what);
    ledger.damaged(node.id, Place{at.table, at.key});
    count("damage");
    damaged_ = file_lost_ = true;
  };
  if (kind == 0) {
    return strike(live, "UPDATE __marmot_version SET hlc = hlc - 65536 WHERE " + at.version, "has a damaged version");
  }
  if (kind == 1) {
    if (profile.floor_ms != 0) return;  // old rows that some lack may have been deleted: a vote, not a repair
    if (!held_elsewhere(node, at.version)) return;  // what is nowhere any more nobody can bring back
    return strike(live, "DELETE FROM " + at.table + " WHERE " + at.row + "; DELETE FROM __marmot_version WHERE " + at.version, "vanishes");
  }
  const std::string row = "old_" + at.table, version = "old_version_" + at.table;
  const Status kept = db->exec("DROP TABLE IF EXISTS temp." + row + "; DROP TABLE IF EXISTS temp." + version +
                                              "; CREATE TEMP TABLE " + row + " AS SELECT * FROM main." + at.table + " WHERE " + at.row +
                                              "; CREATE TEMP TABLE " + version + " AS SELECT * FROM main.__marmot_version WHERE " +
                                              at.version + " AND " + live);
  if (!kept) return;
  after(later, [strike, live, at, row, version] {
    strike(live + " AND EXISTS(SELECT 1 FROM temp." + row + " WHERE " + at.row + ") AND EXISTS(SELECT 1 FROM temp." + version + " JOIN main.__marmot_version v USING(tbl, key) WHERE v.hlc <> " +
               version + ".hlc AND " + at.version + ")",
           "DELETE FROM main." + at.table + " WHERE " + at.row + "; INSERT INTO main." + at.table + " SELECT * FROM temp." + row +
               "; DELETE FROM main.__marmot_version WHERE " + at.version + "; INSERT INTO main.__marmot_version SELECT * FROM temp." + version,
           "is as it was a while ago, and so is its version");
  });
}

// As a tool does that edits sqlite_schema. Connections that are open have read the schema before, and keep the triggers.
void World::lose_triggers() {
  Node& node = any_node();
  const char* const tables[] = {"parent", "child"};
  const std::string table = random.pick(tables);
  sqlite::Database* const db = profile.scrub ? checker(node) : nullptr;
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  const Status gone = db->exec("PRAGMA writable_schema = ON; DELETE FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = '" + table +
                               "' AND name GLOB '__marmot_[0-9]*_*'; PRAGMA writable_schema = OFF");
  if (!gone) return;
  checkers_.erase(node.id);  // it still has them
  say(node.id, "the triggers of " + table + " are gone");
  count("triggers gone");
}

// The names of tables on which triggers of ours are missing. Empty: none.
std::string World::untriggered(Node& node) {
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return {};
  const Enter scope(disks, node.id, Process::checker);
  const auto names = db->query_text("SELECT coalesce(group_concat(t.name), '') FROM __marmot_table t JOIN main.sqlite_schema s ON s.type = 'table' AND s.name = t.name COLLATE NOCASE"
                                    " WHERE (SELECT count(*) FROM main.sqlite_schema WHERE type = 'trigger' AND name GLOB '__marmot_' || t.id || '_*') <> 3");
  return names ? *names : std::string();
}

// Under the very version: another row of that key does not count.
bool World::held_elsewhere(Node& node, const std::string& version) {
  const std::string live = "SELECT v.hlc || '.' || o.node FROM __marmot_version v JOIN __marmot_origin o ON o.id = v.origin WHERE v.state IN (1, 2) AND v." + version;
  sqlite::Database* const here = checker(node);
  std::string ours;
  {
    const Enter scope(disks, node.id, Process::checker);
    const auto its = here == nullptr ? Result<std::string>(std::string()) : here->query_text(live);
    if (!its || its->empty()) return false;
    ours = *its;
  }
  for (auto& [id, other] : nodes) {
    sqlite::Database* const db = id == node.id ? nullptr : checker(other);
    if (db == nullptr) continue;
    const Enter scope(disks, id, Process::checker);
    const auto theirs = db->query_text(live);
    if (theirs && *theirs == ours) return true;
  }
  return false;
}

void World::divergent(Node& node, const std::string& table) {
  count("divergent");
  // Tombstones of a table that got another key, which some know by that and others by the former one (decision 0035).
  const bool may = profile.rekeys != 0 && sqlite3_strglob(kMovingNames, table.c_str()) == 0;
  if (!damaged_ && !may) fail(node.id, "false alarm: " + table + " is said to differ between nodes, and nothing was damaged");
}

void World::found_equal(int64_t began) { equal_since_ = began; }

}  // namespace marmot::sim
