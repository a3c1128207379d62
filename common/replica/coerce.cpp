#include "common/replica/coerce.hpp"

#include <cmath>

namespace marmot::replica {

using sqlite::Statement;

bool Coercer::may_change(Affinity affinity, const ValueView& value) {
  switch (affinity) {
    case Affinity::blob: return false;
    case Affinity::text: return value.type == ValueType::integer || value.type == ValueType::real;
    case Affinity::number: return value.type == ValueType::text || (value.type == ValueType::real && value.real == std::floor(value.real));
    case Affinity::real: return value.type == ValueType::text || value.type == ValueType::integer;
  }
  return false;
}

ValueView Coercer::stored(Affinity affinity, const ValueView& value, std::deque<std::string>& storage) {
  const auto answer = ask(affinity, value, storage);
  return answer ? *answer : value;
}

Result<ValueView> Coercer::ask(Affinity affinity, const ValueView& value, std::deque<std::string>& storage) {
  if (!db_) {
    TRY_ASSIGN(sqlite::Database made, sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(made.exec("CREATE TABLE a(id INTEGER PRIMARY KEY, t TEXT, n NUMERIC, r REAL); INSERT INTO a VALUES(1, NULL, NULL, NULL)"));
    db_.emplace(std::move(made));
  }
  const std::string column = affinity == Affinity::text ? "t" : affinity == Affinity::number ? "n" : "r";
  TRY_ASSIGN(Statement write, db_->prepare("UPDATE a SET " + column + " = ?1"));
  write.bind(1, value);
  TRY(write.run());
  TRY_ASSIGN(Statement read, db_->prepare("SELECT " + column + " FROM a"));
  TRY_ASSIGN(const bool found, read.step());
  ValueView out = found ? read.value(0) : value;
  if (out.type == ValueType::text || out.type == ValueType::blob) out.bytes = storage.emplace_back(out.bytes);
  return out;
}

}  // namespace marmot::replica
