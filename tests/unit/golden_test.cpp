// What released Marmots wrote must be read for ever: one fixture a message kind and format. The bytes are decoded, not
// made again: another zstd may compress otherwise.
#include <doctest/doctest.h>

#include "common/codec/clock.hpp"
#include "common/codec/handled.hpp"
#include "common/codec/ids.hpp"
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

TEST_CASE("golden: a genesis of format 1, from before the first release, has no key and is refused") {
  const std::string message = from_hex(
      "4d4d54010196ce075bcd15cf11223344556677880000c3cfb9e86da192f361fd28b52ffd240a51000091cffeedfacecafebeef196b891e");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::genesis);
  CHECK(envelope->origin == kOrigin);
  CHECK(envelope->number == 0);
  const auto genesis = codec::decode_genesis(envelope->slice);
  REQUIRE_FALSE(genesis);
  CHECK(genesis.error().message == "genesis does not decode (those of formats before 3 are not read)");
}

TEST_CASE("golden: a schema of format 1 is read") {
  const Version created{{kSecond}, kOrigin}, changed{{kSecond + 65536}, kOrigin};
  const std::vector<SchemaRegister> expected{
      {SchemaKind::table, created, "users", created, false, "users", ") STRICT", 0},
      {SchemaKind::column, created, "name", changed, true, "Name", "TEXT NOT NULL", 2},
      {SchemaKind::object, {}, "index users_name", changed, false, "users_name", "CREATE INDEX users_name ON users(name)", 0}};
  const std::string message = from_hex(
      "4d4d54010296ce075bcd15cf11223344556677880100c3cfaf8c139ca52a28f128b52ffd24f48d04002407939c010000cf018bcfe5680000"
      "00ce075bcd15cf1122334455667788a57573657273a829205354524943549c02010201a46e616d65a44e616d65ad54455854204e4f54204e"
      "554c4c9c0400000001b0696e646578205f6e616d65aad92643524541544520494e444558204f4e286e616d65290b0031c7709451ae2d00d3"
      "1aa0dbc5100ed0e91c82a9ea4fc10a5a4f2774be789c");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::schema);
  const auto registers = codec::decode_schema(envelope->slice);
  REQUIRE(registers);
  CHECK(*registers == expected);
}

TEST_CASE("golden: a schema of format 2, which holds a number, is read") {
  const Version created{{kSecond}, kOrigin}, changed{{kSecond + 65536}, kOrigin};
  const std::vector<SchemaRegister> expected{
      {SchemaKind::column, created, "city=", changed, false, "city", "TEXT", 3},
      {SchemaKind::number, {}, "application_id 75bcd15", changed, false, "application_id", "", 0xffffffb3},
      {SchemaKind::number, {}, "user_version 75bcd15", changed, false, "user_version", "18bcfe56800.75bcd15.1122334455667788 18bcfe56801.2.3", 5}};
  CHECK(codec::schema_format(expected) == codec::kFormatOfNumbers);
  CHECK(codec::schema_format({expected[0]}) == codec::kFirstFormat);
  const std::string message = from_hex(
      "4d4d54020296ce075bcd15cf11223344556677880100c3cf929d86a04ebc5b9728b52ffd6402002505008408939c020003cf018bcfe56800"
      "0000ce075bcd15cf112233445566778801a5636974793da463697479a4544558549c0500ceffffffb3000000b66170706c69636174696f6e"
      "5f69642037356263643135aea09c050005b4757365725f76657273696f6eacd93431386263666535363830302e2e31313232333334343535"
      "36363737383820312e322e33090090da615199e2f0cb40e223d8d6e894c755d51820810ed3092e3f71ae");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(message[3] == 2);
  CHECK(envelope->kind == codec::Kind::schema);
  const auto registers = codec::decode_schema(envelope->slice);
  REQUIRE(registers);
  CHECK(*registers == expected);
}

TEST_CASE("golden: a schema of format 4, which says that a table was adopted, is read") {
  const Version created{{kSecond}, kOrigin}, changed{{kSecond + 65536}, kOrigin};
  const std::vector<SchemaRegister> expected{{SchemaKind::table, created, "users", created, false, "users", ")", 0},
                                             {SchemaKind::adopted, created, "", changed, false, "", "", 0},
                                             {SchemaKind::adopted, changed, "", changed, true, "", "", 0}};
  CHECK(codec::schema_format(expected) == codec::kFormatOfIds);
  const std::string message = from_hex(
      "4d4d54040296ce075bcd15cf11223344556677880300c3cf5fabaceb1648489628b52ffd24ab0d0200e402939c010000cf018bcfe5680000"
      "00ce075bcd15cf1122334455667788a57573657273a1299c0601a0a0a09c06010106000114586505c81d4223294341ebe9045ef18440");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(message[3] == 4);
  CHECK(envelope->kind == codec::Kind::schema);
  const auto registers = codec::decode_schema(envelope->slice);
  REQUIRE(registers);
  CHECK(*registers == expected);
}

TEST_CASE("golden: a unit of format 1 is read") {
  const std::string message = from_hex(
      "4d4d54010396ce075bcd15cf11223344556677880200c3cf5454b366ddbc488a28b52ffd2481a50300840696c329dd00000003cf018bcfe5"
      "68010007ce075bcd15cf1122334455667788dd0000000199000000a57573657273a26964a46e616d65a573636f7265a570686f746fa46e6f"
      "746502dd0000000d000001c4014101a3416e6ecb3ff000c40200ffc0000003c4023efd030084132090a300534f989bd412");
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
  CHECK(unit.base == 41);
  REQUIRE(unit.tables.size() == 1);
  CHECK(unit.tables[0].id == Version{{kSecond}, kOrigin});
  CHECK(unit.tables[0].name == "users");
  CHECK(unit.tables[0].columns == std::vector<std::string>{"id", "name", "score", "photo", "note"});
  CHECK(unit.versions == std::vector<Version>{{{kSecond + (uint64_t{1} << 16) + 7}, kOrigin}});
  REQUIRE(unit.rows.size() == 2);
  CHECK(unit.rows[0].op == Op::insert);
  CHECK(unit.rows[0].key == "\x41"sv);
  CHECK(unit.rows[1].op == Op::remove);
  CHECK(unit.rows[1].key == "\x3e\xfd"sv);
  REQUIRE(unit.values.size() == 5);
  CHECK(same_value(unit.values[0], ValueView::of_integer(1)));
  CHECK(same_value(unit.values[1], ValueView::of_text("Ann")));
  CHECK(same_value(unit.values[2], ValueView::of_real(1.0)));
  CHECK(same_value(unit.values[3], ValueView::of_blob("\x00\xff"sv)));
  CHECK(same_value(unit.values[4], ValueView::of_null()));
}

TEST_CASE("golden: a unit of format 1 that says what its keys are made of is read") {
  const std::string message = from_hex(
      "4d4d54010396ce075bcd15cf11223344556677880400c3cfc5648d91002b60e528b52ffd2462b50200c40496c229dd00000003cf018bcfe5"
      "68010000ce075bcd15cf1122334455667788dd000000019800a575736572733518a26964a46e616d6501dd00000006000002c40602616e6e"
      "004101a3416e6e0200008982413d0124cd3b65");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  const auto decoded = codec::decode_unit(*envelope, envelope->slice);
  REQUIRE(decoded);
  REQUIRE(decoded->unit.tables.size() == 1);
  const UnitTable& table = decoded->unit.tables[0];
  CHECK(table.columns == std::vector<std::string>{"id", "name"});
  CHECK(table.key == std::vector<UnitKeyColumn>{{1, Collation::nocase, Affinity::text, true}, {0, Collation::binary, Affinity::number, true}});
  REQUIRE(decoded->unit.values.size() == 2);
  CHECK(same_value(decoded->unit.values[1], ValueView::of_text("Ann")));
}

TEST_CASE("golden: a floor of format 1 is read") {
  const std::string message = from_hex(
      "4d4d54010496ce075bcd15cf11223344556677880300c3cf8d04a83a389876f128b52ffd240b5900009229cf018bcfe56800000040d30ab2");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(envelope->kind == codec::Kind::floor);
  CHECK(envelope->number == 3);
  const auto floor = codec::decode_floor(envelope->slice);
  REQUIRE(floor);
  CHECK(*floor == Floor{41, {kSecond}});
}

TEST_CASE("golden: what is said of ids, in format 4, is read") {
  const codec::IdFacts expected{{{3, 1, false, kOrigin.node, {}}, {1, 2, true, NodeId{77}, {0xfeedfacecafebeef, 41}}},
                                {{Version{{kSecond}, kOrigin}, {2, 4097, 64, 8, true, 1700000000000}, {}}}};
  const std::string message = from_hex(
      "4d4d54040596ce075bcd15cf11223344556677880500c3cf77d49a190a84cb3228b52ffd2447390200929296030100ce075bcd1500009601"
      "02014dcffeedfacecafebeef29919bcf018bcfe568000000ce075bcd15cf112233445566778802cd1001400801cf0000018bcfe568000000"
      "3253f8da");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(message[3] == codec::kFormatOfIds);
  CHECK(envelope->kind == codec::Kind::ids);
  CHECK(envelope->number == 5);
  const auto facts = codec::decode_ids(envelope->slice);
  REQUIRE(facts);
  CHECK(*facts == expected);
}

TEST_CASE("golden: handled conflicts, in format 4, are read") {
  const std::vector<codec::HandledConflict> expected{{"users", "\x47", Version{{kSecond}, kOrigin}, NodeId{77}, 1700000000000},
                                                     {"t", std::string("\0k", 2), Version{{1}, kOrigin}, NodeId{0}, 5}};
  const std::string message = from_hex(
      "4d4d54040696ce075bcd15cf11223344556677880600c3cf177942cec03f3aea28b52ffd2444d5010004039297a57573657273c40147cf01"
      "8bcfe568000000ce075bcd15cf11223344556677884dcf000097a174c402006b01000502004349eec6e61327c3bc73");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(message[3] == codec::kFormatOfHandled);
  CHECK(envelope->kind == codec::Kind::handled);
  CHECK(envelope->number == 6);
  const auto conflicts = codec::decode_handled(envelope->slice);
  REQUIRE(conflicts);
  CHECK(*conflicts == expected);
}

TEST_CASE("golden: a change of clocks, in format 4, is read") {
  const codec::ClockChange expected{90'000, {{{Hlc{kSecond + 65536}, Hlc{kSecond}, 3}, {Hlc{INT64_MAX}, Hlc{kSecond + 7}, 65'536}}}};
  const std::string message = from_hex(
      "4d4d54040796ce075bcd15cf11223344556677880700c3cf77ff2834f4922a0228b52ffd2431450100e892ce00015f9096cf018bcfe56801"
      "000000000003cf7fff07ce0001000003003609c00d8343590239fa8061");
  const auto envelope = codec::open(message);
  REQUIRE(envelope);
  CHECK(message[3] == codec::kFormatOfClock);
  CHECK(envelope->kind == codec::Kind::clock);
  CHECK(envelope->number == 7);
  const auto change = codec::decode_clock(envelope->slice);
  REQUIRE(change);
  CHECK(*change == expected);
}
