#include "tests/facts/support.hpp"

#include "common/core/row_hash.hpp"
#include "common/replica/catalog.hpp"

using namespace marmot;
using namespace marmot::replica;
using marmot::test::Memory;

namespace {

TableInfo table_of(Memory& memory, std::string_view name) {
  auto table = read_table(memory.db, name);
  REQUIRE_MESSAGE(static_cast<bool>(table), (table ? std::string() : table.error().message));
  return *table;
}

// kind, key columns with their collations, then w(ithout rowid) and n(ullable)
std::string key_of(const std::string& create) {
  Memory memory(create);
  const TableInfo table = table_of(memory, "t");
  const char* kinds[] = {"alias", "declared", "rowid"};
  std::string out = kinds[static_cast<size_t>(table.key_kind)];
  for (const KeyColumn& part : table.key) {
    out += " " + table.columns[static_cast<size_t>(part.column)].name;
    out += std::to_string(static_cast<int>(part.collation));
  }
  return out + (table.without_rowid ? " w" : "") + (table.nullable_key ? " n" : "");
}

std::string refusal(const std::string& create) {
  Memory memory(create);
  const auto table = read_table(memory.db, "t");
  REQUIRE(!table);
  CHECK(table.error().code == Errc::schema);
  return table.error().message;
}

int reverse_compare(void*, int, const void*, int, const void*) { return 0; }

}  // namespace

TEST_CASE("catalog: only INTEGER PRIMARY KEY is the rowid") {
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY, v)") == "alias id0");
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)") == "alias id0");
  CHECK(key_of("CREATE TABLE t(id integer, v, PRIMARY KEY(id))") == "alias id0");
  CHECK(key_of("CREATE TABLE t(id INTEGER, v, PRIMARY KEY(id DESC))") == "alias id0");
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY DESC, v)") == "declared id0 n");
  CHECK(key_of("CREATE TABLE t(id INT PRIMARY KEY, v)") == "declared id0 n");
  CHECK(key_of("CREATE TABLE t(id BIGINT NOT NULL PRIMARY KEY, v)") == "declared id0");
  CHECK(key_of("CREATE TABLE t(v)") == "rowid");
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY, v) WITHOUT ROWID") == "declared id0 w");
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT) STRICT") == "alias id0");
  CHECK(key_of("CREATE TABLE t(id INTEGER PRIMARY KEY COLLATE NOCASE, v)") == "alias id0");
}

TEST_CASE("catalog: a key has the collations of its index, in the order of the declaration") {
  CHECK(key_of("CREATE TABLE t(a TEXT, b TEXT COLLATE NOCASE, c, PRIMARY KEY(b, a))") == "declared b1 a0 n");
  CHECK(key_of("CREATE TABLE t(a TEXT, b TEXT COLLATE NOCASE, PRIMARY KEY(a COLLATE RTRIM, b COLLATE "
      "BINARY))") == "declared a2 b0 n");
  CHECK(key_of("CREATE TABLE t(a TEXT COLLATE nocase PRIMARY KEY, v) WITHOUT ROWID") == "declared a1 w");
  CHECK(key_of("CREATE TABLE t(v, a TEXT, b TEXT, PRIMARY KEY(b, a)) WITHOUT ROWID") == "declared b0 a0 w");
}

TEST_CASE("catalog: NULL is impossible in STRICT and NOT NULL keys, possible when one column allows it") {
  CHECK(key_of("CREATE TABLE t(a TEXT PRIMARY KEY) STRICT") == "declared a0");
  CHECK(key_of("CREATE TABLE t(a TEXT NOT NULL, b TEXT, PRIMARY KEY(a, b))") == "declared a0 b0 n");
  CHECK(key_of("CREATE TABLE t(a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY(a, b))") == "declared a0 b0");
}

TEST_CASE("catalog: a key named twice counts once; under two collations it is refused") {
  CHECK(key_of("CREATE TABLE t(a TEXT NOT NULL, PRIMARY KEY(a, a))") == "declared a0");
  CHECK(refusal("CREATE TABLE t(a TEXT NOT NULL, PRIMARY KEY(a, a COLLATE NOCASE))") ==
        "table t cannot be replicated: its primary key names a column twice");
}

TEST_CASE("catalog: a table is found whatever the case of its name, and keeps its own spelling") {
  Memory memory("CREATE TABLE \"Ünï [x] \"\"q\"\" select\"(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT 1");
  CHECK(table_of(memory, "Ünï [X] \"Q\" SELECT").name == "Ünï [x] \"q\" select");
  CHECK(read_table(memory.db, "nothing").error().code == Errc::not_found);
  CHECK(read_table(memory.db, "v").error().code == Errc::not_found);
}

TEST_CASE("catalog: a TEMP table or an attached one does not hide the main table of its name") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TEMP TABLE t(x TEXT UNIQUE)");
  const TableInfo table = table_of(memory, "t");
  CHECK(table.columns.size() == 2);
  CHECK(table.unique.empty());
}

TEST_CASE("catalog: the rowid goes by a name that no column has") {
  Memory memory("CREATE TABLE t(rowid TEXT, v); CREATE TABLE u(ROWID, oid); "
      "CREATE TABLE w(id INTEGER PRIMARY KEY, rowid, oid, _rowid_)");
  CHECK(table_of(memory, "t").rowid_name == "oid");
  CHECK(table_of(memory, "u").rowid_name == "_rowid_");
  CHECK(table_of(memory, "w").rowid_name.empty());
  CHECK(refusal("CREATE TABLE t(rowid, oid, _ROWID_)").find("give it a PRIMARY KEY") != std::string::npos);
  CHECK(refusal("CREATE TABLE t(rowid TEXT PRIMARY KEY, oid, _rowid_)").find("give it a PRIMARY "
      "KEY") != std::string::npos);
}

TEST_CASE("catalog: a key or a unique index under a collation of the application's is refused by name") {
  for (const char* sql : {"CREATE TABLE t(a TEXT COLLATE german PRIMARY KEY)",
      "CREATE TABLE t(a TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID",
                          "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE COLLATE german)"}) {
    Memory memory;
    sqlite3_create_collation(memory.db.get(), "german", SQLITE_UTF8, nullptr, reverse_compare);
    memory.run(sql);
    const auto table = read_table(memory.db, "t");
    REQUIRE(!table);
    CHECK(table.error().code == Errc::schema);
    CHECK(table.error().message.find("compares by collation german") != std::string::npos);
  }
}

TEST_CASE("catalog: a plain index under another collation is no obstacle") {
  Memory memory;
  sqlite3_create_collation(memory.db.get(), "german", SQLITE_UTF8, nullptr, reverse_compare);
  memory.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX i ON t(a COLLATE german)");
  CHECK(read_table(memory.db, "t"));
}

TEST_CASE("catalog: unique indexes come with their terms, collations and condition; the primary key is not one") {
  Memory memory(
      "CREATE TABLE t(id TEXT PRIMARY KEY, \"odd \"\"name\" TEXT COLLATE NOCASE UNIQUE, b, c, UNIQUE(b, c));"
      "CREATE UNIQUE INDEX part ON t(b) WHERE c > 3 AND b <> ')';"
      "CREATE UNIQUE INDEX expr ON t(lower(b) COLLATE rtrim DESC, (c + 1), c COLLATE NOCASE);"
      "CREATE INDEX plain ON t(c)");
  const TableInfo table = table_of(memory, "t");
  std::string found;
  for (const UniqueIndex& index : table.unique) {
    found += index.name + ":";
    // An automatic index is known without the table's name, which may change.
    const bool automatic = index.name.rfind("sqlite_autoindex_t", 0) == 0;
    CHECK(index.id == bytes_hash(automatic ? "sqlite_autoindex_" + index.name.substr(18) : index.name) >> 33);
    for (size_t i = 0; i < index.terms.size(); ++i) {
      found += " " + index.terms[i] + "/" + std::to_string(static_cast<int>(index.collations[i]));
    }
    if (!index.where.empty()) found += " where " + index.where;
    found += "\n";
  }
  CHECK(found ==
        "expr: lower(b)/2 (c + 1)/0 \"c\"/1\n"
        "part: \"b\"/0 where c > 3 AND b <> ')'\n"
        "sqlite_autoindex_t_2: \"odd \"\"name\"/1\n"
        "sqlite_autoindex_t_3: \"b\"/0 \"c\"/0\n");
  for (const UniqueIndex& index : table.unique) {
    for (const std::string& term : index.terms) memory.run("SELECT " + term + " FROM t");
  }
}

TEST_CASE("catalog: unique indexes of a WITHOUT ROWID table hold their own columns, not the key's") {
  Memory memory("CREATE TABLE t(a TEXT, b TEXT UNIQUE, PRIMARY KEY(a)) WITHOUT ROWID");
  const TableInfo table = table_of(memory, "t");
  REQUIRE(table.unique.size() == 1);
  CHECK(table.unique[0].terms == std::vector<std::string>{"\"b\""});
}

TEST_CASE("catalog: generated columns are told apart, stored and virtual") {
  Memory memory("CREATE TABLE t(id INTEGER PRIMARY KEY, a, v AS (a + 1), s AS (a + 2) STORED)");
  const TableInfo table = table_of(memory, "t");
  REQUIRE(table.columns.size() == 4);
  CHECK(!table.columns[1].generated);
  CHECK(table.columns[2].generated);
  CHECK(table.columns[3].generated);
  CHECK(table.columns[1].seed == column_seed("a"));
}

TEST_CASE("catalog: a constant default has the value that SQLite stores for it") {
  const std::string columns =
      "id INTEGER PRIMARY KEY, a INTEGER DEFAULT '5', b TEXT DEFAULT 5, c REAL DEFAULT 1, d NUMERIC DEFAULT '1.0', "
      "e DEFAULT '7', "
      "f INT DEFAULT 'x', g BLOB DEFAULT x'00ff', h INT DEFAULT (-3), i DEFAULT abc, j DEFAULT TRUE, k DEFAULT "
      "NULL, l, "
      "m TEXT DEFAULT 'a somewhat longer text, past any small string', n REAL DEFAULT 9223372036854775807, o "
      "DEFAULT -9223372036854775808, "
      "p DEFAULT 1e400, q TEXT DEFAULT 1.50, r DEFAULT \"quoted\"";
  Memory memory("CREATE TABLE t(" + columns + "); INSERT INTO t DEFAULT VALUES");
  const std::vector<TableInfo> copies(2, table_of(memory, "t"));  // views must survive copies
  auto row = memory.db.prepare("SELECT * FROM t");
  REQUIRE(row);
  REQUIRE(*row->step());
  for (size_t i = 1; i < copies[1].columns.size(); ++i) {
    CHECK_MESSAGE(same_value(copies[1].columns[i].default_value, row->value(static_cast<int>(i))),
        copies[1].columns[i].name);
  }
}

TEST_CASE("catalog: what changes from row to row is no constant default") {
  Memory memory("CREATE TABLE t(a DEFAULT CURRENT_TIMESTAMP, b DEFAULT (datetime('now')), c DEFAULT (random()), d "
      "DEFAULT (1 + 1), e DEFAULT current_date)");
  for (const Column& column : table_of(memory, "t").columns) {
    CHECK(!column.default_sql.empty());
    CHECK(column.default_value.type == ValueType::null);
  }
}

TEST_CASE("catalog: ANY has no affinity in a STRICT table, and NUMERIC elsewhere") {
  Memory memory("CREATE TABLE s(a ANY DEFAULT '5') STRICT; CREATE TABLE t(a ANY DEFAULT '5')");
  CHECK(same_value(table_of(memory, "s").columns[0].default_value, ValueView::of_text("5")));
  CHECK(same_value(table_of(memory, "t").columns[0].default_value, ValueView::of_integer(5)));
}

TEST_CASE("catalog: a shape depends on stored columns and the key, not on case, order or generated columns") {
  const auto shape = [](const std::string& create) {
    Memory memory(create);
    return table_of(memory, "t").shape();
  };
  const std::string base = shape("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
  CHECK(base == R"("a", "b", "id"; key integer "id" binary)");
  CHECK(shape("CREATE TABLE t(B, ID integer PRIMARY KEY, A, g AS (a))") == base);
  CHECK(shape("CREATE TABLE t(id INT PRIMARY KEY, a, b)") != base);
  CHECK(shape("CREATE TABLE t(id INTEGER PRIMARY KEY, a)") != base);
  CHECK(shape("CREATE TABLE t(a, b)") == R"("a", "b"; key rowid)");
  CHECK(shape("CREATE TABLE t(a TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, b)") == R"("a", "b"; key "a" nocase)");
  CHECK(shape("CREATE TABLE t(a, b, PRIMARY KEY(b, a))") == R"("a", "b"; key nullable "b" binary "a" binary)");
}

TEST_CASE("catalog: every table is listed in creation order, with the reason where it is not watched") {
  Memory memory(
      "CREATE TABLE z(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIRTUAL TABLE f USING fts5(body); "
      "CREATE TABLE log_a(x);"
      "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); CREATE TABLE __marmot_x(x); CREATE TABLE r_notes(x); "
      "CREATE VIEW v AS SELECT 1;"
      "CREATE TABLE a(x)");
  const auto tables = list_tables(memory.db, {"*"}, {"log_*"});
  REQUIRE(tables);
  std::string found;
  for (const Candidate& table : *tables) {
    found += table.name + (table.not_watched ? "-" + std::to_string(static_cast<int>(*table.not_watched)) : "") + " ";
  }
  CHECK(found ==
        "z sqlite_sequence-1 f-2 f_data-3 f_idx-3 f_content-3 f_docsize-3 f_config-3 log_a-5 r-2 r_rowid-3 r_node-3 "
        "r_parent-3 "
        "__marmot_x-0 r_notes a ");
}

TEST_CASE("catalog: every <virtual table>_... of a module that is none of SQLite's own is a shadow table, unless its name is spelled out") {
  Memory memory("CREATE TABLE f_chunks(a); CREATE TABLE F_vector_chunks00(a); CREATE TABLE fx(a); CREATE TABLE f(a); CREATE TABLE g_tags(a);"
                "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'f';"
                "INSERT INTO sqlite_schema VALUES('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE \"f\" USING vec0(a float[4])');"
                "INSERT INTO sqlite_schema VALUES('table', 'g', 'g', 0, 'CREATE VIRTUAL TABLE g USING fts3(a)');"
                "PRAGMA writable_schema = RESET");
  const auto watched = [&](const std::vector<std::string>& include) {
    std::string out;
    const auto tables = list_tables(memory.db, include, {});
    REQUIRE(tables);
    for (const Candidate& table : *tables) {
      if (!table.not_watched) out += table.name + " ";
      else if (table.name[1] == '_') CHECK(table.not_watched == NotWatched::shadow_table);
    }
    return out;
  };
  CHECK(watched({"*"}) == "fx g_tags ");
  CHECK(watched({"*", "f_chunk*"}) == "fx g_tags ");
  CHECK(watched({"*", "f_chunks"}) == "f_chunks fx g_tags ");
  const auto tables = list_tables(memory.db, {"*"}, {});
  CHECK((*tables)[0].reason() == "taken for a backing table of the virtual table f, whose module is none of SQLite's own (name the table in `tables` to "
                                 "replicate it all the same)");
}

TEST_CASE("catalog: tables of other sidecars are each file's own unless their name is spelled out") {
  const std::string all =
      "_litestream_seq _Litestream_Lock crsql_master t__crsql_clock t__crsql_pks __harmonylite___global_change_log";
  Memory memory("CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY, seq); CREATE TABLE _Litestream_Lock(id);"
                "CREATE TABLE crsql_master(k); CREATE TABLE t__crsql_clock(k); CREATE TABLE t__crsql_pks(k);"
                "CREATE TABLE __harmonylite___global_change_log(id);"
                "CREATE TABLE litestream_seq(x); CREATE TABLE my_crsql_(x)");
  const auto kept = [&](const std::vector<std::string>& include, const std::vector<std::string>& exclude, NotWatched why) {
    std::string out;
    const auto tables = list_tables(memory.db, include, exclude);
    REQUIRE(tables);
    for (const Candidate& table : *tables) {
      if (table.not_watched == why) out += (out.empty() ? "" : " ") + table.name;
    }
    return out;
  };
  CHECK(kept({"*"}, {}, NotWatched::sidecar) == all);
  CHECK(kept({"*"}, {}, NotWatched::excluded) == "");  // litestream_seq and my_crsql_ are an application's
  CHECK(kept({"*"}, {"_litestream_*"}, NotWatched::excluded) == "_litestream_seq");
  // Also by a pattern that any sidecar's table fits by chance.
  CHECK(kept({"_*", "?rsql_*", "t*"}, {}, NotWatched::sidecar).find("crsql_master t__crsql_clock") != std::string::npos);
  CHECK(is_chosen({"*", "_litestream_seq"}, {}, "_litestream_seq"));
  CHECK(is_chosen({"_litestream_*"}, {}, "_litestream_seq"));
  CHECK(is_chosen({"*__crsql_clock"}, {}, "t__crsql_clock"));
  CHECK_FALSE(is_chosen({"*", "_litestream_seq"}, {"_litestream_seq"}, "_litestream_seq"));
  CHECK_FALSE(is_chosen({"*", "_litestream_lock"}, {}, "_litestream_seq"));
  CHECK((*list_tables(memory.db, {"*"}, {}))[0].reason().find("Litestream") != std::string::npos);
}

TEST_CASE("catalog: globs choose by name, case-sensitively, and exclude wins") {
  Memory memory("CREATE TABLE users(x); CREATE TABLE Users_old(x); CREATE TABLE \"user[1]\"(x)");
  const auto chosen = [&](const std::vector<std::string>& include, const std::vector<std::string>& exclude) {
    std::string out;
    const auto tables = list_tables(memory.db, include, exclude);
    REQUIRE(tables);
    for (const Candidate& table : *tables) {
      if (!table.not_watched) out += table.name + " ";
    }
    return out;
  };
  CHECK(chosen({"user*"}, {}) == "users user[1] ");
  CHECK(chosen({"*"}, {"*_old"}) == "users user[1] ");
  CHECK(chosen({"users", "Users*"}, {}) == "users Users_old ");
  CHECK(chosen({"user[[]1]"}, {}) == "user[1] ");
  CHECK(chosen({"*"}, {"*"}) == "");
}
