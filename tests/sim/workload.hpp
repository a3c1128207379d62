// What applications say: random statements against a random schema. Every write stamps its rows with the transaction's
// number (`tx`), every row without a key gets a `tag` of its own: so the checkers know them again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/random.hpp"
#include "tests/sim/schema_spec.hpp"

namespace marmot::sim {

// What text a transaction may write. Beside `plain`: also what SQLite cannot convert between its encodings (half of a surrogate pair,
// U+FFFE, U+FFFF), said in the bytes of the file that it is written to, so that files of all encodings get the same texts.
enum class Texts : uint8_t { plain, utf8, utf16le, utf16be };

class Workload {
 public:
  Workload(const SchemaSpec& schema, uint64_t seed) : schema_(schema), random_(seed), odd_(mix64(seed ^ 0x16)) {}

  // The statements of one transaction, without BEGIN and COMMIT.
  // `pairs`: per mille of transactions that write to pair_a and pair_b too, always to both. `between`: statements between the
  // two, at least.
  std::vector<std::string> transaction(uint64_t pairs, uint64_t between, Texts texts);
  // A table rebuilt as Django, Rails and Alembic do it, with rows changed on the way where no trigger sees it. Empty: there
  // is no table for that.
  std::vector<std::string> rebuild();

 private:
  std::string statement(const TableSpec& table, const std::string& tx);
  std::string insert(const TableSpec& table, const std::string& tx);
  std::string update(const TableSpec& table, const std::string& tx);
  void reuse(const TableSpec& bare, const std::string& tx, std::vector<std::string>& statements);
  std::string where(const TableSpec& table);
  std::string key_value(const TableSpec& table, const std::string& column);
  std::string value(const TableSpec& table, const std::string& column);
  const char* on_conflict(const TableSpec& table);
  std::string odd_text();
  std::string maybe_odd(const char* plain);  // an odd text in its place, in some of the transactions that may write such

  const SchemaSpec& schema_;
  Random random_, odd_;  // `odd_`: so that the rest of a seed is what it is without odd texts
  int64_t tx_ = 0, tag_ = 0;
  Texts texts_ = Texts::plain;  // of this transaction
};

}  // namespace marmot::sim
