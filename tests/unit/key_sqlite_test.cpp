// Key bytes against SQLite itself: equal bytes exactly when a key's index holds two values for equal.
#include <doctest/doctest.h>

#include <string>

#include "common/core/key.hpp"
#include "common/sqlite/database.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

struct Case {
  Collation collation;
  const char* name;
};
constexpr Case kCases[] = {{Collation::binary, "BINARY"}, {Collation::nocase, "NOCASE"}, {Collation::rtrim, "RTRIM"}};

sqlite::Database open_memory() {
  auto db = sqlite::Database::open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY);
  REQUIRE(db);
  return *std::move(db);
}

sqlite::Statement prepare(sqlite::Database& db, const std::string& sql) {
  auto statement = db.prepare(sql, true);
  REQUIRE_MESSAGE(statement, sql);
  return *std::move(statement);
}

// A table whose whole key is `k`, declared as the test wants it.
class KeyTable {
 public:
  KeyTable(sqlite::Database& db, const std::string& declaration) {
    REQUIRE(db.exec("DROP TABLE IF EXISTS t; CREATE TABLE t(" + declaration + " PRIMARY KEY) WITHOUT ROWID"));
    clear_ = prepare(db, "DELETE FROM t");
    insert_ = prepare(db, "INSERT INTO t VALUES(?1) ON CONFLICT DO NOTHING RETURNING k");
    find_ = prepare(db, "SELECT count(*) FROM t WHERE k = ?1");
  }

  // Whether SQLite takes the two for one key.
  bool same(const ValueView& a, const ValueView& b) {
    put(a);
    return !insert(b);
  }

  // Makes `value` the only row.
  void put(const ValueView& value) {
    REQUIRE(clear_.run());
    REQUIRE(insert(value));
  }

  bool finds(const ValueView& value) {
    const sqlite::ResetGuard guard(find_);
    find_.bind(1, value);
    auto row = find_.step();
    REQUIRE(row);
    return find_.integer(0) == 1;
  }

 private:
  bool insert(const ValueView& value) {
    const sqlite::ResetGuard guard(insert_);
    insert_.bind(1, value);
    auto row = insert_.step();
    REQUIRE(row);
    return *row;
  }

  sqlite::Statement clear_, insert_, find_;
};

std::string show(const ValueView& value) {
  std::string key;
  append_key_part(key, value);
  return describe_key(key);
}

}  // namespace

TEST_CASE("key: bytes are equal exactly when SQLite's index holds the values for equal") {
  sqlite::Database db = open_memory();
  test::Random random(9);
  for (const Case& c : kCases) {
    KeyTable table(db, std::string("k COLLATE ") + c.name);
    size_t equal = 0;
    for (int i = 0; i < 15000; ++i) {
      const test::OwnedValue a = test::random_key_value(random);
      test::OwnedValue b = test::random_key_value(random);
      if (random.chance(3)) {  // the same number in the other class, if there is one
        b = a;
        if (a.type == ValueType::integer) b.type = ValueType::real, b.real = static_cast<double>(a.integer);
      }
      std::string key_a, key_b;
      append_key_part(key_a, a.view(), c.collation);
      append_key_part(key_b, b.view(), c.collation);
      const bool same = table.same(a.view(), b.view());
      equal += same ? 1 : 0;
      if (same != (key_a == key_b)) {
        FAIL_CHECK(c.name << ": SQLite says " << (same ? "equal" : "different") << ": " << show(a.view()) << " and "
                          << show(b.view()));
      }
    }
    CHECK(equal > 2000);  // otherwise the generator tests nothing
  }
}

TEST_CASE("key: text pairs under every collation agree with SQLite's comparison") {
  sqlite::Database db = open_memory();
  test::Random random(10);
  for (const Case& c : kCases) {
    sqlite::Statement compare = prepare(db, std::string("SELECT ?1 = ?2 COLLATE ") + c.name);
    size_t equal = 0;
    for (int i = 0; i < 50000; ++i) {
      const std::string a = test::random_bytes(random, 3);
      const std::string b = test::random_bytes(random, 3);
      const sqlite::ResetGuard guard(compare);
      compare.bind(1, std::string_view(a)).bind(2, std::string_view(b));
      auto row = compare.step();
      REQUIRE(row);
      const bool same = compare.integer(0) != 0;
      equal += same ? 1 : 0;
      if (same != (fold_text(a, c.collation) == fold_text(b, c.collation))) {
        FAIL_CHECK(c.name << ": " << show(ValueView::of_text(a)) << " and " << show(ValueView::of_text(b)));
      }
    }
    CHECK(equal > 500);
  }
}

TEST_CASE("key: pairs that are easily got wrong agree with SQLite") {
  sqlite::Database db = open_memory();
  using namespace std::string_view_literals;
  const ValueView values[] = {
      ValueView::of_integer(1), ValueView::of_real(1.0), ValueView::of_text("1"), ValueView::of_blob("1"),
      ValueView::of_integer(INT64_MAX), ValueView::of_real(9223372036854775807.0), ValueView::of_integer(INT64_MIN),
      ValueView::of_real(-9223372036854775808.0), ValueView::of_real(-9223372036854777856.0),
      ValueView::of_integer((int64_t{1} << 53) + 1), ValueView::of_real(9007199254740992.0),
      ValueView::of_real(0.0), ValueView::of_real(-0.0), ValueView::of_integer(0), ValueView::of_real(1e308 * 10),
      ValueView::of_real(-1e308 * 10), ValueView::of_real(5e-324), ValueView::of_text(""), ValueView::of_blob(""),
      ValueView::of_text("a"), ValueView::of_text("A"), ValueView::of_text("a "), ValueView::of_text("A  "),
      ValueView::of_text("a\0"sv), ValueView::of_text("a\0b"sv), ValueView::of_text("A\0C"sv), ValueView::of_text("a\0 "sv),
      ValueView::of_text("a \0"sv), ValueView::of_text("\xc3\xa9"), ValueView::of_text("\xc3\x89"),
      ValueView::of_text("\xff"), ValueView::of_text("a\t"), ValueView::of_text(" "), ValueView::of_blob("a "),
      ValueView::of_blob("A"),
  };
  for (const Case& c : kCases) {
    KeyTable table(db, std::string("k COLLATE ") + c.name);
    for (const ValueView& a : values) {
      for (const ValueView& b : values) {
        std::string key_a, key_b;
        append_key_part(key_a, a, c.collation);
        append_key_part(key_b, b, c.collation);
        if (table.same(a, b) != (key_a == key_b)) FAIL_CHECK(c.name << ": " << show(a) << " and " << show(b));
      }
    }
  }
}

TEST_CASE("key: the decoded key finds the row, under every collation and affinity") {
  sqlite::Database db = open_memory();
  test::Random random(11);
  for (const Case& c : kCases) {
    for (const char* type : {"", "INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB"}) {
      KeyTable table(db, std::string("k ") + type + " COLLATE " + c.name);
      sqlite::Statement read = prepare(db, "SELECT k FROM t");
      for (int i = 0; i < 1000; ++i) {
        const test::OwnedValue value = test::random_key_value(random);
        table.put(value.view());
        std::string key;
        {
          const sqlite::ResetGuard guard(read);
          REQUIRE(read.step());
          append_key_part(key, read.value(0), c.collation);  // as the drain reads it, after affinity
        }
        const auto decoded = decode_key(key);
        REQUIRE(decoded);
        if (!table.finds(decoded->parts[0])) {
          FAIL_CHECK("key " << type << " COLLATE " << c.name << " not found by its decoded key: " << show(value.view()));
        }
      }
    }
  }
}
