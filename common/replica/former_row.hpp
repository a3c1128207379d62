// What a row was before its table changed: its hash and its key then, told from what it holds now. Internal to schema_rows.cpp and
// lost_key.cpp.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/core/row_hash.hpp"
#include "common/replica/coerce.hpp"
#include "common/replica/column_id.hpp"
#include "common/replica/table.hpp"

namespace marmot::replica {

// Tells whether a row is what its register says it was, though columns have come and gone since.
class FormerHash {
 public:
  // Both outlive it. `but_key`: the hashes are without key columns that went (lose_key()).
  FormerHash(const TableInfo& before, const Table& table, bool but_key = false) : key_(table.hash_key()) {
    for (const int column : table.stored()) {
      const Column& now = table.info.columns[static_cast<size_t>(column)];
      Part part{now.seed, &now.default_value, false};
      for (const Column& was : before.columns) {
        if (was.generated || was.id != now.id) continue;
        part = {now.seed, &was.default_value, true};
      }
      parts_.push_back(part);
    }
    for (size_t i = 0; i < before.columns.size(); ++i) {
      const Column& was = before.columns[i];
      if (but_key && std::any_of(before.key.begin(), before.key.end(), [&](const KeyColumn& part) { return static_cast<size_t>(part.column) == i; })) continue;
      lost_ = lost_ || (!was.generated && std::none_of(table.stored().begin(), table.stored().end(), [&](int column) {
        return table.info.columns[static_cast<size_t>(column)].id == was.id;
      }));
    }
  }

  // A column went, and with it what a row's former hash could be checked by, unless the row had nothing in it.
  bool lost() const { return lost_; }

  enum class Told : uint8_t { same, changed, unknown };
  Told compare(const std::vector<ValueView>& values, uint64_t hash) const {
    const auto was = former(values);
    if (was && *was == hash) return Told::same;
    return was && lost_ ? Told::unknown : Told::changed;
  }

  // What the columns that it had before, and has still, add to its hash.
  uint64_t shared(const std::vector<ValueView>& values) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i].was_here && !same_value(values[i], *parts_[i].default_value)) sum += value_hash(key_, parts_[i].seed, values[i]);
    }
    return kept_hash(sum);
  }

  // The hash that the row had before, but for lost columns. nullopt: a new column was given a value.
  std::optional<uint64_t> former(const std::vector<ValueView>& values) const {
    uint64_t sum = 0;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (same_value(values[i], *parts_[i].default_value)) continue;
      if (!parts_[i].was_here) return std::nullopt;
      sum += value_hash(key_, parts_[i].seed, values[i]);
    }
    return kept_hash(sum);
  }

 private:
  struct Part {
    uint64_t seed = 0;
    const ValueView* default_value = nullptr;
    bool was_here = false;
  };
  HashKey key_;
  std::vector<Part> parts_;
  bool lost_ = false;
};

// The key that rows of a table had before it was given another one, as the columns that made it would have it now: told from
// a row's values, and from the old key's own bytes.
class FormerKey {
 public:
  // `columns`: the stored ones of then, by id.
  FormerKey(const std::vector<std::string>& columns, const std::vector<UnitKeyColumn>& key, const Table& table) {
    const std::vector<std::string> ids = table.stored_ids();
    for (const UnitKeyColumn& part : key) {
      const auto at = std::find_if(ids.begin(), ids.end(), [&](const std::string& id) { return same_column_id(id, columns[part.column]); });
      if (at == ids.end()) return;
      const auto place = static_cast<size_t>(at - ids.begin());
      parts_.push_back({place, part.collation, table.info.columns[static_cast<size_t>(table.stored()[place])].affinity});
    }
    told_ = !key.empty();
  }

  // All of its columns are still there.
  bool told() const { return told_; }

  // nullopt: such a row was known by its rowid.
  std::optional<std::string> of_row(const std::vector<ValueView>& values) const {
    std::string key;
    for (const Part& part : parts_) {
      if (values[part.place].type == ValueType::null) return std::nullopt;
      append_key_part(key, values[part.place], part.collation);
    }
    return key;
  }

  std::optional<std::string> of_key(std::string_view bytes, Coercer& coercer) const {
    const auto decoded = decode_key(bytes);
    if (!decoded || decoded->is_rowid || decoded->parts.size() != parts_.size()) return std::nullopt;
    std::string key;
    std::deque<std::string> storage;
    for (size_t i = 0; i < parts_.size(); ++i) {
      append_key_part(key, coercer.stored_if_changed(parts_[i].affinity, decoded->parts[i], storage), parts_[i].collation);
    }
    return key;
  }

 private:
  struct Part {
    size_t place = 0;  // among the stored values
    Collation collation = Collation::binary;
    Affinity affinity = Affinity::blob;
  };
  std::vector<Part> parts_;
  bool told_ = false;
};

// What a row is known by whose table lost its key: a function of that key alone, so that every node gives it the same, to rows
// and deletes in flight as well. `columns`: the stored ones of then, by id.
std::string former_identity(const std::vector<std::string>& columns, const std::vector<UnitKeyColumn>& key, std::string_view bytes);

// What tells a table's key from others that it had: its columns, and what makes its bytes of them. Empty: it has none.
std::string spell_shape(const UnitTable& table);

}  // namespace marmot::replica
