// Writes valid inputs for each target: fuzz_seeds DIRECTORY makes DIRECTORY/<target>/seed-<n>.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/codec/frame.hpp"
#include "common/codec/handled.hpp"
#include "common/codec/message.hpp"
#include "common/core/key.hpp"
#include "common/core/row.hpp"
#include "tests/unit/control_generator.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;
namespace fs = std::filesystem;

namespace {

constexpr int kSeeds = 20;
constexpr size_t kMaxRaw = size_t{64} << 20;

void write(const fs::path& folder, const char* target, int n, std::string_view bytes) {
  fs::create_directories(folder / target);
  std::ofstream out(folder / target / ("seed-" + std::to_string(n)), std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Once as it is (mode 0) and once unpacked (mode 1), as the targets that take payloads want it.
void write_payload(const fs::path& folder, const char* target, int n, const std::string& payload) {
  const auto raw = codec::decompress(payload, kMaxRaw);
  write(folder, target, 2 * n, '\0' + payload);
  write(folder, target, 2 * n + 1, '\1' + std::string(raw->view()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_seeds DIRECTORY\n", stderr);
    return 2;
  }
  const fs::path folder = argv[1];
  test::Random random(1);
  for (int n = 0; n < kSeeds; ++n) {
    const test::OwnedUnit unit = test::random_unit(random);
    const std::string payload = test::encode_unit(unit.unit);
    const Version version = test::random_version(random);
    write_payload(folder, "unit", n, payload);
    write(folder, "open", n, '\0' + codec::seal(codec::Kind::rows, version.origin, version.hlc.value, payload, 65536)[0]);
    write(folder, "open", kSeeds + n, '\0' + codec::seal(codec::Kind::schema, version.origin, version.hlc.value, payload, 65536, codec::kFormatOfNumbers)[0]);
    write_payload(folder, "genesis", n, codec::encode_genesis({version.hlc.value | 1, HashKey{version.hlc.value, 7}, n % 2 == 0 ? 0 : int64_t{1} << n % 60}));
    write_payload(folder, "floor", n, codec::encode_floor(Floor{version.hlc.value / 2, version.hlc}));
    write_payload(folder, "clock", n, codec::encode_clock(test::random_clock(random)));
    write_payload(folder, "handled", n, codec::encode_handled({test::random_handled(random), test::random_handled(random)}));
    for (size_t kind = 0; kind < std::variant_size_v<codec::control::Message>; ++kind) {
      const codec::control::Message message = test::random_control_message(random, kind);
      const std::string bytes = std::visit([](const auto& one) { return codec::control::encode(one); }, message);
      write(folder, "control", n * 32 + static_cast<int>(kind), '\0' + bytes);
    }
    std::string row;
    for (uint64_t columns = random.below(5); columns > 0; --columns) {
      const std::string name = test::random_bytes(random, 12);
      const test::OwnedValue value = test::random_value(random);
      append_row_column(row, name, value.view());
    }
    write(folder, "row", n, row);
    write_payload(folder, "schema", n,
                  *codec::encode_schema({{SchemaKind::table, version, "", version, false, "t", ")", 0},
                                         {SchemaKind::column, version, "a", version, true, "a", "INT", 1},
                                         {SchemaKind::object, {}, "index i", version, false, "i", "CREATE INDEX i ON t(a)", 0},
                                         {SchemaKind::number, {}, "user_version 1", version, false, "user_version", "1.2.3 4.5.6", 7}}));
    write(folder, "message_id", n, codec::message_id(version.origin, version.hlc.value, static_cast<uint32_t>(n)));
    std::string key;
    for (uint64_t parts = 1 + random.below(4); parts > 0; --parts) {
      const test::OwnedValue value = test::random_key_value(random);
      append_key_part(key, value.view());
    }
    write(folder, "key", 2 * n, key);
    std::string rowid;
    append_rowid_part(rowid, version.origin.node, test::random_integer(random));
    write(folder, "key", 2 * n + 1, rowid);
  }
  return 0;
}
