#include "tests/sim/moving.hpp"

#include <algorithm>

#include "common/replica/column_id.hpp"
#include "common/replica/local_schema.hpp"
#include "common/replica/registers.hpp"
#include "tests/sim/ledger.hpp"

namespace marmot::sim {

namespace {

// The higher one is what a node keeps: that a table was dropped, whatever else was made of it.
std::pair<bool, Version> rank(const SchemaRegister& one) { return {one.kind == SchemaKind::table && one.dropped, one.version}; }

Result<std::vector<std::string>> moving_tables(sqlite::Database& db) {
  TRY_ASSIGN(auto select, db.prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name GLOB '" + std::string(kMovingNames) +
                                     "' AND name NOT GLOB '__marmot*' ORDER BY name"));
  std::vector<std::string> out;
  for (;;) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) return out;
    out.emplace_back(select.text(0));
  }
}

std::string key_of(int64_t id) {
  std::string key;
  append_key_part(key, ValueView::of_integer(id));
  return key;
}

// Tables may change which of their columns is the key: a row goes by its id all the same.
std::string by_id(std::string_view key) {
  const auto decoded = decode_key(key);
  if (!decoded || decoded->is_rowid) return std::string(key);
  for (const ValueView& part : decoded->parts) {
    if (part.type == ValueType::text && part.bytes.size() == 2 && part.bytes[0] == 'k') return key_of(part.bytes[1] - '0');
  }
  return std::string(key);
}

bool is_written(const std::string& text) { return !text.empty() && text[0] == 'x'; }

}  // namespace

Result<Writes> read_writes(sqlite::Database& db) {
  Writes out;
  TRY_ASSIGN(const auto tables, moving_tables(db));
  for (const std::string& table : tables) {
    TRY_ASSIGN(auto select, db.prepare("SELECT w FROM " + sqlite::quote_identifier(table)));
    for (;;) {
      TRY_ASSIGN(const bool more, select.step());
      if (!more) break;
      out.insert(select.integer(0));
    }
  }
  return out;
}

Result<std::string> Moving::print_rows(sqlite::Database& db) {
  std::string out;
  TRY_ASSIGN(const auto tables, moving_tables(db));
  for (const std::string& table : tables) {
    TRY_ASSIGN(auto select, db.prepare("SELECT * FROM " + sqlite::quote_identifier(table) + " ORDER BY id"));
    for (;;) {
      TRY_ASSIGN(const bool more, select.step());
      if (!more) break;
      out += table + ":";
      for (int i = 0; i < select.columns(); ++i) out += " " + print_cell(Cell::of(select.value(i)));
      out += "\n";
    }
  }
  return out;
}

// -- what happens -----------------------------------------------------------------------------------------------------

void Moving::commit(int node, int64_t number, Fate fate, const Writes& before, const Writes& after, bool drops, int64_t user_version) {
  Committed one{number, fate, {}, {}, drops, user_version};
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::inserter(one.added, one.added.end()));
  std::set_difference(before.begin(), before.end(), after.begin(), after.end(), std::inserter(one.removed, one.removed.end()));
  commits_[node].push_back(std::move(one));
}

void Moving::recovered(int node, int64_t number) {
  for (Committed& commit : commits_[node]) {
    if (commit.number > number) commit.fate = Fate::rolled_back;
    else if (commit.fate == Fate::unknown) commit.fate = Fate::committed;
  }
}

void Moving::published_row(const std::string& msg_id, const UnitTable& table, const Unit& unit, const UnitRow& row) {
  Register value;
  for (size_t i = 0; i < table.columns.size() && row.op != Op::remove; ++i) {
    const ValueView& cell = unit.values[row.first_value + i];
    if (table.columns[i] == "w") value.write = cell.integer;
    if (cell.type == ValueType::text) value.texts[std::string(replica::column_base(table.columns[i]))] = std::string(cell.bytes);
  }
  const Key key{table.id, by_id(row.key)};
  const Version& version = unit.versions[row.version];
  units_[msg_id].emplace_back(key, version);
  if (value.write != 0) by_write_[value.write].emplace(key, version);
  registers_[key.first][key.second].emplace(version, std::move(value));
}

// Our triggers say which table it is, whatever name the agent last knew.
void Moving::drops(sqlite::Database& db, const std::string& table) {
  const std::string on = "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = " + sqlite::quote_text(table) + " AND name GLOB '__marmot_' || ";
  const auto locals = replica::read_local_tables(db);
  if (!locals) return;  // no agent ran there yet
  for (const auto& local : *locals) {
    const auto its = db.query_integer(on + "'" + std::to_string(local.id) + "_*'");
    if (local.permanent_id && its && *its == 1) app_dropped_.insert(*local.permanent_id);
  }
}

// A tool that commits in between gives its copy the name of the one that it dropped: then the copy is what is told to be dropped.
std::string Moving::published_schema(const std::string& msg_id, const std::vector<SchemaRegister>& registers) {
  auto& its = schemas_[msg_id];
  its.insert(its.end(), registers.begin(), registers.end());
  if (!watch_drops) return {};
  for (const SchemaRegister& one : registers) {
    if (one.kind != SchemaKind::table || !one.dropped || dropped_.count(one.table) != 0 || one.name.rfind("_alembic_tmp_", 0) == 0) continue;
    const auto is_it = [&](const Version& dropped) { return dropped == one.table || root_of(dropped) == root_of(one.table); };
    if (std::none_of(app_dropped_.begin(), app_dropped_.end(), is_it)) return "table " + one.name + " is told to be dropped, which no application did";
  }
  return {};
}

void Moving::stored(const std::string& msg_id) {
  ++order_;
  if (const auto unit = units_.find(msg_id); unit != units_.end()) {
    for (const auto& [key, version] : unit->second) {
      uint64_t& when = registers_[key.first][key.second][version].stored;
      if (when == 0) when = order_;
    }
  }
  const auto schema = schemas_.find(msg_id);
  if (schema == schemas_.end()) return;
  for (const SchemaRegister& one : schema->second) {
    SchemaRegister& newest = newest_[{one.kind, one.table, one.kind == SchemaKind::table ? std::string() : one.id}];
    if (rank(newest) < rank(one)) newest = one;
    if (one.kind != SchemaKind::table) continue;
    if (one.dropped) dropped_.emplace(one.table, Drop{order_, one.version});
    made_as_[one.id].insert(one.table);
    id_of_.emplace(one.table, one.id);
  }
}

void Moving::reset(const ClockReset& reset) {
  const auto lower = [&](Version& version) { version.hlc = reset.lowered(version.hlc); };
  for (auto& [id, registers] : schemas_) {
    for (SchemaRegister& one : registers) lower(one.version);
  }
  for (auto& [key, newest] : newest_) lower(newest.version);
  for (auto& [table, drop] : dropped_) lower(drop.by);
}

void Moving::drained(int node, const std::string&, const std::string& key, const Version& version) {
  const size_t k = key.find("'k");
  drained_[{node, k == std::string::npos ? key : key.substr(k + 2, 1)}].insert(version);
}

// -- what must hold ---------------------------------------------------------------------------------------------------

struct Moving::End {
  struct Table {
    std::string name;
    std::map<std::string, std::string> column_ids;  // id -> name
    std::map<std::string, std::pair<int64_t, std::map<std::string, std::string>>> rows;  // key -> write, texts by column id
    std::set<std::string> shelf;
  };
  std::map<Version, Table> tables;  // by root
  Writes visible, conflicts, shelved;
};

Version Moving::root_of(Version table) const {
  const auto id = id_of_.find(table);
  return id == id_of_.end() ? table : *made_as_.at(id->second).begin();
}

// The highest version of each key that the stream ever held.
std::map<Moving::Key, Moving::Winner> Moving::winners() const {
  std::map<Key, Winner> out;
  for (const auto& [table, keys] : registers_) {
    const Version root = root_of(table);
    for (const auto& [key, versions] : keys) {
      for (const auto& [version, value] : versions) {
        Winner& winner = out[{root, key}];
        if (value.stored != 0 && (winner.value == nullptr || winner.version < version)) winner = {version, table, &value};
      }
      if (out[{root, key}].value == nullptr) out.erase({root, key});
    }
  }
  return out;
}

std::string Moving::check_winners(const End& end, const std::map<Key, Winner>& winners) const {
  std::set<Version> dropped;  // or one of those that were made under one name
  for (const auto& [table, when] : dropped_) dropped.insert(root_of(table));
  for (const auto& [key, winner] : winners) {
    if (dropped.count(key.first) != 0) continue;
    const auto table = end.tables.find(key.first);
    const std::string what = "key " + describe_key(key.second);
    if (table == end.tables.end()) return what + " of a table that nobody dropped, and that is nowhere: write " + std::to_string(winner.value->write);
    const auto row = table->second.rows.find(key.second);
    const int64_t shown = row == table->second.rows.end() ? 0 : row->second.first;
    if (shown == winner.value->write) continue;
    if (shown == 0 && table->second.shelf.count(key.second) != 0) continue;
    return table->second.name + " " + what + " shows write " + std::to_string(shown) + ", the last writer's is " + std::to_string(winner.value->write) +
           " of " + to_string(winner.version.hlc);
  }
  for (const auto& [root, table] : end.tables) {
    if (dropped.count(root) != 0) continue;
    for (const auto& [key, row] : table.rows) {
      const auto winner = winners.find({root, key});
      if (winner == winners.end()) continue;
      const std::string where = table.name + " key " + describe_key(key) + " of write " + std::to_string(row.first) + ", column ";
      for (const auto& [id, text] : row.second) {
        const auto sent = winner->second.value->texts.find(id);
        if (is_written(text) && (sent == winner->second.value->texts.end() || sent->second != text)) {
          return where + id + ": " + text + " did not come with it";
        }
      }
      for (const auto& [id, text] : winner->second.value->texts) {
        const auto shown = row.second.find(id);
        const bool here = table.column_ids.count(id) != 0;
        if (is_written(text) && here && (shown == row.second.end() || shown->second != text)) return where + id + ": " + text + " is not there";
      }
    }
  }
  return {};
}

// The node's change to that key, or the published write, is older than what won.
bool Moving::superseded(int node, int64_t write, const std::map<Key, Winner>& winners) const {
  const auto published = by_write_.find(write);
  if (published != by_write_.end()) {
    return std::any_of(published->second.begin(), published->second.end(), [&](const auto& one) {
      const auto winner = winners.find({root_of(one.first.first), one.first.second});
      return winner != winners.end() && winner->second.version > one.second;
    });
  }
  // Before its turn to be published came: under which table it was drained, nobody knows any more.
  const std::string key = key_of(write % 32);
  const auto own = drained_.find({node, describe_key(key)});
  return own != drained_.end() && std::any_of(winners.begin(), winners.end(), [&](const auto& one) {
           return one.first.second == key && one.second.version > *own->second.begin();
         });
}

std::string Moving::lost(int node, int64_t write, const End& end, const std::map<Key, Winner>& winners) const {
  if (end.visible.count(write) != 0 || end.conflicts.count(write) != 0 || end.shelved.count(write) != 0) return {};
  if (superseded(node, write, winners)) return {};
  const auto published = by_write_.find(write);
  bool late = false;
  if (published != by_write_.end()) {
    for (const auto& [key, version] : published->second) {
      const auto drop = dropped_.find(key.first);
      const uint64_t stored = registers_.at(key.first).at(key.second).at(version).stored;
      if (drop == dropped_.end()) continue;
      const bool by_writer = drop->second.by.origin.node == version.origin.node && version < drop->second.by;  // sent once more after that
      if (stored != 0 && (stored < drop->second.stored || by_writer)) return {};  // it went with its table
      late = true;
    }
  }
  return "write " + std::to_string(write) + " of n" + std::to_string(node) + " is gone" +
         (published == by_write_.end() ? ", and was never published" : late ? ": it came after its table was dropped, and stands in no conflict" : "");
}

std::string Moving::back(int node, int64_t write, const std::map<Key, Winner>& winners) const {
  const auto own = drained_.find({node, describe_key(key_of(write % 32))});
  const bool newer = std::any_of(winners.begin(), winners.end(), [&](const auto& one) {
    return one.second.value->write == write && own != drained_.end() && one.second.version > *own->second.begin();
  });
  if (newer || own == drained_.end()) return {};
  const auto published = by_write_.find(write);
  if (published == by_write_.end()) return {};
  for (const auto& [key, version] : published->second) {
    const bool copied = root_of(key.first) != root_of(published->second.begin()->first.first);  // by a tool, to another table
    if (copied || *own->second.rbegin() < version) return {};
  }
  return "write " + std::to_string(write) + ", which n" + std::to_string(node) + " deleted, is back";
}

std::string Moving::check_nothing_lost(const End& end, const std::map<Key, Winner>& winners) const {
  for (const auto& [node, commits] : commits_) {
    std::map<int64_t, bool> last;  // write -> it is to be there
    for (const Committed& commit : commits) {
      for (const int64_t write : commit.removed) {
        if (commit.fate == Fate::committed && !commit.drops) last[write] = false;
        else last.erase(write);
      }
      for (const int64_t write : commit.added) {
        if (commit.fate == Fate::committed) last[write] = true;
        else last.erase(write);
      }
    }
    for (const auto& [write, there] : last) {
      if (there) {
        if (std::string wrong = lost(node, write, end, winners); !wrong.empty()) return wrong;
      } else if (end.visible.count(write) != 0) {
        if (std::string wrong = back(node, write, winners); !wrong.empty()) return wrong;
      }
    }
  }
  return {};
}

Result<std::string> Moving::check_registers(sqlite::Database& db) const {
  replica::Registers here(db);
  TRY(here.load());
  for (const auto& [key, newest] : newest_) {
    const auto* const entry = here.find(newest.kind, newest.table, newest.id);
    if (entry == nullptr || rank(entry->value) >= rank(newest)) continue;
    return "the register of '" + newest.name + newest.id + "' is of " + to_string(entry->value.version.hlc) + ", the stream took one of " + to_string(newest.version.hlc);
  }
  return std::string();
}

// user_version of a cluster that agrees on it.
std::string Moving::check_number(sqlite::Database& db) const {
  const auto now = db.query_integer("PRAGMA user_version");
  if (!now) return now.error().message;
  for (const auto& [node, commits] : commits_) {
    for (const Committed& commit : commits) {
      if (commit.fate != Fate::committed || commit.user_version <= *now) continue;
      return "user_version is " + std::to_string(*now) + ", but commit " + std::to_string(commit.number) + " of n" + std::to_string(node) + " had " +
             std::to_string(commit.user_version);
    }
  }
  return {};
}

std::string Moving::check(const std::vector<sqlite::Database*>& files, const Migrations& migrations, bool history) const {
  End end;
  const auto read = [&]() -> Status {
    for (sqlite::Database* const file : files) {
      TRY_ASSIGN(auto listed, file->prepare("SELECT json_extract(loser_row, '$.w') FROM __marmot_conflict WHERE loser_row IS NOT NULL"));
      for (;;) {
        TRY_ASSIGN(const bool more, listed.step());
        if (!more) break;
        end.conflicts.insert(listed.integer(0));
      }
    }
    sqlite::Database& db = *files.front();
    TRY_ASSIGN(const auto locals, replica::read_local_tables(db));
    TRY_ASSIGN(const auto names, moving_tables(db));
    for (const auto& local : locals) {
      if (!local.permanent_id || std::find(names.begin(), names.end(), local.name) == names.end()) continue;
      End::Table& table = end.tables[root_of(*local.permanent_id)];
      table.name = local.name;
      for (const auto& [name, id] : local.column_ids) table.column_ids[std::string(replica::column_base(id))] = name;
      TRY_ASSIGN(auto select, db.prepare("SELECT * FROM " + sqlite::quote_identifier(local.name)));
      for (;;) {
        TRY_ASSIGN(const bool more, select.step());
        if (!more) break;
        std::pair<int64_t, std::map<std::string, std::string>> row;
        std::string key;
        for (int i = 0; i < select.columns(); ++i) {
          const std::string name = sqlite3_column_name(select.get(), i);
          if (name == "id") key = key_of(select.integer(i));
          if (name == "w") row.first = select.integer(i);
          const auto id = local.column_ids.find(name);
          if (id != local.column_ids.end() && select.value(i).type == ValueType::text) row.second[std::string(replica::column_base(id->second))] = std::string(select.text(i));
        }
        end.visible.insert(row.first);
        table.rows.emplace(key, std::move(row));
      }
      TRY_ASSIGN(auto shelf, db.prepare("SELECT key FROM __marmot_shelf WHERE tbl = " + std::to_string(local.id)));
      for (;;) {
        TRY_ASSIGN(const bool more, shelf.step());
        if (!more) break;
        table.shelf.insert(by_id(shelf.blob(0)));
      }
    }
    return ok();
  };
  if (Status done = read(); !done) return done.error().message;
  for (const auto& [root, table] : end.tables) {
    for (const auto& [key, row] : table.rows) {
      const int64_t id = migrations.id_of(row.first);
      if (id < 0 || key_of(id) != key) return table.name + " key " + describe_key(key) + " shows write " + std::to_string(row.first) + ", which nobody made";
    }
  }
  if (!history) return {};
  for (sqlite::Database* const file : files) {
    const auto older = check_registers(*file);
    if (!older) return older.error().message;
    if (!older->empty()) return *older;
  }
  if (std::string wrong = migrations.lowers() ? std::string() : check_number(*files.front()); !wrong.empty()) return wrong;
  const auto winning = winners();
  for (const auto& [key, winner] : winning) {  // a shelved row is its key's winner
    const auto table = end.tables.find(key.first);
    if (table != end.tables.end() && table->second.shelf.count(key.second) != 0) end.shelved.insert(winner.value->write);
  }
  if (std::string wrong = check_winners(end, winning); !wrong.empty()) return wrong;
  return check_nothing_lost(end, winning);
}

}  // namespace marmot::sim
