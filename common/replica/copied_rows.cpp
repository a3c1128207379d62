// Rows without a declared key whose rowids are others now: a tool copied them without (docs/decisions/0028). They are told by what they hold.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/copied_log.hpp"
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

bool is_keyless(std::string_view key) {
  const auto decoded = decode_key(key);
  return decoded && decoded->is_rowid;
}

// The rows of a table as they were, as they are, and what the log tells of what lies between.
struct CopiedTable {
  std::vector<DrainedRow> former;
  std::vector<std::string> keys;   // of former
  std::vector<std::string> gone;   // live versions without a place: their rows went unseen
  std::vector<LoggedRow> log;
  std::vector<RowHere> here;
};

Result<CopiedTable> read_copied_table(Replica::Impl& impl, Table& table) {
  CopiedTable out;
  TRY_ASSIGN(const auto known, impl.known_rowids(table));
  TRY_ASSIGN(const auto live, impl.live_keys(table));
  std::map<int64_t, const std::string*> by_rowid;
  for (const auto& [key, rowid] : known) by_rowid.emplace(rowid, &key);
  for (const auto& [rowid, key] : by_rowid) {
    const auto version = live.find(*key);
    out.former.push_back({rowid, version == live.end() ? std::nullopt : std::optional(version->second)});
    out.keys.push_back(*key);
  }
  for (const auto& [key, hash] : live) {
    if (is_keyless(key) && known.count(key) == 0) out.gone.push_back(key);
  }
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    out.here.push_back({position.rowid, is_keyless(key), table.hash(values)});
    return ok();
  }));
  const int behind_keys = Replica::Impl::kLogKeys + static_cast<int>(table.info.key.size());
  TRY(impl.scan_log(INT64_MIN, INT64_MAX, [&](const Table& of, LogOp op) -> Status {
    if (&of != &table) return ok();
    const bool keyless = of.keyless_of_log(impl.read_log, Replica::Impl::kLogKeys).has_value();
    out.log.push_back({op, impl.read_log.integer(behind_keys), keyless});
    return ok();
  }));
  return out;
}

// By what the log tells. False: it cannot be told so, and nothing was done.
Result<bool> match_by_log(Replica::Impl& impl, Table& table, Replica::Impl::Unmatched& left) {
  TRY_ASSIGN(const CopiedTable copied, read_copied_table(impl, table));
  const auto rows = rows_by_log(copied.former, copied.log, copied.here, table.info.nullable_key);
  if (!rows) return false;
  std::vector<bool> found(copied.former.size());
  bool moved = false;
  for (const RowHere& row : copied.here) {
    const int who = row.keyless ? rows->at(row.rowid) : kNewRow;
    if (who == kNewRow) {
      if (row.keyless) left.rows.push_back(row.rowid);
      moved = moved || row.keyless;
      continue;
    }
    const DrainedRow& former = copied.former[static_cast<size_t>(who)];
    found[static_cast<size_t>(who)] = true;
    if (former.hash != row.hash) left.rows.push_back(row.rowid);
    moved = moved || former.rowid != row.rowid;
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i]) left.versions.emplace_back(copied.former[i].rowid, copied.keys[i]);
  }
  for (const std::string& key : copied.gone) left.versions.emplace_back(INT64_MAX, key);
  if (!moved && left.versions.empty()) return true;
  TRY(impl.db.exec("DELETE FROM __marmot_rowid WHERE tbl = " + std::to_string(table.id)));
  for (const auto& [rowid, who] : *rows) {
    if (who != kNewRow) TRY(table.adopt_rowid(copied.keys[static_cast<size_t>(who)], rowid));
  }
  return true;
}

}  // namespace

Result<Replica::Impl::Unmatched> Replica::Impl::match_keyless_rows(Table& table, const HashOfRow& former) {
  struct Row {
    int64_t rowid = 0;
    std::string key;  // whose it was by its rowid
    std::optional<uint64_t> hash;
  };
  std::vector<Row> rows;
  Table::Position position;
  TRY(table.scan(position, INT64_MAX, false, [&](const std::string& key, const std::vector<ValueView>& values) -> Status {
    if (is_keyless(key)) rows.push_back({position.rowid, key, former(values)});
    return ok();
  }));
  TRY_ASSIGN(auto free, live_keys(table));  // live rows that have no place yet
  std::erase_if(free, [](const auto& one) { return !is_keyless(one.first); });
  std::vector<std::pair<std::string, int64_t>> places;
  std::vector<const Row*> others;
  for (const Row& row : rows) {
    const auto own = free.find(row.key);
    if (own == free.end() || own->second != row.hash) {
      others.push_back(&row);
      continue;
    }
    places.emplace_back(row.key, row.rowid);
    free.erase(own);
  }
  Unmatched left;
  TRY_ASSIGN(const auto known, known_rowids(table));
  const auto rowid_of = [&](const std::string& key) {
    const auto at = known.find(key);
    return at == known.end() ? INT64_MAX : at->second;
  };
  std::multimap<uint64_t, std::string> by_hash;
  if (!others.empty()) {
    for (const auto& [key, hash] : free) by_hash.emplace(hash, key);
  }
  for (const Row* const row : others) {
    const auto same = row->hash ? by_hash.find(*row->hash) : by_hash.end();
    if (same == by_hash.end()) {
      left.rows.push_back(row->rowid);
      continue;
    }
    places.emplace_back(same->second, row->rowid);
    free.erase(same->second);
    by_hash.erase(same);
  }
  for (const auto& [key, hash] : free) left.versions.emplace_back(rowid_of(key), key);
  std::sort(left.versions.begin(), left.versions.end());
  if (others.empty()) return left;
  TRY(db.exec("DELETE FROM __marmot_rowid WHERE tbl = " + std::to_string(table.id)));
  for (const auto& [key, rowid] : places) TRY(table.adopt_rowid(key, rowid));
  return left;
}

Result<std::map<std::string, int64_t>> Replica::Impl::known_rowids(const Table& table) {
  std::map<std::string, int64_t> out;
  TRY_ASSIGN(Statement all, db.prepare(sql::kRowidsOfTable));
  all.bind(1, table.id);
  for (;;) {
    TRY_ASSIGN(const bool more, all.step());
    if (!more) return out;
    std::string key;
    append_rowid_part(key, NodeId{static_cast<uint64_t>(all.integer(0))}, all.integer(1));
    out.emplace(std::move(key), all.integer(2));
  }
}

// What is left was changed since its last version. Such tools keep the rows' order, and rows that were inserted since come last: where the
// numbers agree, each changed row is known. Not where the log tells of the end of rows: under which rowids, those of before or these, it does not say.
Status Replica::Impl::match_by_order(Table& table, Unmatched left) {
  std::set<int64_t> came;
  bool ended = false;
  TRY(scan_log(INT64_MIN, INT64_MAX, [&](const Table& of, LogOp op) -> Status {
    const auto here = &of == &table ? of.keyless_of_log(read_log, kLogKeys) : std::nullopt;
    if (here && op == LogOp::insert) came.insert(*here);
    ended = ended || (here && op == LogOp::remove);
    return ok();
  }));
  if (!ended && left.rows.size() == left.versions.size() + came.size()) {
    for (size_t i = 0; i < left.versions.size(); ++i) TRY(table.adopt_rowid(left.versions[i].second, left.rows[i]));
  } else if (!left.rows.empty() && !left.versions.empty()) {
    log(LogLevel::warn, "table " + table.info.name + ": which former rows " + std::to_string(left.rows.size()) +
                            " of its rows are cannot be told: they are new ones, and " + std::to_string(left.versions.size()) + " former ones are deleted");
  }
  return ok();
}

// The log's rowids of keyless rows may be those of before the copy: what it tells of them is seen by comparing. Returns when the last of
// that was written, or now.
Result<WallMs> Replica::Impl::forget_logged_rowids(const Table& table) {
  std::string keyless = table.info.key.empty() ? " AND (1" : " AND (0";
  for (size_t i = 1; i <= table.info.key.size(); ++i) keyless += " OR k" + std::to_string(i) + " IS NULL";
  const std::string which = " FROM __marmot_log WHERE tbl = " + std::to_string(table.id) + keyless + ")";
  TRY_ASSIGN(const int64_t last, db.query_integer("SELECT coalesce(max(ts), 0)" + which));
  TRY(db.exec("DELETE" + which));
  return last == 0 ? env.now() : last;
}

Status Replica::Impl::compare_copied_rows(Table& table, TouchedKeys& touched) {
  Unmatched left;
  TRY_ASSIGN(const bool told, match_by_log(*this, table, left));
  if (!told) {
    TRY_ASSIGN(left, match_keyless_rows(table, [&](const std::vector<ValueView>& values) { return table.hash(values); }));
    if (!left.rows.empty()) TRY(match_by_order(table, left));
  }
  TRY_ASSIGN(const WallMs when, forget_logged_rowids(table));
  const auto touch = [&](const std::string& key) -> Status {
    if (table.running()) {
      touched.add(&table, key, when);
      return ok();
    }
    TRY_ASSIGN(Statement* const park, store.statement(sql::kPark));
    park->bind(1, table.id).bind_blob(2, key).bind(3, when);
    return park->run();
  };
  if (!left.rows.empty() && table.baseline) {  // else baseline() gives them their versions
    Table::Position position;
    TRY(table.scan(position, INT64_MAX, true, [&](const std::string& key, const std::vector<ValueView>&) -> Status {
      return std::binary_search(left.rows.begin(), left.rows.end(), position.rowid) && is_keyless(key) ? touch(key) : ok();
    }));
  }
  for (const auto& [rowid, key] : left.versions) {
    if (table.baseline) TRY(touch(key));
    else TRY(forget_baseline_row(table, key));
  }
  return ok();
}

// Nobody but this file has heard of it yet.
Status Replica::Impl::forget_baseline_row(Table& table, const std::string& key) {
  TRY(drop_unique(table, key));
  TRY(table.forget_rowid(key));
  return store.remove(table.id, key);
}

Status Replica::Impl::compare_copied(bool all, const std::set<int64_t>& unkept, const std::set<int64_t>& rebuilt, TouchedKeys& touched) {
  if (all) {
    log(LogLevel::info, "this file was made anew without its rowids: rows without a key are told by what they hold");
    TRY(db.exec(std::string(sql::kCopyIsKnown)));
  }
  for (const auto& table : tables) {
    const bool has_keyless = table->info.key_kind == KeyKind::rowid || table->info.nullable_key;
    if (!table->exists || !has_keyless || rebuilt.count(table->id) != 0 || mutated(Mutation::copied_rows_unmatched)) continue;
    if (all || unkept.count(table->id) != 0) TRY(compare_copied_rows(*table, touched));
  }
  return ok();
}

}  // namespace marmot::replica
