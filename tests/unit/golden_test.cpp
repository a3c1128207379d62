// What released Marmots wrote must be read for ever: one fixture a message kind and format. The bytes are decoded, not
// made again: another zstd may compress otherwise.
#include <doctest/doctest.h>

#include "common/codec/message.hpp"

using namespace marmot;

namespace {

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

const Origin kOrigin{NodeId{123456789}, Incarnation{0x1122334455667788}};
constexpr uint64_t kSecond = uint64_t{1700000000000} << 16;

}  // namespace

TEST_CASE("golden: a genesis of format 1 is read") {
  const std::string message = from_hex(
      "4d4d54010196ce075bcd15cf11223344556677880000c3cfb9e86da192f361fd28b52ffd240a51000091cffeedfacecafebeef196b891e");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::genesis);
  CHECK(envelope->origin == kOrigin);
  CHECK(envelope->number == 0);
  CHECK(*codec::decode_genesis(envelope->slice) == 0xfeedfacecafebeefULL);
}

TEST_CASE("golden: a schema of format 1 is read") {
  const std::string message = from_hex(
      "4d4d54010296ce075bcd15cf11223344556677880100c3cf25798c93c3fc324828b52ffd245de902009197a57461626c65a57573657273a5"
      "7573657273d930435245415445205441424c4520757365727328696420494e5445474552205052494d415259204b45592c206e616d6529cf"
      "018bcfe568000000ce075bcd15cf11223344556677888ab7c5f6");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::schema);
  const auto objects = codec::decode_schema(envelope->slice);
  REQUIRE(objects);
  REQUIRE(objects->size() == 1);
  const SchemaObject& object = objects->front();
  CHECK(object.type == "table");
  CHECK(object.name == "users");
  CHECK(object.table == "users");
  CHECK(object.sql == "CREATE TABLE users(id INTEGER PRIMARY KEY, name)");
  CHECK(object.id == Version{{kSecond}, kOrigin});
}

TEST_CASE("golden: a unit of format 1 is read") {
  const std::string message = from_hex(
      "4d4d54010396ce075bcd15cf11223344556677880200c3cf366db75e09350bb028b52ffd2481a50300840695c3dd00000003cf018bcfe568"
      "010007ce075bcd15cf1122334455667788dd0000000199000000a57573657273a26964a46e616d65a573636f7265a570686f746fa46e6f74"
      "6502dd0000000d000001c402150101a3416e6ecb3ff000c40200ffc0000003c40213fe0300851320908300534f9ed98df2");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::rows);
  CHECK(envelope->number == 2);
  const auto decoded = codec::decode_unit(*envelope, envelope->slice);
  REQUIRE(decoded);

  using namespace std::string_view_literals;
  const Unit& unit = decoded->unit;
  CHECK(unit.origin == kOrigin);
  CHECK(unit.number == 2);
  CHECK(unit.more);
  REQUIRE(unit.tables.size() == 1);
  CHECK(unit.tables[0].id == Version{{kSecond}, kOrigin});
  CHECK(unit.tables[0].name == "users");
  CHECK(unit.tables[0].columns == std::vector<std::string>{"id", "name", "score", "photo", "note"});
  CHECK(unit.versions == std::vector<Version>{{{kSecond + (uint64_t{1} << 16) + 7}, kOrigin}});
  REQUIRE(unit.rows.size() == 2);
  CHECK(unit.rows[0].op == Op::insert);
  CHECK(unit.rows[0].key == "\x15\x01"sv);
  CHECK(unit.rows[1].op == Op::remove);
  CHECK(unit.rows[1].key == "\x13\xfe"sv);
  REQUIRE(unit.values.size() == 5);
  CHECK(same_value(unit.values[0], ValueView::of_integer(1)));
  CHECK(same_value(unit.values[1], ValueView::of_text("Ann")));
  CHECK(same_value(unit.values[2], ValueView::of_real(1.0)));
  CHECK(same_value(unit.values[3], ValueView::of_blob("\x00\xff"sv)));
  CHECK(same_value(unit.values[4], ValueView::of_null()));
}
