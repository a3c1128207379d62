#include "common/replica/registers.hpp"

#include <algorithm>

#include "common/replica/column_id.hpp"
#include "common/replica/sql_text.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// Each column has a name of its own, and none is left out for it: what stands in it would be gone on some nodes.
void share_names(std::vector<ColumnSpec>& columns) {
  std::set<std::string> wanted, taken;
  for (const ColumnSpec& column : columns) wanted.insert(fold_name(column.name));
  for (ColumnSpec& column : columns) {
    if (taken.insert(fold_name(column.name)).second) continue;
    const std::string name = column.name + '_';
    for (int number = 2;; ++number) {
      column.name = name + std::to_string(number);
      if (wanted.count(fold_name(column.name)) == 0 && taken.insert(fold_name(column.name)).second) break;
    }
  }
}

}  // namespace

std::string spell_version(const Version& id) {
  if (id == Version{}) return {};
  return to_hex(id.hlc.value) + '.' + to_hex(id.origin.node.value) + '.' + to_hex(id.origin.incarnation.value);
}

Version unspell_version(std::string_view text) {
  uint64_t numbers[3] = {0, 0, 0};
  int at = 0;
  for (const char c : text) {
    if (c == '.') ++at;
    else if (at < 3) numbers[at] = numbers[at] * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return Version{Hlc{numbers[0]}, Origin{NodeId{numbers[1]}, Incarnation{numbers[2]}}};
}

std::string object_id(std::string_view type, std::string_view name) { return std::string(type) + ' ' + fold_name(name); }

// A table's register is found by its permanent id alone.
Registers::Key Registers::key_of(SchemaKind kind, const Version& table, std::string_view id) {
  return {kind, table, std::string(kind == SchemaKind::table ? std::string_view() : id)};
}

Status Registers::load() {
  entries_.clear();
  made_as_.clear();
  widened_.clear();
  TRY_ASSIGN(Statement rows, db_->prepare(sql::kSelectSchema));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return ok();
    Entry entry;
    SchemaRegister& value = entry.value;
    value.kind = static_cast<SchemaKind>(rows.integer(0));
    value.table = unspell_version(rows.text(1));
    value.id = rows.text(2);
    value.version = Version{Hlc{static_cast<uint64_t>(rows.integer(3))},
                            Origin{NodeId{static_cast<uint64_t>(rows.integer(4))}, Incarnation{static_cast<uint64_t>(rows.integer(5))}}};
    value.dropped = rows.integer(6) != 0;
    value.name = rows.text(7);
    value.body = rows.text(8);
    value.position = rows.integer(9);
    if (!rows.is_null(10)) entry.seq = static_cast<StreamSeq>(rows.integer(10));
    if (!rows.is_null(11)) entry.here = std::string(rows.text(11));
    if (value.kind == SchemaKind::table && !value.id.empty()) made_as_[value.id].insert(value.table);
    Key key = key_of(value);
    entries_.emplace(std::move(key), std::move(entry));
  }
}

const Registers::Entry* Registers::find(SchemaKind kind, const Version& table, std::string_view id) const {
  const auto found = entries_.find(key_of(kind, table, id));
  return found == entries_.end() ? nullptr : &found->second;
}

Status Registers::put(const SchemaRegister& value, std::optional<StreamSeq> seq) {
  if (const auto known = entries_.find(key_of(value)); known != entries_.end() && known->second.value.id != value.id) {
    const SchemaRegister former = known->second.value;  // a table that was given its id
    TRY(remove(former));
  }
  const auto [at, fresh] = entries_.try_emplace(key_of(value));
  if (fresh && value.kind == SchemaKind::column) widened_.insert(value.table);
  Entry& entry = at->second;
  entry.value = value;
  if (value.kind == SchemaKind::table && !value.id.empty()) made_as_[value.id].insert(value.table);
  entry.seq = seq;
  const std::string table = spell_version(value.table);
  TRY_ASSIGN(Statement write, db_->prepare(sql::kPutSchema));
  write.bind(1, static_cast<int64_t>(value.kind)).bind(2, table).bind(3, value.id);
  write.bind(4, static_cast<int64_t>(value.version.hlc.value)).bind(5, static_cast<int64_t>(value.version.origin.node.value));
  write.bind(6, static_cast<int64_t>(value.version.origin.incarnation.value)).bind(7, int64_t{value.dropped ? 1 : 0});
  write.bind(8, value.name).bind(9, value.body).bind(10, value.position);
  if (seq) write.bind(11, static_cast<int64_t>(*seq));
  return write.run();
}

Status Registers::set_seq(const SchemaRegister& which, std::optional<StreamSeq> seq) {
  const auto found = entries_.find(key_of(which));
  assert(found != entries_.end());
  found->second.seq = seq;
  const std::string table = spell_version(which.table);
  TRY_ASSIGN(Statement write, db_->prepare(sql::kSetSchemaSeq));
  write.bind(1, static_cast<int64_t>(which.kind)).bind(2, table).bind(3, found->second.value.id);
  if (seq) write.bind(4, static_cast<int64_t>(*seq));
  return write.run();
}

Status Registers::set_here(const SchemaRegister& which, const std::optional<std::string>& here) {
  const auto found = entries_.find(key_of(which));
  assert(found != entries_.end());
  if (found->second.here == here) return ok();
  found->second.here = here;
  TRY_ASSIGN(Statement write, db_->prepare(sql::kSetSchemaHere));
  write.bind(1, static_cast<int64_t>(which.kind)).bind(2, which.id);
  if (here) write.bind(3, *here);
  return write.run();
}

Status Registers::remove(const SchemaRegister& which) {
  const std::string table = spell_version(which.table);
  TRY_ASSIGN(Statement write, db_->prepare(sql::kRemoveSchema));
  write.bind(1, static_cast<int64_t>(which.kind)).bind(2, table).bind(3, which.id);
  TRY(write.run());
  entries_.erase(key_of(which));
  const auto same = which.kind == SchemaKind::table ? made_as_.find(which.id) : made_as_.end();
  if (same != made_as_.end() && same->second.erase(which.table) != 0 && same->second.empty()) made_as_.erase(same);
  return ok();
}

Version Registers::root_of(const Version& table) const {
  const Entry* const entry = find(SchemaKind::table, table, {});
  const auto same = entry == nullptr ? made_as_.end() : made_as_.find(entry->value.id);
  return same == made_as_.end() ? table : *same->second.begin();
}

std::string Registers::free_table_id(std::string_view name) const {
  const std::string base = fold_name(name);
  std::string id = base;
  for (int generation = 2; made_as_.count(id) != 0; ++generation) id = base + '#' + std::to_string(generation);
  return id;
}

bool Registers::is_dropped(const Version& table) const {
  const Entry* const entry = find(SchemaKind::table, table, {});
  if (entry == nullptr) return false;
  const auto same = made_as_.find(entry->value.id);
  if (same == made_as_.end()) return entry->value.dropped;
  return std::any_of(same->second.begin(), same->second.end(), [&](const Version& id) { return find(SchemaKind::table, id, {})->value.dropped; });
}

bool Registers::dropped_by_writer(const Version& table, const Version& row) const {
  const Entry* const entry = find(SchemaKind::table, table, {});
  if (entry == nullptr) return false;
  const auto dropped = [&](const SchemaRegister& one) { return one.dropped && one.version.origin.node == row.origin.node && row < one.version; };
  const auto same = made_as_.find(entry->value.id);
  if (same == made_as_.end()) return dropped(entry->value);
  return std::any_of(same->second.begin(), same->second.end(), [&](const Version& id) { return dropped(find(SchemaKind::table, id, {})->value); });
}

const Registers::Entry* Registers::column(const TableSpec& table, std::string_view id) const {
  const std::string base(column_base(id));
  const Entry* newest = nullptr;
  for (const Version& one : table.ids) {
    for (auto at = entries_.lower_bound(Key{SchemaKind::column, one, base}); at != entries_.end(); ++at) {
      const auto& [kind, of, spelled] = at->first;
      if (kind != SchemaKind::column || of != one || spelled.compare(0, base.size(), base) != 0) break;
      if (column_base(spelled) != base) continue;
      if (at->second.value.dropped) return &at->second;
      if (newest == nullptr || at->second.value.version > newest->value.version) newest = &at->second;
    }
  }
  return newest;
}

const Registers::Entry* Registers::adoption(const Version& table) const {
  const Version root = root_of(table);
  const Entry* newest = nullptr;
  for (auto at = entries_.lower_bound(Key{SchemaKind::adopted, Version{}, {}}); at != entries_.end() && std::get<0>(at->first) == SchemaKind::adopted; ++at) {
    const Entry& entry = at->second;
    if (root_of(entry.value.table) == root && (newest == nullptr || entry.value.version > newest->value.version)) newest = &entry;
  }
  return newest;
}

bool Registers::adopts(const Version& table) const {
  const Entry* const its = adoption(table);
  return its != nullptr && !its->value.dropped;
}

TableSpec Registers::spec_of(const Version& root, const std::vector<const Entry*>& members) const {
  TableSpec out;
  out.root = root;
  if (std::any_of(members.begin(), members.end(), [](const Entry* member) { return member->value.dropped; })) return out;
  const Entry* newest = nullptr;
  const Entry* text = nullptr;
  std::map<std::string, ColumnId> columns;  // by base
  for (const Entry* const member : members) {
    out.ids.push_back(member->value.table);
    if (newest == nullptr || member->value.version > newest->value.version) newest = member;
    const Entry* const its = find(SchemaKind::text, member->value.table, {});
    if (its != nullptr && (text == nullptr || its->value.version > text->value.version)) text = its;
    for (auto at = entries_.lower_bound(Key{SchemaKind::column, member->value.table, {}});
         at != entries_.end() && std::get<0>(at->first) == SchemaKind::column && std::get<1>(at->first) == member->value.table; ++at) {
      ColumnId id = parse_column_id(std::get<2>(at->first));
      columns.try_emplace(id.base, id).first->second.fills.merge(id.fills);
    }
  }
  if (newest == nullptr) return out;
  out.name = newest->value.name;
  out.tail = newest->value.body;
  if (text != nullptr) out.text = text->value.body;
  for (const auto& [base, id] : columns) {
    const SchemaRegister& value = column(out, base)->value;
    if (!value.dropped) out.columns.push_back({spell_column_id(id), value.name, value.body, value.position});
  }
  std::sort(out.columns.begin(), out.columns.end(), [](const ColumnSpec& a, const ColumnSpec& b) {
    return std::tie(a.position, a.id) < std::tie(b.position, b.id);
  });
  share_names(out.columns);
  return out;
}

std::vector<TableSpec> Registers::tables() const {
  std::map<Version, std::vector<const Entry*>> members;
  for (const auto& [key, entry] : entries_) {
    if (std::get<0>(key) == SchemaKind::table) members[root_of(std::get<1>(key))].push_back(&entry);
  }
  std::vector<TableSpec> out;
  std::set<std::string> names;
  for (const auto& [root, ids] : members) {
    out.push_back(spec_of(root, ids));
    TableSpec& spec = out.back();
    if (spec.dropped()) continue;
    while (!names.insert(fold_name(spec.name)).second) spec.name += '_' + to_hex(root.hlc.value & 0xffffff);
  }
  return out;
}

TableSpec Registers::table(const Version& root) const {
  for (TableSpec& spec : tables()) {
    if (spec.root == root) return std::move(spec);
  }
  return TableSpec{root, {}, {}, {}, {}, {}};
}

std::vector<const Registers::Entry*> Registers::objects() const {
  std::vector<const Entry*> out;
  for (auto at = entries_.lower_bound(Key{SchemaKind::object, Version{}, {}}); at != entries_.end() && std::get<0>(at->first) == SchemaKind::object; ++at) {
    out.push_back(&at->second);
  }
  return out;
}

std::vector<const Registers::Entry*> Registers::numbers(std::string_view name) const {
  std::vector<const Entry*> out;
  for (auto at = entries_.lower_bound(Key{SchemaKind::number, Version{}, {}}); at != entries_.end() && std::get<0>(at->first) == SchemaKind::number; ++at) {
    if (at->second.value.name == name) out.push_back(&at->second);
  }
  return out;
}

std::vector<SchemaRegister> Registers::all() const {
  std::vector<SchemaRegister> out;
  for (const auto& [key, entry] : entries_) out.push_back(entry.value);
  return out;
}

bool Registers::has_unsent() const {
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& one) { return !one.second.seq; });
}

std::optional<StreamSeq> Registers::newest_of(const Version& table) const {
  const Version root = root_of(table);
  StreamSeq newest = 0;
  for (const auto& [key, entry] : entries_) {
    if (std::get<1>(key) == Version{} || root_of(std::get<1>(key)) != root) continue;  // objects and numbers are no table's
    if (!entry.seq || *entry.seq == kInFlight) return std::nullopt;
    newest = std::max(newest, *entry.seq);
  }
  return newest;
}

std::vector<SchemaRegister> Registers::unsent() const {
  const auto alone = [](const Entry& entry) { return entry.value.kind == SchemaKind::object || entry.value.kind == SchemaKind::number; };
  std::set<Version> tables;
  for (const auto& [key, entry] : entries_) {
    if (!entry.seq && !alone(entry)) tables.insert(entry.value.table);
  }
  std::vector<SchemaRegister> out;
  for (const auto& [key, entry] : entries_) {
    if (alone(entry) ? !entry.seq : tables.count(entry.value.table) != 0) out.push_back(entry.value);
  }
  return out;
}

}  // namespace marmot::replica
