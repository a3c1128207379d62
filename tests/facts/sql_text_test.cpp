#include "tests/facts/support.hpp"

#include "common/replica/sql_text.hpp"

using namespace marmot;
using namespace marmot::replica;

namespace {

std::string kinds(std::string_view sql) {
  const auto tokens = tokenize(sql);
  REQUIRE(tokens);
  std::string out;
  for (const Token& token : *tokens) {
    CHECK(sql.substr(token.offset, token.text.size()) == token.text);
    out += "wqsbnv."[static_cast<size_t>(token.kind)];
    out += std::string(token.text) + " ";
  }
  return out;
}

std::string statements(const TriggerSql& trigger) {
  std::string out;
  for (const TriggerStatement& s : trigger.statements) {
    out += s.verb + " " + s.target + (s.raises ? " raises" : "") + " [" + s.sql + "]\n";
  }
  return out;
}

TriggerSql trigger_of(std::string_view sql) {
  auto trigger = parse_create_trigger(sql);
  REQUIRE_MESSAGE(static_cast<bool>(trigger), (trigger ? std::string() : trigger.error().message));
  return *trigger;
}

IndexSql index_of(std::string_view sql) {
  auto index = parse_create_index(sql);
  REQUIRE_MESSAGE(static_cast<bool>(index), (index ? std::string() : index.error().message));
  return *index;
}

}  // namespace

TEST_CASE("sql_text: words, names, strings, blobs, numbers, variables and symbols are told apart") {
  CHECK(kinds("SELECT a_1$, \xc3\xa9 FROM \"q \"\"x\"") == "wSELECT wa_1$ ., w\xc3\xa9 wFROM q\"q \"\"x\" ");
  CHECK(kinds("[b c]>=`d``e`") == "q[b c] .>= q`d``e` ");
  CHECK(kinds("'it''s' x'0A' X'' xy") == "s'it''s' bx'0A' bX'' wxy ");
  CHECK(kinds("1 1.5e-3 .5 0xFF 1e") == "n1 n1.5e-3 n.5 n0xFF n1e ");
  CHECK(kinds("?12 :a @b $c") == "v?12 v:a v@b v$c ");
  CHECK(kinds("a->>'$.b'||c<>d") == "wa .->> s'$.b' .|| wc .<> wd ");
}

TEST_CASE("sql_text: comments and white space are dropped, inside strings they are not comments") {
  CHECK(kinds("a -- x ' \n b /* ; ' */ c '--' \"/*\" - -") == "wa wb wc s'--' q\"/*\" .- .- ");
  CHECK(kinds("a -- to the end") == "wa ");
  CHECK(kinds("a /*") == "wa ./ .* ");
  CHECK(kinds("") == "");
}

TEST_CASE("sql_text: what is not terminated is refused, with the place") {
  for (const char* sql : {"a 'b", "a \"b", "a `b", "a [b", "a x'b", "a /* b"}) {
    const auto tokens = tokenize(sql);
    REQUIRE(!tokens);
    CHECK(tokens.error().code == Errc::bad_input);
    CHECK(tokens.error().message.find("offset 2") != std::string::npos);
  }
}

TEST_CASE("sql_text: unquoting undoes every way of quoting a name") {
  CHECK(unquote("plain") == "plain");
  CHECK(unquote("\"a \"\"b\"\"\"") == "a \"b\"");
  CHECK(unquote("`a``b`") == "a`b");
  CHECK(unquote("[a ]") == "a ");
  CHECK(unquote("'it''s'") == "it's");
  CHECK(unquote("\"") == "\"");
  CHECK(unquote("") == "");
}

TEST_CASE("sql_text: an index gives its terms without order and collation, and its condition") {
  const IndexSql index = index_of(
      "CREATE UNIQUE INDEX if ON t(a, \"b,)\" DESC, lower(c || ',') COLLATE NOCASE ASC, (d) , CASE WHEN e THEN 1 "
      "END collate [x y]) "
      "WHERE a > 1 -- why\n AND b IS NOT NULL");
  CHECK(index.terms == std::vector<std::string>{"a", "\"b,)\"", "lower(c || ',')", "(d)", "CASE WHEN e THEN 1 END"});
  CHECK(index.where == "a > 1 -- why\n AND b IS NOT NULL");
}

TEST_CASE("sql_text: a collation inside an expression stays") {
  CHECK(index_of("CREATE INDEX i ON t((a COLLATE NOCASE), desc)").terms == std::vector<std::string>{"(a COLLATE "
      "NOCASE)", "desc"});
  CHECK(index_of("CREATE INDEX IF NOT EXISTS main.i ON t(a COLLATE NOCASE COLLATE "
      "RTRIM)").terms == std::vector<std::string>{"a"});
}

TEST_CASE("sql_text: what is no CREATE INDEX is refused") {
  for (const char* sql : {"", "CREATE", "CREATE TABLE t(a)", "CREATE INDEX i ON t", "CREATE INDEX i ON t(",
      "CREATE INDEX i ON t()",
                          "CREATE INDEX i ON t(a", "CREATE INDEX i ON t(a,)", "CREATE INDEX i ON t(a) WHERE",
                          "CREATE INDEX i ON t('a"}) {
    const auto index = parse_create_index(sql);
    CHECK_MESSAGE(!index, sql);
  }
}

TEST_CASE("sql_text: a trigger comes apart into timing, event, columns, table, condition and statements") {
  const TriggerSql trigger = trigger_of(
      "CREATE TRIGGER \"a b\" AFTER UPDATE OF x, [y z] ON \"my \"\"t\" FOR EACH ROW WHEN NEW.begin > "
      "OLD.\"end\" AND (SELECT begin FROM b) "
      "BEGIN INSERT INTO [au dit](a, b) VALUES(NEW.x, CASE NEW.y WHEN 1 THEN CASE WHEN 2 THEN 'x;END' END ELSE 2 "
      "END);\n"
      "UPDATE OR IGNORE `log` SET n = n + 1 WHERE id = NEW.x; DELETE FROM fts WHERE rowid = OLD.x;"
      "SELECT RAISE(ABORT, 'no') WHERE NEW.x < 0; REPLACE INTO 'quoted' SELECT 1; "
      "insert or replace into r values(RAISE (IGNORE)); END");
  CHECK(trigger.timing == "AFTER");
  CHECK(trigger.event == "UPDATE");
  CHECK(trigger.columns == std::vector<std::string>{"x", "y z"});
  CHECK(trigger.table == "my \"t");
  CHECK(trigger.when == "NEW.begin > OLD.\"end\" AND (SELECT begin FROM b)");
  CHECK(statements(trigger) ==
        "INSERT au dit [INSERT INTO [au dit](a, b) VALUES(NEW.x, CASE NEW.y WHEN 1 THEN CASE WHEN 2 THEN 'x;END' "
        "END ELSE 2 END)]\n"
        "UPDATE log [UPDATE OR IGNORE `log` SET n = n + 1 WHERE id = NEW.x]\n"
        "DELETE fts [DELETE FROM fts WHERE rowid = OLD.x]\n"
        "SELECT  raises [SELECT RAISE(ABORT, 'no') WHERE NEW.x < 0]\n"
        "REPLACE quoted [REPLACE INTO 'quoted' SELECT 1]\n"
        "INSERT r raises [insert or replace into r values(RAISE (IGNORE))]\n");
}

TEST_CASE("sql_text: timing is BEFORE where nothing is said; INSTEAD OF, TEMP and IF NOT EXISTS are read") {
  CHECK(trigger_of("CREATE TRIGGER x INSERT ON t BEGIN SELECT 1; END").timing == "BEFORE");
  CHECK(trigger_of("CREATE TRIGGER x BEFORE DELETE ON t BEGIN SELECT 1; END").event == "DELETE");
  CHECK(trigger_of("create temp trigger if not exists main.x instead of insert on v begin select 1; "
      "end").timing == "INSTEAD OF");
  CHECK(trigger_of("CREATE TRIGGER x INSERT ON t BEGIN WITH a AS (SELECT 1) SELECT * FROM a; "
      "END").statements[0].verb == "SELECT");
}

TEST_CASE("sql_text: what is no CREATE TRIGGER is refused") {
  for (const char* sql : {"", "CREATE TRIGGER", "CREATE TRIGGER x", "CREATE TRIGGER x AFTER",
                          "CREATE TRIGGER x AFTER INSERT t",
                          "CREATE TRIGGER x INSERT ON t", "CREATE TRIGGER x INSERT ON t WHEN 1",
                          "CREATE TRIGGER x INSERT ON t BEGIN END",
                          "CREATE TRIGGER x INSERT ON t BEGIN SELECT 1", "CREATE TRIGGER x INSERT ON t BEGIN SELECT 1;",
                          "CREATE TRIGGER x INSERT ON t BEGIN ; "
                          "END", "CREATE TRIGGER x INSERT ON t BEGIN DROP TABLE t; END",
                          "CREATE TRIGGER x INSERT ON t BEGIN INSERT t; "
                          "END", "CREATE TRIGGER x INSERT ON t FOR BEGIN SELECT 1; END"}) {
    const auto trigger = parse_create_trigger(sql);
    CHECK_MESSAGE(!trigger, sql);
  }
}
