// codec::decode_unit. By the first byte: a payload of any bytes, or a frame made here around raw MessagePack of any bytes
// (no fuzzer finds zstd's checksum). What decodes is well-formed and survives another round.
#include "common/codec/message.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

constexpr size_t kMaxRaw = size_t{16} << 20;

void check_payload(std::string_view payload) {
  codec::Envelope envelope;
  envelope.number = 3;
  const auto decoded = codec::decode_unit(envelope, payload, kMaxRaw);
  if (!decoded) {
    FUZZ_CHECK(decoded.error().code == Errc::corrupt);
    return;
  }
  const Unit& unit = decoded->unit;
  FUZZ_CHECK(test::well_formed(unit));
  const std::string_view bytes(decoded->bytes.get(), decoded->bytes_size);
  for (const UnitRow& row : unit.rows) FUZZ_CHECK(fuzz::lies_in(row.key, bytes));
  for (const ValueView& value : unit.values) FUZZ_CHECK(fuzz::lies_in(value.bytes, bytes));

  const std::string first = test::encode_unit(unit);
  const auto again = codec::decode_unit(envelope, first);
  FUZZ_CHECK(again && again->unit.rows.size() == unit.rows.size() && again->unit.values.size() == unit.values.size());
  for (size_t i = 0; i < unit.rows.size(); ++i) {
    FUZZ_CHECK(again->unit.versions[again->unit.rows[i].version] == unit.versions[unit.rows[i].version]);
    FUZZ_CHECK(again->unit.rows[i].key == unit.rows[i].key);
  }
  for (size_t i = 0; i < unit.values.size(); ++i) FUZZ_CHECK(same_value(again->unit.values[i], unit.values[i]));
  FUZZ_CHECK(test::encode_unit(again->unit) == first);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::payload_or_frame(data, size, [](std::string_view payload) { check_payload(payload); });
  return 0;
}
