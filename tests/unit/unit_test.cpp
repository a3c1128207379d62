#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>

#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;
using codec::Packer;

namespace {

codec::Envelope envelope_of(const Unit& unit) {
  codec::Envelope envelope;
  envelope.origin = unit.origin;
  envelope.number = unit.number;
  return envelope;
}

// One table (a), one row with one value.
Unit one_value(const ValueView& value) {
  Unit unit;
  unit.origin = {NodeId{1}, Incarnation{2}};
  unit.number = 1;
  unit.versions = {{{5}, unit.origin}};
  unit.tables = {{{{4}, unit.origin}, "t", {"a"}}};
  unit.rows = {{0, 0, Op::insert, "\x41", 0}};
  unit.values = {value};
  return unit;
}

// What a raw payload decodes to; nullopt when it is refused, which must be as corrupt.
std::optional<codec::DecodedUnit> decode_raw(std::string_view raw) {
  auto decoded = codec::decode_unit({}, *codec::compress({raw}));
  if (!decoded) {
    CHECK(decoded.error().code == Errc::corrupt);
    return std::nullopt;
  }
  return *std::move(decoded);
}

// A payload written by hand: [false, base, versions, tables, rows, cells] with one version, one table of one column.
template <class Fill>
std::optional<codec::DecodedUnit> decode_cells(uint64_t rows, uint32_t cells, Fill fill) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(6).pack_false().pack_uint64(7);
  out.pack_array(3).pack_uint64(1).pack_uint64(1).pack_uint64(1);
  out.pack_array(1).pack_array(5).pack_uint64(1).pack_uint64(1).pack_uint64(1);
  codec::pack_text(out, "t");
  codec::pack_text(out, "a");
  out.pack_uint64(rows);
  out.pack_array(cells);
  fill(out, raw);
  return decode_raw(codec::view(raw));
}

}  // namespace

TEST_CASE("unit: decoding gives back what was encoded, through parts of any size") {
  test::Random random(50);
  for (int i = 0; i < 400; ++i) {
    const test::OwnedUnit sent = test::random_unit(random);
    const size_t max_message = 256 + random.below(2000);
    const std::string payload = test::encode_unit(sent.unit);
    std::string joined;
    codec::Envelope envelope;
    for (const std::string& message :
         codec::seal(codec::Kind::rows, sent.unit.origin, sent.unit.number, payload, max_message)) {
      auto opened = codec::open(message);
      REQUIRE(opened);
      envelope = *opened;
      joined += envelope.slice;
    }
    REQUIRE(envelope.last);
    const auto decoded = codec::decode_unit(envelope, joined);
    REQUIRE_MESSAGE(decoded, decoded.error().message);
    CHECK(test::same_unit(decoded->unit, sent.unit));
    CHECK(test::well_formed(decoded->unit));
  }
}

TEST_CASE("unit: every storage class arrives with its class and its bits") {
  using namespace std::string_view_literals;
  const std::string large(100000, 'x');
  const ValueView values[] = {
      ValueView::of_null(), ValueView::of_integer(0), ValueView::of_integer(127), ValueView::of_integer(128),
      ValueView::of_integer(-1), ValueView::of_integer(-32), ValueView::of_integer(-33), ValueView::of_integer(INT64_MIN),
      ValueView::of_integer(INT64_MAX), ValueView::of_real(1.0), ValueView::of_real(0.0), ValueView::of_real(-0.0),
      ValueView::of_real(-5.0), ValueView::of_real(1.5), ValueView::of_real(1e300),
      ValueView::of_real(std::numeric_limits<double>::infinity()),
      ValueView::of_real(-std::numeric_limits<double>::infinity()),
      ValueView::of_real(std::numeric_limits<double>::denorm_min()), ValueView::of_text(""), ValueView::of_blob(""),
      ValueView::of_text("a\0b"sv), ValueView::of_blob("a\0b"sv), ValueView::of_text("\xff\xfe"), ValueView::of_text(large),
      ValueView::of_blob(large),
  };
  for (const ValueView& value : values) {
    const Unit sent = one_value(value);
    const auto decoded = codec::decode_unit(envelope_of(sent), test::encode_unit(sent));
    REQUIRE(decoded);
    REQUIRE(decoded->unit.values.size() == 1);
    CHECK(same_value(decoded->unit.values[0], value));
  }
}

TEST_CASE("unit: a NaN is written as NULL, as SQLite stores it") {
  const Unit sent = one_value(ValueView::of_real(std::nan("")));
  const auto decoded = codec::decode_unit(envelope_of(sent), test::encode_unit(sent));
  REQUIRE(decoded);
  CHECK(decoded->unit.values[0].type == ValueType::null);
}

TEST_CASE("unit: its views survive moves, however short its bytes are") {
  const Unit sent = one_value(ValueView::of_text("v"));
  std::vector<codec::DecodedUnit> units;
  for (int i = 0; i < 20; ++i) {
    auto decoded = codec::decode_unit(envelope_of(sent), test::encode_unit(sent));
    REQUIRE(decoded);
    units.push_back(*std::move(decoded));  // grows, so earlier ones move again
  }
  for (const codec::DecodedUnit& moved : units) {
    CHECK(test::same_unit(moved.unit, sent));
    CHECK(moved.unit.values[0].bytes.data() >= moved.bytes.get());
    CHECK(moved.unit.values[0].bytes.data() < moved.bytes.get() + moved.bytes_size);
  }
}

TEST_CASE("unit: a version equal to the last one is kept once") {
  codec::UnitWriter writer;
  const Version a{{5}, {{1}, {1}}}, b{{6}, {{1}, {1}}};
  CHECK(writer.add_version(a) == 0);
  CHECK(writer.add_version(a) == 0);
  CHECK(writer.add_version(b) == 1);
  CHECK(writer.add_version(a) == 2);
}

TEST_CASE("unit: the writer counts its rows and bytes as it goes") {
  codec::UnitWriter writer;
  CHECK(writer.rows() == 0);
  const uint32_t table = writer.add_table({{}, "t", {"a"}});
  const uint32_t version = writer.add_version({});
  const size_t before = writer.raw_bytes();
  const std::string value(1000, 'x');
  writer.row(table, version, Op::insert, "k");
  writer.value(ValueView::of_text(value));
  CHECK(writer.rows() == 1);
  CHECK(writer.raw_bytes() > before + 1000);
  CHECK(writer.raw_bytes() < before + 1020);
}

TEST_CASE("unit: a unit without rows says whether more follows") {
  for (const bool more : {true, false}) {
    codec::UnitWriter writer;
    const auto decoded = codec::decode_unit({}, *writer.finish(more, 0));
    REQUIRE(decoded);
    CHECK(decoded->unit.more == more);
    CHECK(decoded->unit.rows.empty());
  }
}

TEST_CASE("unit: decoding allocates for the unit, not for its rows or values") {
  const auto count_for = [](int rows) {
    codec::UnitWriter writer;
    const uint32_t table = writer.add_table({{}, "t", {"a", "b"}});
    const uint32_t version = writer.add_version({});
    for (int i = 0; i < rows; ++i) {
      writer.row(table, version, Op::insert, std::string_view("\x02" "a key that is longer than a short string", 42));
      writer.value(ValueView::of_text("a value that is longer than a short string"));
      writer.value(ValueView::of_integer(i));
    }
    const std::string payload = *writer.finish(false, 0);
    test::reset_allocations();
    const auto decoded = codec::decode_unit({}, payload);
    const size_t count = test::allocations().count;
    REQUIRE(decoded);
    return count;
  };
  CHECK(count_for(5000) == count_for(100));
}

TEST_CASE("unit: a payload cut anywhere is corrupt") {
  test::Random random(51);
  Unit unit = one_value(ValueView::of_text("some text"));
  const std::string payload = test::encode_unit(unit);
  for (size_t length = 0; length < payload.size(); ++length) {
    const auto decoded = codec::decode_unit({}, std::string_view(payload).substr(0, length));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == Errc::corrupt);
  }
}

TEST_CASE("unit: raw bytes cut anywhere are corrupt, and so are bytes behind them") {
  test::Random random(52);
  for (int i = 0; i < 20; ++i) {
    const test::OwnedUnit sent = test::random_unit(random);
    const auto raw = codec::decompress(test::encode_unit(sent.unit), size_t{1} << 30);
    REQUIRE(raw);
    for (size_t length = 0; length < std::min<size_t>(raw->size, 600); ++length) CHECK_FALSE(decode_raw(raw->view().substr(0, length)));
    CHECK_FALSE(decode_raw(std::string(raw->view()) + '\xc0'));
    CHECK(decode_raw(raw->view()));
  }
}

TEST_CASE("unit: changed raw bytes give a well-formed unit or corrupt, never anything else") {
  test::Random random(53);
  size_t refused = 0, accepted = 0;
  for (int i = 0; i < 300; ++i) {
    const test::OwnedUnit sent = test::random_unit(random);
    const auto raw = codec::decompress(test::encode_unit(sent.unit), size_t{1} << 30);
    REQUIRE(raw);
    for (int n = 0; n < 20; ++n) {
      std::string changed(raw->view());
      for (uint64_t flips = 1 + random.below(3); flips > 0; --flips) {
        changed[random.below(std::min<size_t>(changed.size(), 300))] = static_cast<char>(random.next());
      }
      const auto decoded = decode_raw(changed);
      if (decoded && !test::well_formed(decoded->unit)) FAIL("a unit that is not well-formed decoded");
      ++(decoded ? accepted : refused);
    }
  }
  CHECK(refused > 1000);
  CHECK(accepted > 100);
}

TEST_CASE("unit: rows are held against the tables, versions and columns they name") {
  const auto row = [](Packer& out, uint64_t table, uint64_t version, uint64_t op) -> Packer& {
    out.pack_uint64(table).pack_uint64(version).pack_uint64(op);
    codec::pack_blob(out, "k");
    return out;
  };
  CHECK(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 0, 0, 1).pack_nil(); }));
  CHECK(decode_cells(1, 4, [&](Packer& out, auto&) { row(out, 0, 0, 3); }));
  CHECK_FALSE(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 1, 0, 1).pack_nil(); }));       // no such table
  CHECK_FALSE(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 0, 1, 1).pack_nil(); }));       // no such version
  CHECK_FALSE(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 0, uint64_t{1} << 32, 1).pack_nil(); }));
  CHECK_FALSE(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 0, 0, 0).pack_nil(); }));       // no such op
  CHECK_FALSE(decode_cells(1, 4, [&](Packer& out, auto&) { row(out, 0, 0, 4); }));
  CHECK_FALSE(decode_cells(1, 4, [&](Packer& out, auto&) { row(out, 0, 0, 1); }));                  // its value is missing
  CHECK_FALSE(decode_cells(1, 6, [&](Packer& out, auto&) { row(out, 0, 0, 1).pack_nil().pack_nil(); }));
  CHECK_FALSE(decode_cells(1, 5, [&](Packer& out, auto&) { row(out, 0, 0, 3).pack_nil(); }));       // a remove has none
  CHECK_FALSE(decode_cells(2, 5, [&](Packer& out, auto&) { row(out, 0, 0, 1).pack_nil(); }));       // fewer rows than stated
  CHECK_FALSE(decode_cells(0, 4, [&](Packer& out, auto&) { row(out, 0, 0, 3); }));                  // more than stated
  CHECK_FALSE(decode_cells(UINT64_MAX, 4, [&](Packer& out, auto&) { row(out, 0, 0, 3); }));
}

TEST_CASE("unit: a table's key names columns that it has, before them") {
  const auto with_table = [](auto fill, uint32_t size) {
    msgpack::sbuffer raw;
    Packer out(raw);
    out.pack_array(6).pack_false().pack_uint64(7).pack_array(0);
    out.pack_array(1).pack_array(size).pack_uint64(1).pack_uint64(1).pack_uint64(1);
    codec::pack_text(out, "t");
    fill(out);
    out.pack_uint64(0).pack_array(0);
    return decode_raw(codec::view(raw));
  };
  const auto whole = with_table([](Packer& out) { out.pack_uint64(1 << 5 | 1 << 4 | 2 << 2 | 1); codec::pack_text(out, "a"); codec::pack_text(out, "b"); }, 7);
  REQUIRE(whole);
  CHECK(whole->unit.tables[0].key == std::vector<UnitKeyColumn>{{1, Collation::nocase, Affinity::number, true}});
  CHECK(whole->unit.tables[0].columns == std::vector<std::string>{"a", "b"});
  CHECK_FALSE(with_table([](Packer& out) { out.pack_uint64(2 << 5); codec::pack_text(out, "a"); codec::pack_text(out, "b"); }, 7));  // no such column
  CHECK_FALSE(with_table([](Packer& out) { out.pack_uint64(3); codec::pack_text(out, "a"); }, 6));                                 // no such collation
  CHECK_FALSE(with_table([](Packer& out) { codec::pack_text(out, "a"); out.pack_uint64(0); }, 6));                                 // behind a column
}

TEST_CASE("unit: values of types that SQLite has not are corrupt") {
  const auto with_value = [](auto fill) {
    return decode_cells(1, 5, [&](Packer& out, msgpack::sbuffer& raw) {
      out.pack_uint64(0).pack_uint64(0).pack_uint64(1);
      codec::pack_blob(out, "k");
      fill(out, raw);
    });
  };
  CHECK(with_value([](Packer& out, auto&) { out.pack_uint64(static_cast<uint64_t>(INT64_MAX)); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_uint64(uint64_t{1} << 63); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_true(); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_float(1.5F); }));
  CHECK_FALSE(with_value([](Packer&, auto& raw) { codec::pack_real(raw, std::nan("")); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_array(0); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_map(0); }));
  CHECK_FALSE(with_value([](Packer& out, auto&) { out.pack_ext(0, 1); }));
}

TEST_CASE("unit: sections in another shape are corrupt") {
  const auto refused = [](auto fill) {
    msgpack::sbuffer raw;
    Packer out(raw);
    fill(out);
    return !decode_raw(codec::view(raw));
  };
  const auto empty = [](Packer& out, uint32_t size) -> Packer& {
    return out.pack_array(size).pack_false().pack_uint64(7).pack_array(0).pack_array(0).pack_uint64(0).pack_array(0);
  };
  CHECK_FALSE(refused([&](Packer& out) { empty(out, 6); }));
  CHECK(refused([&](Packer& out) { empty(out, 7).pack_nil(); }));
  CHECK(refused([](Packer& out) { out.pack_array(6).pack_false().pack_uint64(7).pack_array(0).pack_array(0).pack_uint64(0).pack_uint64(0); }));
  CHECK(refused([](Packer& out) { out.pack_array(5).pack_false().pack_uint64(7).pack_array(0).pack_array(0).pack_uint64(0); }));
  CHECK(refused([](Packer& out) { out.pack_array(6).pack_uint64(0).pack_uint64(7).pack_array(0).pack_array(0).pack_uint64(0).pack_array(0); }));
  CHECK(refused([](Packer& out) {
    out.pack_array(6).pack_false().pack_uint64(7).pack_array(2).pack_uint64(1).pack_uint64(1);  // two thirds of a version
    out.pack_array(0).pack_uint64(0).pack_array(0);
  }));
  CHECK(refused([](Packer& out) {
    out.pack_array(6).pack_false().pack_uint64(7).pack_array(3).pack_uint64(1).pack_uint64(kMaxNodeId + 1).pack_uint64(1);
    out.pack_array(0).pack_uint64(0).pack_array(0);
  }));
  CHECK(refused([](Packer& out) { out.pack_array(6).pack_false().pack_uint64(7).pack_array(0).pack_array(1).pack_nil().pack_uint64(0).pack_array(0); }));
  CHECK(refused([](Packer& out) { for (int i = 0; i < 10000; ++i) out.pack_array(1); }));
  CHECK(refused([](Packer& out) { out.pack_nil(); }));
  CHECK(refused([](Packer& out) {  // a base that SQLite could not hold
    out.pack_array(6).pack_false().pack_uint64(uint64_t{1} << 63).pack_array(0).pack_array(0).pack_uint64(0).pack_array(0);
  }));
}

TEST_CASE("unit: an array header that promises billions reserves nothing for them") {
  for (int section = 0; section < 3; ++section) {
    msgpack::sbuffer raw;
    Packer out(raw);
    out.pack_array(6).pack_false().pack_uint64(7);
    if (section > 0) out.pack_array(0);
    if (section > 1) out.pack_array(0).pack_uint64(0);
    codec::pack_array32(raw, section == 0 ? 0xffffffff / 3 * 3 : 0xffffffff);
    const std::string payload = *codec::compress({codec::view(raw)});
    test::reset_allocations();
    CHECK_FALSE(codec::decode_unit({}, payload));
    CHECK(test::allocations().largest < 1000);
  }
}

TEST_CASE("unit: max_raw_bytes bounds the bytes and, by sixteenths, the values") {
  const std::string text(100000, 'x');
  const std::string payload = test::encode_unit(one_value(ValueView::of_text(text)));
  CHECK(codec::decode_unit({}, payload, 200000));
  const auto refused = codec::decode_unit({}, payload, 50000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::corrupt);

  codec::UnitWriter writer;
  const uint32_t table = writer.add_table({{}, "t", std::vector<std::string>(1000, "c")});
  const uint32_t version = writer.add_version({});
  for (int row = 0; row < 100; ++row) {
    writer.row(table, version, Op::insert, "k");
    for (int i = 0; i < 1000; ++i) writer.value({});
  }
  const std::string nulls = *writer.finish(false, 0);  // 100 KB of NULLs: 4 MB of values
  CHECK_FALSE(codec::decode_unit({}, nulls, 1000000));
  CHECK(codec::decode_unit({}, nulls, 2000000));
}
