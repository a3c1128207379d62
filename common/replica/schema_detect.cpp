// What the application did to its schema becomes registers: the file as it is now against the file as it was last seen.
//
//   our triggers are on a table of another name         it was renamed (triggers travel, and VACUUM does not matter)
//   our triggers are gone, a table of that name is here it was rebuilt: the same table, its rows are compared
//   our triggers are gone, and so is the table          it was dropped
//   ... and a table that was seen meanwhile took its    it was rebuilt by a tool that commits in between: the same table,
//       name                                            and the intermediate one is dropped
//   a table without a row in __marmot_table             it is new
#include <algorithm>
#include <map>
#include <set>

#include "common/core/row_hash.hpp"
#include "common/replica/autoincrement.hpp"
#include "common/replica/capture.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/local_schema.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

std::string simple(const std::string& sql) { return canonical_sql(sql); }

// Which column of `before` each of the first `named` columns of `after` is: by name; else, and the others too, by standing between the same
// neighbours with the same definition, which is what RENAME COLUMN leaves. `guessed`: one dropped and another added would look the same.
std::vector<int> match_columns(const CreateTable& before, const CreateTable& after, size_t named, bool* guessed) {
  std::vector<int> from(after.columns.size(), -1);
  std::vector<int> to(before.columns.size(), -1);
  for (size_t i = 0; i < named; ++i) {
    for (size_t k = 0; k < before.columns.size(); ++k) {
      if (fold_name(before.columns[k].name) != fold_name(after.columns[i].name)) continue;
      from[i] = static_cast<int>(k);
      to[k] = static_cast<int>(i);
    }
  }
  // Runs without a partner, by the matched columns around them.
  struct Run { std::vector<size_t> before, after; };
  std::map<std::pair<int, int>, Run> runs;  // (column of `after` in front, behind)
  const auto gather = [&](const std::vector<int>& partner, bool is_after) {
    int front = -1;
    for (size_t i = 0; i < partner.size(); ++i) {
      if (partner[i] >= 0) {
        front = is_after ? static_cast<int>(i) : partner[i];
        continue;
      }
      size_t next = i;
      while (next < partner.size() && partner[next] < 0) ++next;
      const int behind = next == partner.size() ? -1 : is_after ? static_cast<int>(next) : partner[next];
      Run& run = runs[{front, behind}];
      for (; i < next; ++i) (is_after ? run.after : run.before).push_back(i);
      --i;
    }
  };
  gather(from, true);
  gather(to, false);
  for (const auto& [place, run] : runs) {
    if (run.before.empty() || run.after.empty()) continue;
    // ADD COLUMN adds at the end: elsewhere the same number of columns can only be the same columns.
    if (run.before.size() != run.after.size() || place.second < 0) *guessed = true;
    size_t next = 0;
    for (const size_t at : run.after) {
      const ColumnSql& new_one = after.columns[at];
      for (size_t n = next; n < run.before.size(); ++n) {
        const ColumnSql& old_one = before.columns[run.before[n]];
        if (canonical_sql(old_one.definition, old_one.name, new_one.name) != simple(new_one.definition)) continue;
        from[at] = static_cast<int>(run.before[n]);
        next = n + 1;
        break;
      }
    }
  }
  return from;
}

// Without a rebuild columns keep their order, and new ones stand behind all others.
bool possible_in_place(const std::vector<int>& from) {
  const auto first_new = std::find(from.begin(), from.end(), -1);
  return std::is_sorted(from.begin(), first_new) && std::all_of(first_new, from.end(), [](int one) { return one < 0; });
}

// ALTER TABLE ... RENAME COLUMN leaves the definition as it is. (Another one comes of a rename of what a definition names, or of a tool.)
bool same_definitions(const std::vector<int>& from, const CreateTable& before, const CreateTable& after) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] < 0) continue;
    const ColumnSql& was = before.columns[static_cast<size_t>(from[i])];
    if (canonical_sql(was.definition, was.name, after.columns[i].name) != simple(after.columns[i].definition)) return false;
  }
  return true;
}

// Each column of `before` whose name is that of one of `after` from `named` on is still there, under another name.
bool all_renamed(const std::vector<int>& from, const CreateTable& before, const CreateTable& after, size_t named) {
  for (size_t k = 0; k < before.columns.size(); ++k) {
    const bool name_taken = std::any_of(after.columns.begin() + static_cast<std::ptrdiff_t>(named), after.columns.end(), [&](const ColumnSql& one) {
      return fold_name(one.name) == fold_name(before.columns[k].name);
    });
    if (name_taken && std::find(from.begin(), from.end(), static_cast<int>(k)) == from.end()) return false;
  }
  return true;
}

struct InPlace {
  std::vector<int> from;  // as of match_columns
  bool guessed = false;
  bool ambiguous = false;  // columns that went and came can as well be some that were renamed, one to the other's name
};

// Of a table that was not rebuilt. Where an order or a definition that no ALTER TABLE makes is explained by columns at the end that were made
// under the names of others, which were renamed, they are not those. Where an order is not, a tool has rebuilt the table and made our triggers
// again: the rows tell.
InPlace match_in_place(const CreateTable& before, const CreateTable& after) {
  const size_t all = after.columns.size();
  InPlace by_name;
  by_name.from = match_columns(before, after, all, &by_name.guessed);
  const bool possible = possible_in_place(by_name.from), likely = possible && same_definitions(by_name.from, before, after);
  for (size_t named = all; named-- > 0;) {
    InPlace other;
    other.from = match_columns(before, after, named, &other.guessed);
    if (other.from == by_name.from || !possible_in_place(other.from) || !all_renamed(other.from, before, after, named)) continue;
    if (possible && !same_definitions(other.from, before, after)) continue;
    if (!likely) return other;
    by_name.ambiguous = true;
  }
  by_name.guessed = by_name.guessed || by_name.ambiguous || !possible;
  return by_name;
}

class Notice {
 public:
  Notice(Replica::Impl& impl, std::vector<Replica::Impl::Rebuilt>& rebuilt, std::vector<int64_t>& found, std::set<int64_t>& unkept)
      : impl_(impl), registers_(impl.registers), rebuilt_(rebuilt), found_(found), unkept_(unkept) {}

  Status run() {
    TRY_ASSIGN(known_, read_local_tables(impl_.db));
    TRY_ASSIGN(triggers_, installed_triggers(impl_.db));
    TRY_ASSIGN(candidates_, list_tables(impl_.db, impl_.settings.include, impl_.settings.exclude));
    TRY(leave_excluded());
    TRY(drop_intermediate());
    for (LocalTable& table : known_) TRY(look_at(table));
    for (const Candidate& candidate : candidates_) {
      if (!candidate.not_watched && ours_.count(fold_name(candidate.name)) == 0) TRY(take_up(candidate.name));
    }
    TRY(look_at_objects());
    TRY(note_adopted());
    return impl_.carry_out_adoption();
  }

 private:
  // The version of every change found now.
  const Version& change() {
    if (!change_) change_ = Version{impl_.state.clock.tick(impl_.env.now(), impl_.env.now()), impl_.self};
    return *change_;
  }
  // What stands here before the file has met a stream gives way to whatever the stream says.
  Version change_version() { return impl_.state.membership == Membership::none ? Version{} : change(); }

  Status put(SchemaRegister value) {
    value.version = change_version();
    return registers_.put(value, std::nullopt);
  }

  // The table that the triggers of `id` are on now; empty: they are gone.
  std::string place_of(int64_t id, int* count = nullptr) const {
    std::string place;
    for (const InstalledTrigger& trigger : triggers_) {
      if (trigger.table_id != id) continue;
      place = trigger.table;
      if (count != nullptr) ++*count;
    }
    return place;
  }

  bool is_here(std::string_view name) const {
    return std::any_of(candidates_.begin(), candidates_.end(), [&](const Candidate& one) { return fold_name(one.name) == fold_name(name); });
  }

  // Excluded by the settings now: no longer watched, and no change to the cluster's schema.
  Status leave_excluded() {
    for (const Candidate& candidate : candidates_) {
      // One of the name of a table that was dropped is another object: look_at() tells the drop.
      if (!candidate.not_watched || candidate.not_watched == NotWatched::virtual_table) continue;
      const auto its = std::find_if(known_.begin(), known_.end(), [&](const LocalTable& table) {
        const std::string place = place_of(table.id);
        return fold_name(place.empty() ? table.name : place) == fold_name(candidate.name);
      });
      if (its == known_.end()) continue;
      const bool backs = candidate.not_watched == NotWatched::shadow_table;
      impl_.log(backs ? LogLevel::warn : LogLevel::info,
                "table " + candidate.name + " is " + (backs ? candidate.reason() : "excluded now") + ": no longer watched");
      TRY(forget_local_table(impl_.db, its->id));
      known_.erase(its);
      left_.insert(fold_name(candidate.name));
    }
    return ok();
  }

  Status drop_intermediate() {
    for (size_t i = 0; i < known_.size();) {
      const LocalTable& table = known_[i];
      const std::string place = place_of(table.id);
      const auto former = std::find_if(known_.begin(), known_.end(), [&](const LocalTable& other) {
        return fold_name(other.name) == fold_name(place) && place_of(other.id).empty();
      });
      if (place.empty() || fold_name(place) == fold_name(table.name) || former == known_.end()) {
        ++i;
        continue;
      }
      if (table.adopted && !former->adopted) {  // its text is the former one's now
        TRY(wish_adopted(impl_.db, former->id, true));
        former->adopted = true;
        former->wish = true;
      }
      TRY(drop(table));
      std::erase_if(triggers_, [&](const InstalledTrigger& trigger) { return trigger.table_id == table.id; });
      known_.erase(known_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return ok();
  }

  Status drop(const LocalTable& table) {
    if (table.permanent_id) {
      const TableSpec spec = registers_.table(registers_.root_of(*table.permanent_id));
      for (const Version& id : spec.ids) {
        SchemaRegister gone = registers_.find(SchemaKind::table, id, {})->value;
        gone.dropped = true;
        TRY(put(gone));
      }
    }
    impl_.log(LogLevel::info, "table " + table.name + " was dropped");
    return forget_local_table(impl_.db, table.id);
  }

  Status look_at(LocalTable& table) {
    int in_place = 0;
    const std::string place = place_of(table.id, &in_place);
    const std::string name = place.empty() ? table.name : place;
    TRY_ASSIGN(const std::string sql, own_sql(impl_.db, table, name));
    if (sql.empty()) return drop(table);
    ours_.insert(fold_name(name));
    const bool rebuilt = in_place != 3;
    if (!rebuilt && sql == table.sql && name == table.name) return keep_rowids(table.id, name);
    auto info = read_table(impl_.db, name);
    if (!info && info.error().code == Errc::schema) return ok();  // load_tables() stops it
    TRY(info);
    if (table.sql.empty()) return first_sight(table, *info, sql);  // the extension watched it
    if (rebuilt) {
      auto before = describe_table(table);
      if (!before) return std::move(before).error().in("table " + table.name + " as it was");
      rebuilt_.push_back({table.id, std::move(*before), true});
      impl_.log(LogLevel::info, "table " + name + " was rebuilt: its rows are compared");
    }
    TRY(note_definition(table, name, sql, *info, !rebuilt));
    TRY(save_local_table(impl_.db, table));
    TRY(watch(impl_.db, *info, WatchMode::keys));
    return ok();
  }

  // A tool may have dropped the index that keeps VACUUM from giving a keyless table other rowids (docs/decisions/0020).
  Status keep_rowids(int64_t id, const std::string& name) {
    const Table* const known = impl_.table_by_id(id);
    if (known != nullptr && known->exists && known->info.key_kind != KeyKind::rowid) return ok();
    TRY_ASSIGN(Statement kept, impl_.db.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'index' AND name = ?1"));
    const std::string index = "__marmot_" + std::to_string(id) + "_keep";
    kept.bind(1, index);
    TRY_ASSIGN(const bool stands, kept.step());
    if (stands) return ok();
    kept.reset();
    auto info = read_table(impl_.db, name);
    if (!info && info.error().code == Errc::schema) return ok();
    TRY(info);
    if (info->key_kind != KeyKind::rowid) return ok();
    impl_.log(LogLevel::warn, "table " + name + ": its index " + index + " was dropped, and is made again: without it a VACUUM gives rows other rowids, and they are told by what they hold");
    unkept_.insert(id);
    const auto watched = watch(impl_.db, *info, WatchMode::keys);
    return watched ? ok() : Status(watched.error());
  }

  // The registers of what is different, and the table as seen from now on.
  Status note_definition(LocalTable& table, const std::string& name, const std::string& sql, const TableInfo& info, bool in_place) {
    TRY_ASSIGN(const CreateTable before, parse_create_table(table.sql));
    TRY_ASSIGN(const CreateTable after, parse_create_table(sql));
    const TableSpec spec = registers_.table(registers_.root_of(*table.permanent_id));
    InPlace match;
    if (in_place) match = match_in_place(before, after);
    else match.from = match_columns(before, after, after.columns.size(), &match.guessed);
    const std::vector<int>& from = match.from;
    if (match.guessed && in_place) {  // the rows tell
      auto former = describe_table(table);
      if (!former) return std::move(former).error().in("table " + table.name + " as it was");
      rebuilt_.push_back({table.id, std::move(*former), match.ambiguous});
    }
    std::map<std::string, std::string> ids;
    std::vector<ColumnSpec> columns;
    std::set<std::string> kept;
    for (size_t i = 0; i < after.columns.size(); ++i) {
      ColumnSpec column;
      if (from[i] >= 0) column.id = table.column_ids[fold_name(before.columns[static_cast<size_t>(from[i])].name)];
      else column.id = new_column_id(spec, table, after.columns[i].name, fill_of(info, after.columns[i].name));
      column.name = after.columns[i].name;
      column.definition = after.columns[i].definition;
      if (from[i] >= 0) keep_unchanged(column, before.columns[static_cast<size_t>(from[i])], spec);
      kept.insert(column.id);
      columns.push_back(std::move(column));
    }
    bool lost = false;  // or a column has another fill
    TRY(put_columns(spec, info, columns, &lost));
    for (size_t i = 0; i < columns.size(); ++i) ids[fold_name(after.columns[i].name)] = columns[i].id;
    for (const auto& [old_name, id] : table.column_ids) {
      const Registers::Entry* const entry = registers_.column(spec, id);
      if (kept.count(id) != 0 || entry == nullptr || entry->value.dropped) continue;
      SchemaRegister gone = entry->value;
      gone.table = spec.ids.front();
      gone.dropped = true;
      TRY(put(gone));
      lost = true;
    }
    if (name != table.name || simple(before.tail) != simple(after.tail)) {
      for (const Version& id : spec.ids) {
        SchemaRegister changed = registers_.find(SchemaKind::table, id, {})->value;
        if (name != table.name) changed.name = name;
        changed.body = after.tail;
        TRY(put(changed));
      }
    }
    if (sql != table.sql) TRY(put({SchemaKind::text, spec.ids.front(), {}, {}, false, {}, sql, 0}));
    const std::string id = std::to_string(table.id);
    const std::string shelved = "EXISTS(SELECT 1 FROM __marmot_shelf WHERE tbl = " + id + ")";  // they may fit now
    TRY(impl_.db.exec("UPDATE __marmot_table SET rehash = 1 WHERE id = " + id + (lost && in_place ? "" : " AND " + shelved)));
    table.name = name;
    table.sql = sql;
    table.column_ids = std::move(ids);
    return ok();
  }

  // What the application left as it was, the registers may have otherwise: the file could not follow them, or another column
  // of that name made it take another one.
  void keep_unchanged(ColumnSpec& column, const ColumnSql& before, const TableSpec& spec) const {
    const Registers::Entry* const entry = registers_.column(spec, column.id);
    if (entry == nullptr || entry->value.dropped) return;
    if (column.name == before.name) column.name = entry->value.name;
    if (column.definition == before.definition) column.definition = entry->value.body;
  }

  // What rows have that were made without the column.
  static std::string fill_of(const TableInfo& info, const std::string& name) {
    const auto column = std::find_if(info.columns.begin(), info.columns.end(), [&](const Column& one) { return fold_name(one.name) == fold_name(name); });
    return column == info.columns.end() ? std::string() : spell_fill(column->default_value);
  }

  // A column keeps its id for ever, and a dropped column's is not used again: rows in flight may still name it.
  std::string new_column_id(const TableSpec& spec, const LocalTable& table, const std::string& name, std::string fill) const {
    for (int generation = 1;; ++generation) {
      ColumnId id{spell_base(fold_name(name), generation), {}};
      const Registers::Entry* const entry = registers_.column(spec, id.base);
      if (entry == nullptr) {
        id.fills.insert(std::move(fill));
        return spell_column_id(id);
      }
      const auto is_it = [&](const std::string& other) { return same_column_id(other, id.base); };
      const bool waits = !entry->value.dropped && fold_name(entry->value.name) == fold_name(name) &&
                         std::none_of(table.column_ids.begin(), table.column_ids.end(), [&](const auto& known) { return is_it(known.second); });
      if (!waits) continue;
      return std::find_if(spec.columns.begin(), spec.columns.end(), [&](const ColumnSpec& one) { return is_it(one.id); })->id;
    }
  }

  // Of a column that is NOT NULL from now on: NULLs that are on their way, or that others write who have not heard of that, are its fill
  // (column_id.hpp).
  std::string forbid_null(const std::string& id, const Column& column) {
    ColumnId out = parse_column_id(id);
    if (out.fill().empty()) out.fills.insert(spell_fill(column.default_value));
    out.fills.insert(spell_given_up_null(bytes_hash(spell_version(change()))));
    return spell_column_id(out);
  }

  // Writes the registers of columns that are new, renamed or defined otherwise, or all where they stand in another order. `info`: the table as it
  // is. `refilled`: one has got its first fill.
  Status put_columns(const TableSpec& spec, const TableInfo& info, std::vector<ColumnSpec>& columns, bool* refilled) {
    int64_t last = 0;
    bool in_order = true;
    for (ColumnSpec& column : columns) {
      const Registers::Entry* const entry = registers_.column(spec, column.id);
      column.position = entry != nullptr && !entry->value.dropped ? entry->value.position : last + 1;
      in_order = in_order && column.position > last;
      last = column.position;
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      ColumnSpec& column = columns[i];
      if (!in_order) column.position = static_cast<int64_t>(i) + 1;
      const Registers::Entry* const entry = registers_.column(spec, column.id);
      if (entry != nullptr && !entry->value.dropped && entry->value.name == column.name && entry->value.position == column.position &&
          simple(entry->value.body) == simple(column.definition)) {
        continue;
      }
      std::string id = entry == nullptr ? column.id : entry->value.id;
      const Column& here = info.columns[i];
      const bool redefined = entry != nullptr && !entry->value.dropped && simple(entry->value.body) != simple(column.definition);
      if (redefined && here.not_null && !here.generated && impl_.state.membership != Membership::none) {
        *refilled = *refilled || parse_column_id(column.id).fill().empty();
        id = column.id = forbid_null(column.id, here);
      }
      TRY(put({SchemaKind::column, spec.ids.front(), id, {}, false, column.name, column.definition, column.position}));
    }
    return ok();
  }

  // A table that is new here, or that waits here for its turn under a register of another node.
  Status take_up(const std::string& name) {
    auto info = read_table(impl_.db, name);
    if (!info && info.error().code == Errc::schema) {
      if (impl_.not_ours.emplace(fold_name(name), 0).second) {
        impl_.log(LogLevel::error, "table " + name + " is NOT replicated: " + info.error().message);
      }
      return ok();
    }
    TRY(info);
    TRY_ASSIGN(const std::string sql, table_sql(impl_.db, name));
    TRY_ASSIGN(const Watched watched, watch(impl_.db, *info, WatchMode::keys));
    ours_.insert(fold_name(name));
    LocalTable table;
    table.id = watched.id;
    if (impl_.opened) impl_.log(LogLevel::info, "table " + name + " is new: watching it");
    found_.push_back(table.id);
    return first_sight(table, *info, sql);
  }

  Status first_sight(LocalTable& table, const TableInfo& info, const std::string& sql) {
    TRY_ASSIGN(const CreateTable parsed, parse_create_table(sql));
    const std::string& name = table.name = info.name;
    table.sql = sql;
    std::optional<TableSpec> awaited = awaited_table(name);
    if (!awaited) {
      awaited.emplace();
      awaited->root = change();
      awaited->root.hlc.value = impl_.state.clock.tick(impl_.env.now(), impl_.env.now()).value;
      awaited->ids = {awaited->root};
      const std::string id = impl_.state.membership == Membership::none ? std::string() : registers_.free_table_id(name);
      TRY(put({SchemaKind::table, awaited->root, id, {}, false, name, parsed.tail, 0}));
      TRY(put({SchemaKind::text, awaited->root, {}, {}, false, {}, sql, 0}));
    } else {
      TRY_ASSIGN(const int64_t waiting, impl_.db.query_integer("SELECT count(*) FROM __marmot_waiting"));
      if (waiting > 0) {
        TRY(impl_.db.exec("UPDATE __marmot_table SET stopped = 'it was missing when its first rows arrived; they are applied now' "
                          "WHERE id = " + std::to_string(table.id)));
      }
    }
    table.permanent_id = awaited->ids.front();
    std::vector<ColumnSpec> news;
    for (const ColumnSql& column : parsed.columns) {
      const auto same = std::find_if(awaited->columns.begin(), awaited->columns.end(),
                                     [&](const ColumnSpec& one) { return fold_name(one.name) == fold_name(column.name); });
      const std::string id = same != awaited->columns.end() ? same->id : new_column_id(*awaited, table, column.name, fill_of(info, column.name));
      table.column_ids[fold_name(column.name)] = id;
      if (same == awaited->columns.end()) news.push_back({id, column.name, column.definition, 0});
    }
    int64_t position = awaited->columns.empty() ? 0 : awaited->columns.back().position;
    for (const ColumnSpec& column : news) {
      TRY(put({SchemaKind::column, awaited->ids.front(), column.id, {}, false, column.name, column.definition, ++position}));
    }
    return save_local_table(impl_.db, table);
  }

  // A live table of that name by the registers which this file has not got.
  std::optional<TableSpec> awaited_table(const std::string& name) const {
    for (TableSpec& spec : registers_.tables()) {
      if (spec.dropped() || fold_name(spec.name) != fold_name(name)) continue;
      const bool here = std::any_of(known_.begin(), known_.end(), [&](const LocalTable& table) {
        return table.permanent_id && registers_.root_of(*table.permanent_id) == spec.root;
      });
      if (!here) return std::move(spec);
    }
    return std::nullopt;
  }

  // Views, chosen virtual tables, and what stands on a table that is replicated or on a view.
  bool is_shared(const std::string& type, const std::string& name, const std::string& table) const {
    if (type == "view") return true;
    if (type == "virtual") return is_chosen(impl_.settings.include, impl_.settings.exclude, name);
    return ours_.count(fold_name(table)) != 0 || (type == "trigger" && !is_here(table));
  }

  // Indexes, views, triggers and virtual tables. `left`: those that are here and that this file no longer shares: nobody
  // dropped them.
  Status look_at_objects() {
    std::set<std::string> seen, left;
    TRY_ASSIGN(Statement rows, impl_.db.prepare(sql::kSchemaObjects));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) break;
      std::string type(rows.text(0));
      const std::string name(rows.text(1)), table(rows.text(2)), sql(rows.text(3));
      if (type == "table") {
        if (rows.integer(4) != 0) continue;
        type = "virtual";
      }
      const std::string id = object_id(type, name);
      if (!is_shared(type, name, table)) {
        if (type == "virtual" || left_.count(fold_name(table)) != 0) left.insert(id);
        continue;
      }
      seen.insert(id);
      const Registers::Entry* const entry = registers_.find(SchemaKind::object, {}, id);
      if (entry != nullptr && entry->here == sql) continue;
      SchemaRegister object{SchemaKind::object, {}, id, {}, false, name, sql, 0};
      const bool as_wanted = entry != nullptr && !entry->value.dropped && simple(entry->value.body) == simple(sql);
      if (!as_wanted) TRY(put(object));
      TRY(registers_.set_here(object, sql));
    }
    for (const Registers::Entry* const entry : registers_.objects()) {
      if (!entry->here || seen.count(entry->value.id) != 0) continue;
      SchemaRegister gone = entry->value;
      TRY(registers_.set_here(gone, std::nullopt));
      if (gone.dropped || left.count(gone.id) != 0) continue;
      gone.dropped = true;
      TRY(put(gone));
    }
    return ok();
  }

  // `marmot ids adopt` and `release` have changed the file; others are told. With the setting, tables of which nobody has said anything.
  Status note_adopted() {
    if (impl_.settings.ids.held) return ok();
    TRY_ASSIGN(const std::vector<LocalTable> tables, read_local_tables(impl_.db));
    for (const LocalTable& table : tables) {
      if (!table.permanent_id) continue;
      const bool by_itself = !table.wish && impl_.adopts_by_itself(*table.permanent_id) && with_autoincrement(table.sql);
      if (!table.wish && !by_itself) continue;
      const bool adopt = table.wish.value_or(true);
      const Registers::Entry* const known = registers_.adoption(*table.permanent_id);
      if (known == nullptr || known->value.dropped == adopt) {
        TRY(put({SchemaKind::adopted, known == nullptr ? *table.permanent_id : known->value.table, {}, {}, !adopt, {}, {}, 0}));
      }
      if (!by_itself) TRY(tell_adopted(impl_.db, table.id, adopt));
    }
    return ok();
  }

  Replica::Impl& impl_;
  Registers& registers_;
  std::vector<Replica::Impl::Rebuilt>& rebuilt_;
  std::vector<int64_t>& found_;
  std::set<int64_t>& unkept_;
  std::vector<LocalTable> known_;
  std::vector<InstalledTrigger> triggers_;
  std::vector<Candidate> candidates_;
  std::set<std::string> ours_;  // folded names of the tables that are replicated
  std::set<std::string> left_;  // ... and of those that were until now, and that the settings exclude
  std::optional<Version> change_;
};

}  // namespace

Status Replica::Impl::notice_changes(std::vector<Rebuilt>& rebuilt, std::vector<int64_t>& found, std::set<int64_t>& unkept) {
  return Notice(*this, rebuilt, found, unkept).run();
}

}  // namespace marmot::replica
