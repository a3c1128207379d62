// What these tests share: an in-memory database and queries that give their rows as text.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/sqlite/database.hpp"

namespace marmot::test {

class Memory {
 public:
  explicit Memory(const std::string& sql = "")
      : db(*sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) {
    run(sql);
  }

  void run(const std::string& sql) {
    const Status status = db.exec(sql);
    REQUIRE_MESSAGE(static_cast<bool>(status), sql, ": ", (status ? std::string() : status.error().message));
  }

  // Rows joined by ' ', columns by '|'; NULL is empty.
  std::string rows(const std::string& sql) {
    auto statement = db.prepare(sql);
    REQUIRE_MESSAGE(static_cast<bool>(statement), sql, ": ", (statement ? std::string() : statement.error().message));
    std::string out;
    for (;;) {
      const auto more = statement->step();
      REQUIRE(more);
      if (!*more) return out;
      if (!out.empty()) out += ' ';
      for (int i = 0; i < statement->columns(); ++i) out += (i == 0 ? "" : "|") + std::string(statement->text(i));
    }
  }

  sqlite::Database db;
};

}  // namespace marmot::test
