// The tables whose rows are restored and discarded, each read once: where a row is, and who refers to it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/cli/kept_row.hpp"
#include "common/replica/references.hpp"
#include "common/replica/table.hpp"

namespace marmot::agent {

// What a statement returned: where a row is, and what it holds.
struct Written {
  replica::RowPlace place;
  OwnedRow row;
};

class Tables {
 public:
  static constexpr int kMostLevels = 50;  // of rows that follow rows that follow

  explicit Tables(sqlite::Database& db) : db_(db), store_(db) {}

  Result<replica::Table*> find(const std::string& name);

  // Runs a statement that writes one row, with this at its end. nullopt: no row came of it.
  static std::string returning(const replica::Table& table);
  static Result<std::optional<Written>> write(const replica::Table& table, sqlite::Statement& statement);

  // "WHERE ..." that finds a row; its parameters begin at `first`.
  static std::string where(const replica::Table& table, const std::string& alias, int first);
  // `key` keeps what is bound.
  static Status bind_place(const replica::Table& table, const replica::RowPlace& place, DecodedKey& key, int first, sqlite::Statement& statement);

  // The rows that refer by `key` to the row at `place`, whoever wrote them; none where that is in another table.
  Status find_followers(const replica::ForeignKey& key, const replica::RowPlace& place, const std::function<void(const replica::RowPlace&)>& fn);

 private:
  static inline const RowLife kNoLife{};
  sqlite::Database& db_;
  replica::Store store_;
  std::map<std::string, std::unique_ptr<replica::Table>> tables_;
};

}  // namespace marmot::agent
