// Tables as the file has them now against tables as they are replicated: watching new ones, stopping changed ones, and the
// schema messages that let other nodes build theirs. (Changes to a table that is already replicated stop it: DESIGN
// "Schema" is a later step.)
#include <algorithm>

#include "common/replica/capture.hpp"
#include "common/replica/effects.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

std::string fold_name(std::string_view name) { return fold_text(name, Collation::nocase); }

Table* Replica::Impl::table_by_id(int64_t id) {
  for (const auto& table : tables) {
    if (table->id == id) return table.get();
  }
  return nullptr;
}

Table* Replica::Impl::table_by_name(std::string_view name) {
  const std::string wanted = fold_name(name);
  for (const auto& table : tables) {
    if (table->exists && fold_name(table->info.name) == wanted) return table.get();
  }
  return nullptr;
}

bool Replica::Impl::replicated(const std::string& name) { return table_by_name(name) != nullptr; }

Status Replica::Impl::stop(Table& table, std::string reason) {
  if (table.stopped == reason) return ok();
  log(LogLevel::error, "table " + table.info.name + " is stopped: " + reason);
  tables_dirty = true;
  table.stopped = std::move(reason);
  return table.save();
}

Status Replica::Impl::load_tables() {
  tables.clear();
  TRY_ASSIGN(const auto triggers, installed_triggers(db));
  TRY_ASSIGN(Statement select, db.prepare(sql::kSelectTables));
  for (;;) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) break;
    const int64_t id = select.integer(0);
    const std::string name(select.text(1));
    // The triggers travel with a renamed table; three of them on the table of that name mean that nothing went by unseen.
    int in_place = 0;
    for (const InstalledTrigger& trigger : triggers) {
      if (trigger.table_id == id && fold_name(trigger.table) == fold_name(name)) ++in_place;
    }
    auto info = read_table(db, name);
    const bool exists = static_cast<bool>(info);
    if (!info && info.error().code != Errc::not_found && info.error().code != Errc::schema) return std::move(info).error();
    TableInfo known;
    known.name = name;
    auto table = std::make_unique<Table>(db, store, self.node, id, exists ? std::move(*info) : std::move(known));
    table->exists = exists;
    if (!select.is_null(2)) {
      table->permanent_id = Version{Hlc{static_cast<uint64_t>(select.integer(2))},
                                    Origin{NodeId{static_cast<uint64_t>(select.integer(3))}, Incarnation{static_cast<uint64_t>(select.integer(4))}}};
    }
    table->shape = std::string(select.text(5));
    table->baseline = select.integer(6) != 0;
    if (!select.is_null(7)) table->schema_seq = static_cast<StreamSeq>(select.integer(7));
    if (!select.is_null(8)) table->stopped = std::string(select.text(8));
    if (exists && table->shape.empty()) table->shape = table->info.shape();
    if (!exists) {
      TRY(stop(*table, "it was dropped or renamed here, which this version does not replicate; bring it back under its name"));
    } else if (table->shape != table->info.shape()) {
      TRY(stop(*table, "its columns or its key were changed here, which this version does not replicate; change them back"));
    } else if (in_place != 3) {
      TRY(stop(*table, "its triggers are gone (the table was rebuilt), so changes may have gone by unseen; marmot_unwatch() it, and start with a fresh copy"));
    }
    tables.push_back(std::move(table));
  }
  return ok();
}

Status Replica::Impl::schema_changed(TouchedKeys* touched) {
  tables_dirty = true;
  TRY(load_tables());
  TRY_ASSIGN(const auto candidates, list_tables(db, settings.include, settings.exclude));
  not_ours.clear();
  TRY_ASSIGN(const int64_t waiting, db.query_integer("SELECT count(*) FROM __marmot_waiting"));
  for (const Candidate& candidate : candidates) {
    if (candidate.not_watched) {
      const bool new_here = not_ours.emplace(fold_name(candidate.name), 0).second;
      const bool internal = *candidate.not_watched == NotWatched::internal || *candidate.not_watched == NotWatched::sqlite_own;
      if (Table* const table = table_by_name(candidate.name); table != nullptr) {
        log(LogLevel::info, "table " + candidate.name + " is excluded now: no longer watched");
        const int64_t id = table->id;
        TRY(unwatch(db, candidate.name));
        std::erase_if(tables, [&](const auto& owned) { return owned->id == id; });
      } else if (new_here && !internal && !announced) {
        log(LogLevel::info, "table " + candidate.name + " is not watched: " + std::string(reason(*candidate.not_watched)));
      }
      continue;
    }
    if (table_by_name(candidate.name) != nullptr) continue;
    auto info = read_table(db, candidate.name);
    if (!info && info.error().code == Errc::schema) {
      not_ours.emplace(fold_name(candidate.name), 0);
      log(LogLevel::error, "table " + candidate.name + " is NOT replicated: " + info.error().message);
      continue;
    }
    TRY(info);
    const std::string shape = info->shape();
    TRY_ASSIGN(const Watched watched, watch(db, *info, WatchMode::keys));
    auto table = std::make_unique<Table>(db, store, self.node, watched.id, std::move(*info));
    table->shape = shape;
    table->permanent_id = Version{state.clock.tick(env.now(), env.now()), self};
    if (waiting > 0) table->stopped = "it was missing when its first rows arrived; they are applied now";
    if (touched != nullptr) {
      // Found while running: its rows are changes, sent with the table.
      table->baseline = true;
      Table::Position position;
      const WallMs now = env.now();
      Table* const at = table.get();
      TRY(table->scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>&) -> Status {
        touched->add(at, key, now);
        return ok();
      }));
      log(LogLevel::info, "table " + table->info.name + " is new: watching it");
    }
    TRY(table->save());
    tables.push_back(std::move(table));
  }
  // Tables that the extension watched before the agent ever saw them have no permanent id yet.
  for (const auto& table : tables) {
    if (!table->exists || table->permanent_id) continue;
    table->permanent_id = Version{state.clock.tick(env.now(), env.now()), self};
    TRY(table->save());
  }
  announced = true;
  TRY(prepare_log());
  TRY_ASSIGN(const auto skipped, install_effects(db, [this](const std::string& name) { return replicated(name); }));
  for (const SkippedEffect& effect : skipped) {
    log(LogLevel::warn, "trigger " + effect.trigger + " does not act on rows of other nodes: " + effect.reason);
  }
  TRY_ASSIGN(schema_version, db.query_integer("PRAGMA schema_version"));
  return ok();
}

Status Replica::Impl::check_schema(TouchedKeys* touched) {
  TRY_ASSIGN(const int64_t now, store.integer("PRAGMA schema_version"));
  if (now == schema_version) return ok();
  return schema_changed(touched);
}

Status Replica::Impl::publish_schema(UnitStream& out) {
  std::vector<SchemaObject> objects;
  bool whole = true;  // the first node of a stream sends everything, later ones their new tables
  std::vector<Table*> news;
  for (const auto& table : tables) {
    if (table->schema_seq) whole = false;
    else if (table->running()) news.push_back(table.get());
  }
  if (news.empty()) return ok();
  const auto is_new = [&](std::string_view name) {
    return std::any_of(news.begin(), news.end(), [&](const Table* table) { return fold_name(table->info.name) == fold_name(name); });
  };
  TRY_ASSIGN(Statement select, db.prepare(sql::kSchemaObjects));
  for (;;) {
    TRY_ASSIGN(const bool more, select.step());
    if (!more) break;
    SchemaObject object{std::string(select.text(0)), std::string(select.text(1)), std::string(select.text(2)),
                        std::string(select.text(3)), {}};
    const Table* const table = object.type == "table" ? table_by_name(object.name) : nullptr;
    const auto other = not_ours.find(fold_name(object.name));
    const bool unwatched_table = object.type == "table" && table == nullptr && other != not_ours.end();
    const bool virtual_table = unwatched_table && fold_name(object.sql).rfind("create virtual", 0) == 0;
    if (unwatched_table && !(whole && virtual_table)) continue;  // shadow tables come with their virtual table
    if (!whole && !is_new(object.type == "table" ? object.name : object.table)) continue;
    if (table != nullptr) object.id = table->permanent_id.value_or(Version{});
    objects.push_back(std::move(object));
  }
  // In flight until its message comes round; 0 stands for that, so that the next drain does not send it again.
  for (Table* const table : news) {
    table->schema_seq = 0;
    tables_dirty = true;
    TRY(table->save());
  }
  return out.schema(objects);
}

Status Replica::Impl::apply_schema(const std::vector<SchemaObject>& objects, StreamSeq seq, const Origin& from) {
  bool created = false;
  for (const SchemaObject& object : objects) {
    Table* const table = object.type == "table" ? table_by_name(object.name) : nullptr;
    if (table != nullptr) {
      // The same name made on two nodes is one table, under the lower id.
      if (!table->permanent_id || object.id < *table->permanent_id) table->permanent_id = object.id;
      if (!table->schema_seq || *table->schema_seq == 0) table->schema_seq = seq;
      tables_dirty = true;
      TRY(table->save());
      continue;
    }
    if (from == self) continue;
    TRY_ASSIGN(Statement known, db.prepare("SELECT 1 FROM sqlite_schema WHERE type = ?1 AND lower(name) = lower(?2)"));
    known.bind(1, object.type).bind(2, object.name);
    TRY_ASSIGN(const bool there, known.step());
    if (there) continue;
    if (fold_name(object.sql).rfind("create ", 0) != 0) {
      log(LogLevel::error, "message " + std::to_string(seq) + ": " + object.type + " " + object.name + " is no CREATE statement: left out");
      continue;
    }
    auto statement = db.prepare(object.sql);
    Status done = statement ? statement->run() : Status(statement.error());
    if (!done) {
      const Errc code = done.error().code;
      if (code == Errc::full || code == Errc::io || code == Errc::busy) return done;
      log(LogLevel::error, "message " + std::to_string(seq) + ": create " + object.type + " " + object.name + ": " +
                               done.error().message + ": what needs it waits; create it here by hand");
      continue;
    }
    created = true;
    log(LogLevel::info, "created " + object.type + " " + object.name + ", from node " + std::to_string(from.node.value));
  }
  if (!created) return ok();
  // Watch the new tables at once: rows of theirs may be next in this very transaction.
  TouchedKeys none;
  TRY(schema_changed(&none));
  for (const SchemaObject& object : objects) {
    Table* const table = object.type == "table" ? table_by_name(object.name) : nullptr;
    if (table == nullptr || table->schema_seq) continue;
    table->permanent_id = object.id;
    table->schema_seq = seq;
    TRY(table->save());
  }
  return ok();
}

}  // namespace marmot::replica
