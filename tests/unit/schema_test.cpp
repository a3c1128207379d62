#include <doctest/doctest.h>

#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

std::string pack(msgpack::sbuffer& raw) { return *codec::compress({codec::view(raw)}); }

}  // namespace

TEST_CASE("schema: decoding gives back every register in its order") {
  test::Random random(40);
  for (int i = 0; i < 200; ++i) {
    std::vector<SchemaRegister> registers(random.below(20));
    for (SchemaRegister& one : registers) {
      one.kind = static_cast<SchemaKind>(1 + random.below(6));
      one.table = test::random_version(random);
      one.id = test::random_bytes(random, 10);
      one.version = test::random_version(random);
      one.dropped = random.chance(2);
      one.name = test::random_bytes(random, 10);
      one.body = test::random_bytes(random, 300);
      one.position = static_cast<int64_t>(random.below(2000));
    }
    const auto payload = codec::encode_schema(registers);
    REQUIRE(payload);
    const auto decoded = codec::decode_schema(*payload);
    REQUIRE(decoded);
    CHECK(*decoded == registers);
  }
}

TEST_CASE("schema: cut anywhere, it is corrupt") {
  const std::string payload =
      *codec::encode_schema({{SchemaKind::table, {{9}, {{8}, {7}}}, "", {{9}, {{8}, {7}}}, false, "t", ")", 0}});
  for (size_t length = 0; length < payload.size(); ++length) {
    const auto decoded = codec::decode_schema(std::string_view(payload).substr(0, length));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::corrupt);
  }
  const auto raw = codec::decompress(payload, 10000);
  REQUIRE(raw);
  for (size_t length = 0; length < raw->size; ++length) {
    const auto decoded = codec::decode_schema(*codec::compress({raw->view().substr(0, length)}));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::corrupt);
  }
}

TEST_CASE("schema: fields missing, in excess or of the wrong type are corrupt") {
  const auto refused = [](auto fill) {
    msgpack::sbuffer raw;
    codec::Packer out(raw);
    fill(out);
    return !codec::decode_schema(pack(raw));
  };
  using codec::Packer;
  CHECK(refused([](Packer& out) { out.pack_nil(); }));
  CHECK(refused([](Packer& out) { out.pack_map(0); }));
  CHECK(refused([](Packer& out) { out.pack_array(1).pack_nil(); }));
  CHECK(refused([](Packer& out) { out.pack_array(1).pack_array(0); }));
  const auto one = [](uint64_t kind, uint64_t dropped, uint64_t hlc, int texts) {
    return [=](Packer& out) {
      out.pack_array(1).pack_array(12).pack_uint64(kind).pack_uint64(dropped).pack_uint64(3);
      out.pack_uint64(hlc);
      for (int i = 0; i < 5; ++i) out.pack_uint64(1);
      for (int i = 0; i < texts; ++i) codec::pack_text(out, "x");
      for (int i = texts; i < 3; ++i) out.pack_uint64(1);
    };
  };
  CHECK_FALSE(refused(one(1, 0, 1, 3)));
  CHECK_FALSE(refused(one(4, 1, 1, 3)));
  CHECK(refused(one(0, 0, 1, 3)));
  CHECK_FALSE(refused(one(5, 0, 1, 3)));
  CHECK(refused(one(1, 2, 1, 3)));
  CHECK(refused(one(1, 0, uint64_t{1} << 63, 3)));  // no such clock
  CHECK(refused(one(1, 0, 1, 2)));
  CHECK(refused([](Packer& out) {
    out.pack_array(1).pack_array(12);
    for (int i = 0; i < 12; ++i) codec::pack_text(out, "x");
  }));
}

TEST_CASE("schema: a register of a kind that a later Marmot brought is told apart from damage, whatever fields it has") {
  for (const uint32_t fields : {12U, 3U, 14U}) {
    msgpack::sbuffer raw;
    codec::Packer out(raw);
    out.pack_array(1).pack_array(fields).pack_uint64(7);
    for (uint32_t i = 1; i < fields; ++i) codec::pack_text(out, "x");
    const auto decoded = codec::decode_schema(pack(raw));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::newer_format);
    CHECK(decoded.error().message == "schema change of kind 7: this Marmot knows kinds up to 6, upgrade it");
  }
}

TEST_CASE("genesis: the stream's id and key come back; cut anywhere, or one of them zero, it is corrupt") {
  for (const uint64_t id : {uint64_t{1}, uint64_t{127}, uint64_t{300}, UINT64_MAX}) {
    const codec::Genesis genesis{id, HashKey{UINT64_MAX - id, id / 3}, id == 300 ? 120'000 : 0};
    CHECK(codec::genesis_format(genesis) == (id == 300 ? codec::kFormatOfClock : codec::kFormatOfKeys));
    const std::string payload = codec::encode_genesis(genesis);
    const auto decoded = codec::decode_genesis(payload);
    REQUIRE(decoded);
    CHECK(*decoded == genesis);
    for (size_t length = 0; length < payload.size(); ++length) CHECK_FALSE(codec::decode_genesis(payload.substr(0, length)));
  }
  for (const codec::Genesis& none : {codec::Genesis{0, HashKey{1, 2}}, codec::Genesis{1, HashKey{}}}) {
    const auto zero = codec::decode_genesis(codec::encode_genesis(none));
    REQUIRE_FALSE(zero);
    CHECK(zero.error().code == Errc::corrupt);
  }
}

TEST_CASE("floor: both numbers come back; cut anywhere, it is corrupt") {
  for (const Floor& floor : {Floor{}, Floor{1, Hlc{2}}, Floor{uint64_t{1} << 62, Hlc{Hlc::from_wall(Hlc::kEnd).value - 1}}}) {
    const std::string payload = codec::encode_floor(floor);
    const auto decoded = codec::decode_floor(payload);
    REQUIRE(decoded);
    CHECK(*decoded == floor);
    for (size_t length = 0; length < payload.size(); ++length) CHECK_FALSE(codec::decode_floor(payload.substr(0, length)));
  }
}

// One such message in the stream, and every clock followed it: what came after had numbers that no decoder takes.
TEST_CASE("clock: a stamp beyond the year 2200 is damage, in a schema and in a floor; the last one before is not") {
  const auto last = Hlc::from_wall(Hlc::kEnd).value - 1;
  for (const uint64_t hlc : {last, last + 1, uint64_t{INT64_MAX}}) {
    SchemaRegister one;
    one.kind = SchemaKind::table;
    one.table.hlc.value = one.version.hlc.value = 1;
    (hlc % 2 == 0 ? one.table : one.version).hlc.value = hlc;
    const bool good = hlc == last;
    const auto schema = codec::decode_schema(*codec::encode_schema({one}));
    CHECK(static_cast<bool>(schema) == good);
    const auto floor = codec::decode_floor(codec::encode_floor(Floor{1, Hlc{hlc}}));
    CHECK(static_cast<bool>(floor) == good);
    if (!good) CHECK((schema.error().code == Errc::corrupt && floor.error().code == Errc::corrupt));
  }
}
