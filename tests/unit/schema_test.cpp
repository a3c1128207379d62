#include <doctest/doctest.h>

#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

std::string pack(msgpack::sbuffer& raw) { return *codec::compress({codec::view(raw)}); }

}  // namespace

TEST_CASE("schema: decoding gives back every object in its order") {
  test::Random random(40);
  for (int i = 0; i < 200; ++i) {
    std::vector<SchemaObject> objects(random.below(20));
    for (SchemaObject& object : objects) {
      object.type = random.chance(2) ? "table" : "index";
      object.name = test::random_bytes(random, 10);
      object.table = test::random_bytes(random, 10);
      object.sql = test::random_bytes(random, 300);
      object.id = test::random_version(random);
    }
    const auto payload = codec::encode_schema(objects);
    REQUIRE(payload);
    const auto decoded = codec::decode_schema(*payload);
    REQUIRE(decoded);
    REQUIRE(decoded->size() == objects.size());
    for (size_t n = 0; n < objects.size(); ++n) {
      const SchemaObject& a = objects[n];
      const SchemaObject& b = (*decoded)[n];
      CHECK(a.type == b.type);
      CHECK(a.name == b.name);
      CHECK(a.table == b.table);
      CHECK(a.sql == b.sql);
      CHECK(a.id == b.id);
    }
  }
}

TEST_CASE("schema: cut anywhere, it is corrupt") {
  const std::string payload = *codec::encode_schema({{"table", "t", "t", "CREATE TABLE t(a)", {{9}, {{8}, {7}}}}});
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
  CHECK(refused([](Packer& out) {
    out.pack_array(1).pack_array(7);
    for (int i = 0; i < 7; ++i) codec::pack_text(out, "x");
  }));
  CHECK(refused([](Packer& out) {
    out.pack_array(1).pack_array(7);
    for (int i = 0; i < 7; ++i) out.pack_uint64(1);
  }));
  CHECK(refused([](Packer& out) {
    out.pack_array(1).pack_array(7);
    for (int i = 0; i < 4; ++i) codec::pack_text(out, "x");
    out.pack_uint64(uint64_t{1} << 63).pack_uint64(1).pack_uint64(1);  // no such clock
  }));
  CHECK_FALSE(refused([](Packer& out) {
    out.pack_array(1).pack_array(7);
    for (int i = 0; i < 4; ++i) codec::pack_text(out, "x");
    out.pack_uint64(1).pack_uint64(1).pack_uint64(1);
  }));
}

TEST_CASE("genesis: the stream's id comes back; cut anywhere or zero, it is corrupt") {
  for (const uint64_t id : {uint64_t{1}, uint64_t{127}, uint64_t{300}, UINT64_MAX}) {
    const std::string payload = codec::encode_genesis(id);
    const auto decoded = codec::decode_genesis(payload);
    REQUIRE(decoded);
    CHECK(*decoded == id);
    for (size_t length = 0; length < payload.size(); ++length) CHECK_FALSE(codec::decode_genesis(payload.substr(0, length)));
  }
  const auto zero = codec::decode_genesis(codec::encode_genesis(0));
  REQUIRE_FALSE(zero);
  CHECK(zero.error().code == Errc::corrupt);
}
