// The file becomes what the registers say: tables first (table_migration.cpp), then indexes, views, triggers and virtual
// tables. What cannot be made is told, stops its table alone, and is tried again.
#include <algorithm>
#include <set>

#include "common/base/mutation.hpp"
#include "common/core/wide_text.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/catalog.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/schema_migrate.hpp"
#include "common/replica/schema_objects.hpp"
#include "common/replica/shelf.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::quote_identifier;
using sqlite::Statement;

namespace {

bool is_disk(const Error& error) { return error.code == Errc::full || error.code == Errc::io || error.code == Errc::busy; }

// SQL of another node that this SQLite does not understand: that node has a later one, it seems.
bool is_newer_sql(const Error& error) {
  const auto has = [&](const char* part) { return error.message.find(part) != std::string::npos; };
  return error.code == Errc::schema && (has("syntax error") || has("unrecognized token") || has("unknown table option"));
}

std::string newer_sql_cure() {
  return "this is SQLite " + std::string(sqlite3_libversion()) + ": an agent with the SQLite of the node that made it may understand it; else ";
}

std::string type_of(const std::string& id) { return id.substr(0, id.find(' ')); }

std::string drop_object_sql(const SchemaRegister& object) {
  const std::string type = type_of(object.id);
  return "DROP " + (type == "virtual" ? "TABLE" : type) + " IF EXISTS main." + quote_identifier(object.name);
}

class Migrate {
 public:
  explicit Migrate(Replica::Impl& impl) : impl_(impl), registers_(impl.registers) {}

  Status run() {
    specs_ = registers_.tables();
    TRY_ASSIGN(locals_, read_local_tables(impl_.db));
    TRY(drop_objects());
    for (const TableSpec& spec : specs_) {
      if (spec.dropped()) TRY(drop_tables(spec));
    }
    TRY(step_aside());
    for (const TableSpec& spec : specs_) {
      if (spec.dropped()) continue;
      LocalTable* const local = local_of(spec);
      TRY(local == nullptr ? create(spec) : change(*local, spec));
    }
    TRY(impl_.load_tables());  // rows may have to make room for a unique index
    TRY(make_objects());
    for (const MadeVirtual& made : made_virtual_) TRY(finish(made));  // last: what an index is about may be a view
    TRY(look_again());
    TRY(impl_.carry_out_adoption());
    for (const auto& [what, reason] : unmade_) {
      const auto known = impl_.unmade.find(what);
      if (known == impl_.unmade.end() || known->second != reason) impl_.log(LogLevel::error, what + ": " + reason);
    }
    impl_.unmade = std::move(unmade_);
    return ok();
  }

 private:
  // One change, whole or not at all. What the file refuses is kept as the reason of `what`; what the disk refuses is an error.
  template <class Body>
  Result<bool> attempt(const std::string& what, const std::string& cure, Body&& body) {
    sqlite::Database& db = impl_.db;
    TRY(db.exec("SAVEPOINT __marmot_migrate"));
    const Status done = body();
    if (!done && !db.in_transaction()) return done.error();
    TRY(db.exec(done ? "RELEASE __marmot_migrate" : "ROLLBACK TO __marmot_migrate; RELEASE __marmot_migrate"));
    if (done) return true;
    if (is_disk(done.error())) return done.error();
    unmade_[what] = "its change cannot be made here: " + done.error().message + "; " + (is_newer_sql(done.error()) ? newer_sql_cure() + cure : cure);
    return false;
  }

  LocalTable* local_of(const TableSpec& spec) {
    for (LocalTable& local : locals_) {
      if (local.permanent_id && registers_.root_of(*local.permanent_id) == spec.root) return &local;
    }
    return nullptr;
  }

  Status drop_tables(const TableSpec& spec) {
    for (LocalTable* local = local_of(spec); local != nullptr; local = local_of(spec)) {
      // Whoever dropped it may not have known all of its ids: what came under another one was not theirs to drop.
      const std::vector<SchemaRegister> registers = registers_.all();
      const bool all = std::any_of(registers.begin(), registers.end(), [&](const SchemaRegister& one) {
        return one.kind == SchemaKind::table && !one.dropped && registers_.root_of(one.table) == spec.root;
      });
      if (Table* const table = impl_.table_by_id(local->id); table != nullptr && table->exists) TRY(impl_.keep_dropped_rows(*table, all));
      TRY(impl_.db.exec("DROP TABLE IF EXISTS main." + quote_identifier(local->name)));
      TRY(forget_local_table(impl_.db, local->id));
      impl_.log(LogLevel::info, "dropped table " + local->name + ": another node dropped it");
      locals_.erase(locals_.begin() + (local - locals_.data()));
    }
    return ok();
  }

  // Tables that swap their names: whoever stands on a name that another is to have, one that is still to be made perhaps, goes elsewhere first.
  Status step_aside() {
    for (LocalTable& local : locals_) {
      bool wanted = false, moves = false;
      for (const TableSpec& spec : specs_) {
        const LocalTable* const its = spec.dropped() ? nullptr : local_of(spec);
        const bool same_name = !spec.dropped() && fold_name(spec.name) == fold_name(local.name);
        if (its == &local) moves = !same_name;
        else wanted = wanted || (same_name && (its != nullptr || impl_.chooses(spec.name)));
      }
      if (!wanted || !moves) continue;
      TRY(rename(local, "__marmot_aside_" + std::to_string(local.id)));
    }
    return ok();
  }

  // A table that stepped aside and cannot have its new name either. Under the name of one of Marmot's own the application would not find
  // its rows, and the next look at the schema would take it for a table that nobody replicates.
  Status come_back(LocalTable& local, const TableSpec& spec) {
    if (local.name.rfind("__marmot_aside_", 0) != 0) return ok();
    std::string name = spec.name + '_' + to_hex(spec.root.hlc.value & 0xffffff);
    for (Status free = check_name(name); !free; free = check_name(name)) {
      if (free.error().code != Errc::schema) return free;
      name += '_';
    }
    return rename(local, name);
  }

  Status rename(LocalTable& local, const std::string& name) {
    TRY(rename(local.name, name));
    local.name = name;
    return save_local_table(impl_.db, local);
  }

  // Unchecked: a view or trigger that is broken by now must not stand in the way. Those that name it have registers of their own.
  Status rename(const std::string& from, const std::string& to) {
    TRY(impl_.db.exec("PRAGMA legacy_alter_table = ON"));
    const Status renamed = impl_.db.exec("ALTER TABLE main." + quote_identifier(from) + " RENAME TO " + quote_identifier(to));
    TRY(impl_.db.exec("PRAGMA legacy_alter_table = OFF"));
    return renamed;
  }

  // Tables of every kind, views and indexes share one set of names. SQLite would say so too, in words that do not tell what is in the way.
  Status check_name(const std::string& name) {
    TRY_ASSIGN(Statement row, impl_.db.prepare("SELECT iif(type = 'table' AND rootpage = 0, 'virtual table', type), tbl_name FROM main.sqlite_schema "
                                               "WHERE type <> 'trigger' AND name = ?1 COLLATE NOCASE"));
    row.bind(1, name);
    TRY_ASSIGN(const bool taken, row.step());
    if (!taken) return ok();
    const std::string kind(row.text(0));
    return make_error(Errc::schema, (kind == "index" ? "an index of table " + std::string(row.text(1)) : "a " + kind) + " has the name " + name + " here");
  }

  // Another name or literal would be in the file, and be taken for the application's change.
  Status check_text(const std::string& sql) {
    if (!impl_.db.wide() || sqlite_widens(sql)) return ok();
    return make_error(Errc::schema, "its SQL holds text that a file in UTF-16 cannot hold (docs/decisions/0024)");
  }

  // A virtual table owns the tables that have the names of its backing tables, and takes them along when it is dropped. One that is
  // replicated, or that is to be, `name`, must not become one of them.
  Status check_backing(const std::string& name) {
    TRY_ASSIGN(const std::vector<Candidate> candidates, list_tables(impl_.db, impl_.settings.include, impl_.settings.exclude));
    for (const Candidate& one : candidates) {
      if (one.not_watched != NotWatched::shadow_table) continue;
      const auto is_it = [&](const LocalTable& local) { return fold_name(local.name) == fold_name(one.name); };
      if (fold_name(one.name) != fold_name(name) && std::none_of(locals_.begin(), locals_.end(), is_it)) continue;
      return make_error(Errc::schema, "table " + one.name + " would be taken for a backing table of a virtual table");
    }
    return ok();
  }

  Status create(const TableSpec& spec) {
    if (!impl_.chooses(spec.name)) return ok();
    LocalTable local;
    TRY_ASSIGN(const bool made, attempt("table " + spec.name, "what stands in its way here must go", [&]() -> Status {
      TRY(check_name(spec.name));
      TRY(check_text(wanted_sql(spec)));
      TRY(impl_.db.exec(wanted_sql(spec)));
      TRY(check_backing(spec.name));
      TRY_ASSIGN(const TableInfo info, read_table(impl_.db, spec.name));
      TRY_ASSIGN(const Watched watched, watch(impl_.db, info, WatchMode::keys));
      local.id = watched.id;
      local.name = info.name;
      TRY_ASSIGN(local.sql, table_sql(impl_.db, spec.name));
      local.permanent_id = spec.ids.front();
      for (const ColumnSpec& column : spec.columns) local.column_ids[fold_name(column.name)] = column.id;
      TRY(save_local_table(impl_.db, local));
      return impl_.db.exec("UPDATE __marmot_table SET baseline = 1 WHERE id = " + std::to_string(local.id));
    }));
    if (!made) return ok();
    TRY(wake(local.id));
    impl_.log(LogLevel::info, "created table " + spec.name + ": another node created it");
    locals_.push_back(std::move(local));
    return ok();
  }

  // Units may wait for it: resume_stopped() brings them in.
  Status wake(int64_t id) {
    TRY_ASSIGN(const int64_t waiting, impl_.db.query_integer("SELECT count(*) FROM __marmot_waiting"));
    if (waiting == 0) return ok();
    return impl_.db.exec("UPDATE __marmot_table SET stopped = 'it was missing when its first rows arrived; they are applied now' "
                         "WHERE id = " + std::to_string(id));
  }

  Status change(LocalTable& local, const TableSpec& spec) {
    if (local.permanent_id != spec.ids.front()) {
      local.permanent_id = spec.ids.front();
      TRY(save_local_table(impl_.db, local));
    }
    TRY_ASSIGN(const CreateTable actual, parse_create_table(local.sql));
    if (fits(actual, local, spec)) return ok();
    LocalTable changed = local;
    std::optional<TableInfo> before;
    TRY_ASSIGN(const bool made, attempt("table " + spec.name, "make room for it, it is then tried again by itself", [&]() -> Status {
      TRY_ASSIGN(before, read_table(impl_.db, local.name));
      name_columns(*before, local.column_ids);
      if (fold_name(local.name) != fold_name(spec.name)) TRY(check_name(spec.name));
      TRY(check_text(wanted_sql(spec)));
      TableMigration migration(impl_.db, changed, spec);
      // Where the hashes are due to be made again, they are of what columns were called before.
      TRY_ASSIGN(const int64_t rehash_due, impl_.db.query_integer("SELECT rehash FROM __marmot_table WHERE id = " + std::to_string(local.id)));
      if (rehash_due == 0 && (impl_.state.shelved > 0 || !only_adds(actual, local, spec))) {
        Table was(impl_.db, impl_.store, impl_.state.life, local.id, *before);
        TRY_ASSIGN(migration.unfit, impl_.unfit_rows(was));
      }
      TRY(migration.run());
      TRY(save_local_table(impl_.db, changed));
      TRY(check_backing(changed.name));
      TRY_ASSIGN(const TableInfo info, read_table(impl_.db, changed.name));
      TRY(watch(impl_.db, info, WatchMode::keys));
      return adjust_rows(*before, changed, info, migration);
    }));
    if (!made) {
      TRY(come_back(local, spec));
      if (fold_name(local.name) != fold_name(spec.name)) unmade_["table " + spec.name] += " (its rows are in " + local.name + " until then)";
      return stop(local.id, unmade_["table " + spec.name]);
    }
    impl_.log(LogLevel::info, "changed table " + changed.name + ": another node changed it");
    local = std::move(changed);
    return ok();
  }

  Status adjust_rows(const TableInfo& before, const LocalTable& local, TableInfo info, const TableMigration& migration) {
    const std::vector<RefusedRow>& refused = migration.refused;
    name_columns(info, local.column_ids);
    const bool same_key = impl_.key_shape(before) == impl_.key_shape(info);
    bool other_hash = false, refilled = false;
    for (const Column& was : before.columns) {
      const auto is_it = [&](const Column& now) { return now.id == was.id && now.generated == was.generated; };
      const auto now = std::find_if(info.columns.begin(), info.columns.end(), is_it);
      other_hash = other_hash || (!was.generated && (now == info.columns.end() || now->affinity != was.affinity || now->not_null != was.not_null ||
                                                     now->spelled_id != was.spelled_id || !same_value(now->default_value, was.default_value)));
      refilled = refilled || (now != info.columns.end() && now->spelled_id != was.spelled_id);
      // Another column under its name: an index on that name holds other values.
      refilled = refilled || std::any_of(info.columns.begin(), info.columns.end(), [&](const Column& other) {
        return other.id != was.id && fold_name(other.name) == fold_name(was.name);
      });
    }
    if (refilled) TRY(impl_.db.exec("UPDATE __marmot_table SET uniques = '' WHERE id = " + std::to_string(local.id)));  // other values: made anew
    if (same_key && !other_hash && refused.empty() && impl_.state.shelved == 0) return ok();
    Table table(impl_.db, impl_.store, impl_.state.life, local.id, std::move(info));
    table.effects = &impl_.effects;
    table.permanent_id = local.permanent_id;
    table.sql = local.sql;
    table.baseline = true;
    if (const Table* const known = impl_.table_by_id(local.id)) {
      table.baseline = known->baseline;
      table.stopped = known->stopped;
    }
    const bool key_lost = !same_key && table.info.key_kind == KeyKind::rowid;
    TRY(same_key ? impl_.rehash(table, migration.unfit) : key_lost ? impl_.lose_key(before, table, &migration, nullptr) : impl_.rekey(before, table, &migration, nullptr));
    return shelve(table, refused);
  }

  // Rows that the new definition refuses, or that collide under it, wait on the shelf as the rule has it (shelf.hpp).
  Status shelve(Table& table, const std::vector<RefusedRow>& refused) {
    if (refused.empty()) return ok();
    TRY(impl_.settle_table(table));  // unique values by the new definition
    Settle settle(impl_, table);
    for (const RefusedRow& row : refused) {
      std::string key;
      if (!table.key_of_values(row.values, key)) {
        TRY_ASSIGN(key, table.key_at(row.rowid));
        if (key.empty()) return make_error(Errc::constraint, "a row without a key does not fit the new definition");
        TRY(table.forget_rowid(key));
      }
      TRY_ASSIGN(const auto known, impl_.store.find(table.id, key));
      if (!known || !known->live()) continue;  // changed while this node knew nothing of the change
      const uint64_t hash = table.hash(row.values);
      TRY(impl_.set_hash(table, key, known->hash, hash));
      settle.put_in(key, known->version, known->state, [&row](std::vector<ValueView>& values) { values = row.values; });
    }
    return settle.run();
  }

  Status stop(int64_t id, const std::string& reason) {
    Table* const table = impl_.table_by_id(id);
    return table == nullptr ? ok() : impl_.stop(*table, reason);
  }

  Status drop_objects() {
    // What hangs on others first.
    for (const char* type : {"trigger", "view", "index", "virtual"}) {
      for (const Registers::Entry* const entry : registers_.objects()) {
        if (type_of(entry->value.id) != type || !entry->here || !entry->value.dropped) continue;
        const SchemaRegister object = entry->value;
        if (object.id.rfind("virtual ", 0) == 0) {
          TRY_ASSIGN(const bool renamed, rename_virtual(object));
          if (renamed) continue;
        }
        TRY_ASSIGN(const bool done, attempt(type + (" " + object.name), "drop it here by hand", [&] { return drop_object(object); }));
        if (!done) continue;
        TRY(registers_.set_here(object, std::nullopt));
        if (std::string_view(type) == "virtual") impl_.log(LogLevel::info, "dropped virtual table " + object.name + ": another node dropped it");
      }
    }
    return ok();
  }

  // A virtual table's content is each file's own: it stays where another node gave the table another name. Both registers have one version
  // then. False: it was not renamed.
  Result<bool> rename_virtual(const SchemaRegister& former) {
    for (const Registers::Entry* const entry : registers_.objects()) {
      const SchemaRegister now = entry->value;
      if (type_of(now.id) != "virtual" || now.dropped || entry->here || now.version != former.version) continue;
      if (canonical_sql(former.body, former.name, now.name) != canonical_sql(now.body, now.name, now.name)) continue;
      const std::string what = "virtual " + now.name;
      TRY_ASSIGN(const bool done, attempt(what, "", [&]() -> Status {
        TRY(check_name(now.name));
        TRY(rename(former.name, now.name));
        TRY(check_backing({}));
        return impl_.rename_unfilled(former.name, now.name);
      }));
      unmade_.erase(what);
      if (!done) return false;
      impl_.log(LogLevel::info, "virtual table " + former.name + " is " + now.name + " now: another node renamed it");
      TRY_ASSIGN(const std::string sql, object_sql(now));
      TRY(registers_.set_here(former, std::nullopt));
      TRY(registers_.set_here(now, sql));
      return true;
    }
    return false;
  }

  // By its name, and only where that is the name of an object of its kind.
  Status drop_object(const SchemaRegister& object) {
    TRY_ASSIGN(const std::string now, object_sql(object));
    if (now.empty() && !mutated(Mutation::kind_unchecked)) return ok();
    return impl_.db.exec(drop_object_sql(object));
  }

  // The SQL of an object in this file now; empty: it is not there.
  Result<std::string> object_sql(const SchemaRegister& object) {
    const std::string type = type_of(object.id);
    TRY_ASSIGN(Statement row, impl_.db.prepare("SELECT sql FROM main.sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE "
                                                     "AND (type <> 'table' OR rootpage = 0)"));
    row.bind(1, type == "virtual" ? std::string_view("table") : std::string_view(type)).bind(2, object.name);
    TRY_ASSIGN(const bool found, row.step());
    return found ? std::string(row.text(0)) : std::string();
  }

  // What reads others behind them: a virtual table may take its columns from a view, or from another virtual table, whose name may come later.
  Status make_objects() {
    TRY(make_objects_of("view"));
    size_t made = SIZE_MAX;
    for (size_t left = registers_.objects().size(); left > 0 && made != made_virtual_.size(); --left) {
      made = made_virtual_.size();
      TRY(make_objects_of("virtual"));
    }
    TRY(make_objects_of("index"));
    return make_objects_of("trigger");
  }

  Status make_objects_of(const std::string& type) {
    for (const Registers::Entry* const entry : registers_.objects()) {
      if (type_of(entry->value.id) != type || entry->value.dropped) continue;
      const SchemaRegister object = entry->value;
      TRY_ASSIGN(const std::string now, object_sql(object));
      if (!now.empty() && canonical_sql(now) == canonical_sql(object.body)) continue;
      TRY(make_object(object, type, now));
    }
    return ok();
  }

  // Who has the table or view that an index or trigger stands on.
  enum class Owner : uint8_t { cluster, this_file, nobody };
  Result<Owner> owner_of(const std::string& name) {
    TRY_ASSIGN(Statement row, impl_.db.prepare("SELECT type FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE"));
    row.bind(1, name);
    TRY_ASSIGN(const bool found, row.step());
    if (!found) return Owner::nobody;
    return row.text(0) == "view" || impl_.replicated(name) ? Owner::cluster : Owner::this_file;
  }

  // What is the cluster's under that name goes. What is this file's own stays, and stands in the way.
  Status drop_former(const SchemaRegister& object, const std::string& type) {
    if (type == "virtual" || type == "view") {
      TRY(drop_object(object));
      return check_name(object.name);
    }
    TRY_ASSIGN(Statement row, impl_.db.prepare("SELECT tbl_name FROM main.sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE"));
    row.bind(1, type).bind(2, object.name);
    TRY_ASSIGN(const bool found, row.step());
    if (!found) return ok();
    const std::string on(row.text(0));
    row.reset();
    TRY_ASSIGN(const Owner owner, owner_of(on));
    if (owner != Owner::this_file) return impl_.db.exec(drop_object_sql(object));
    return make_error(Errc::schema, type + " " + object.name + " of table " + on + ", which is not replicated, has its name");
  }

  static std::string cure_of(const std::string& type) {
    if (type == "index") return "remove what stands in its way here, it is then tried again by itself";
    return "drop or rename what stands in its way here, it is then tried again by itself; else create it here by hand";
  }

  Status make_object(const SchemaRegister& object, const std::string& type, const std::string& now) {
    std::string on;
    if (type == "index" || type == "trigger") {
      const auto named = object_table(object.body);
      if (named) on = *named;
      TRY_ASSIGN(const Owner owner, owner_of(on));
      if (owner == Owner::this_file) return ok();
      const bool found = owner != Owner::nobody;
      const bool live = std::any_of(specs_.begin(), specs_.end(), [&](const TableSpec& spec) { return !spec.dropped() && fold_name(spec.name) == fold_name(on); });
      // Of a table that was dropped or renamed meanwhile, or that is not wanted here. Who has it on the renamed one tells.
      if (!found && (!live || !impl_.chooses(on))) return now.empty() ? ok() : keep_as_it_is(object, now);
    } else if (type == "virtual" && !is_chosen(impl_.settings.include, impl_.settings.exclude, object.name)) {
      return ok();
    }
    if (fold_name(object.body).rfind("create ", 0) != 0) {
      unmade_[type + " " + object.name] = "its register holds no CREATE statement";
      return ok();
    }
    const std::string what = type + " " + object.name;
    const Table* const table = type == "index" ? impl_.table_by_name(on) : nullptr;
    TRY_ASSIGN(const bool made, attempt(what, cure_of(type), [&]() -> Status {
      TRY(check_text(object.body));
      TRY(drop_former(object, type));
      if (table != nullptr && object.body.rfind("CREATE UNIQUE INDEX ", 0) == 0) return impl_.create_unique_index(table->id, object.body);
      TRY_ASSIGN(Statement create, impl_.db.prepare(object.body));
      TRY(create.run());
      return type == "virtual" ? check_backing({}) : ok();
    }));
    if (made) {
      unmade_.erase(what);
      if (type == "virtual") made_virtual_.push_back({object.name, is_over_content(object.body), !now.empty()});
      TRY(registers_.set_here(object, object.body));
      return ok();
    }
    // It was made while the column was dropped elsewhere: nobody can have it.
    const std::string reason = unmade_[what];
    if (reason.find("no such column") != std::string::npos) {
      unmade_.erase(what);
      if (!now.empty()) {  // ... or renamed: here it stands under the new name, and the others are told
        return keep_as_it_is(object, now);
      }
      if (left_out_.insert(what).second) impl_.log(LogLevel::warn, what + " is left out: " + reason);
      return ok();
    }
    const Table* const stopped = type == "index" ? impl_.table_by_name(on) : nullptr;
    return stopped == nullptr ? ok() : stop(stopped->id, unmade_[what]);
  }

  // The register names what was renamed meanwhile, and this file has the object under the new name: so shall the others.
  Status keep_as_it_is(SchemaRegister object, const std::string& now) {
    object.body = now;
    object.version = Version{impl_.state.clock.tick(impl_.env.now(), impl_.env.now()), impl_.self};
    return registers_.put(object, std::nullopt);
  }

  struct MadeVirtual {
    std::string name;
    bool over_content = false;
    bool replaced = false;  // another definition of it was here
  };

  Status finish(const MadeVirtual& made) {
    bool filled = false;
    if (made.over_content) {
      TRY_ASSIGN(filled, impl_.fill_new_index(made.name));
    }
    if (!made.replaced) return ok();
    const std::string what = "virtual table " + made.name + " is replaced by the definition that another node gave it: ";
    if (filled) impl_.log(LogLevel::info, what + "its content here is made again from the table that it is about");
    else impl_.log(LogLevel::warn, what + "what it held here is gone, and it is empty until it is filled here");
    return ok();
  }

  // ALTERs rewrite what names a renamed thing: the file's word is kept, so that it is no change of the application's.
  Status look_again() {
    for (const Registers::Entry* const entry : registers_.objects()) {
      if (!entry->here) continue;
      const SchemaRegister object = entry->value;
      TRY_ASSIGN(const std::string now, object_sql(object));
      TRY(registers_.set_here(object, now.empty() ? std::nullopt : std::optional(now)));
    }
    for (LocalTable& local : locals_) {
      TRY_ASSIGN(std::string now, own_sql(impl_.db, local, local.name));
      if (now.empty() || now == local.sql) continue;
      local.sql = std::move(now);
      TRY(save_local_table(impl_.db, local));
    }
    return ok();
  }

  Replica::Impl& impl_;
  Registers& registers_;
  std::vector<TableSpec> specs_;
  std::vector<LocalTable> locals_;
  std::map<std::string, std::string> unmade_;
  std::set<std::string> left_out_;
  std::vector<MadeVirtual> made_virtual_;  // in this run
};

}  // namespace

Result<bool> Replica::Impl::schema_fits() {
  TRY_ASSIGN(const std::vector<LocalTable> locals, read_local_tables(db));
  for (const LocalTable& local : locals) {
    if (!local.permanent_id || local.sql.empty()) continue;
    const TableSpec spec = registers.table(registers.root_of(*local.permanent_id));
    if (spec.dropped()) continue;
    TRY_ASSIGN(const CreateTable actual, parse_create_table(local.sql));
    if (!fits(actual, local, spec)) return false;
  }
  // An index or trigger that this file lost with its table, and whose register nobody dropped, belongs to a new one of that name too.
  for (const Registers::Entry* const entry : registers.objects()) {
    if (entry->value.dropped || entry->here) continue;
    const auto on = object_table(entry->value.body);
    if (on && table_by_name(*on) != nullptr) return false;
  }
  return true;
}

Status Replica::Impl::migrate() {
  for (const auto& table : tables) table->release();  // a table that is being read cannot be dropped
  TRY_ASSIGN(const SchemaObjects before, read_schema_objects(db));
  TRY(Migrate(*this).run());
  TRY_ASSIGN(const SchemaObjects after, read_schema_objects(db));
  state.schema_changes.merge(changed_names(before, after));
  return carry_out_numbers();
}

}  // namespace marmot::replica
