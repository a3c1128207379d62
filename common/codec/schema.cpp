// The small payloads: schema registers, the genesis and a floor.
//
//   schema   := [ register* ]
//   register := [ kind, dropped, position, table's id, version, id, name, body ]   ids and versions: three numbers each
//               kind 5, a number, only in messages of format 2; kind 6, adopted, only in those of format 4
//   genesis := [ stream id, hash key: low 64 bits, high 64 bits (, clock bound in ms) ]   the bound only in messages of format 4
//   floor   := [ seq, hlc ]
#include <algorithm>

#include "common/codec/frame.hpp"
#include "common/codec/message.hpp"
#include "common/codec/wire.hpp"

namespace marmot::codec {

namespace {

// SQLite takes statements of up to 10^9 bytes; a schema beyond this is not one.
constexpr size_t kMaxSchemaBytes = size_t{256} << 20;
constexpr size_t kMaxNumbersBytes = 64;  // a genesis, a floor
constexpr uint32_t kNumbers = 9;
constexpr SchemaKind kLastRegisterKind = SchemaKind::adopted;
constexpr uint32_t kTexts = 3;

struct SchemaVisitor : RefusingVisitor {
  std::vector<SchemaRegister> registers;
  int depth = 0;
  uint32_t field = 0;
  uint32_t fields = 0;      // of the register that is read
  uint64_t newer_kind = 0;  // the first that is not known here

  bool start_array(uint32_t count) {
    if (++depth == 1) return true;  // registers are counted as they come, not reserved on the word of a header
    if (depth != 2) return false;
    fields = count;  // told by the kind, which comes first: one that is not known here may have others
    registers.emplace_back();
    field = 0;
    return true;
  }

  bool end_array() { return --depth == 0 || field == kNumbers + kTexts; }

  bool visit_positive_integer(uint64_t value) {
    if (depth != 2 || field >= kNumbers) return false;
    SchemaRegister& into = registers.back();
    const uint32_t at = field++;
    switch (at) {
      case 0:
        into.kind = static_cast<SchemaKind>(value);
        if (value > static_cast<uint64_t>(kLastRegisterKind)) newer_kind = value;
        return value >= static_cast<uint64_t>(SchemaKind::table) && newer_kind == 0 && fields == kNumbers + kTexts;
      case 1: into.dropped = value != 0; return value <= 1;
      case 2: into.position = static_cast<int64_t>(value); return value <= kMaxInt63;
      case 3: case 4: case 5: return set_version_field(into.table, at - 3, value);
      default: return set_version_field(into.version, at - 6, value);
    }
  }

  bool visit_str(const char* data, uint32_t size) {
    if (depth != 2 || field < kNumbers) return false;
    SchemaRegister& into = registers.back();
    std::string* const texts[] = {&into.id, &into.name, &into.body};
    texts[field++ - kNumbers]->assign(data, size);
    return true;
  }
};

struct FloorVisitor : RefusingVisitor {
  Floor floor;
  int at = 0;

  bool start_array(uint32_t count) { return at++ == 0 && count == 2; }
  bool visit_positive_integer(uint64_t value) {
    (at == 1 ? floor.seq : floor.hlc.value) = value;
    return at++ <= 2 && value <= (at == 2 ? kMaxInt63 : kMaxHlc);
  }
};

struct GenesisVisitor : RefusingVisitor {
  Genesis genesis;
  int at = 0;

  bool start_array(uint32_t count) { return at++ == 0 && (count == 3 || count == 4); }
  bool visit_positive_integer(uint64_t value) {
    if (at == 4) genesis.clock_bound_ms = static_cast<int64_t>(value);
    else (at == 1 ? genesis.stream_id : at == 2 ? genesis.hash_key.low : genesis.hash_key.high) = value;
    return at++ != 4 || (value > 0 && value <= kMaxInt63);
  }
};

}  // namespace

Result<std::string> encode_schema(const std::vector<SchemaRegister>& registers) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(static_cast<uint32_t>(registers.size()));
  for (const SchemaRegister& one : registers) {
    out.pack_array(kNumbers + kTexts);
    out.pack_uint8(static_cast<uint8_t>(one.kind));
    out.pack_uint8(one.dropped ? 1 : 0);
    out.pack_uint64(static_cast<uint64_t>(one.position));
    pack_version(out, one.table);
    pack_version(out, one.version);
    pack_text(out, one.id);
    pack_text(out, one.name);
    pack_text(out, one.body);
    if (raw.size() > kMaxSchemaBytes) {
      return make_error(Errc::bad_input, "encode schema: larger than " + std::to_string(kMaxSchemaBytes) + " bytes");
    }
  }
  return compress({view(raw)});
}

uint8_t schema_format(const std::vector<SchemaRegister>& registers) {
  const auto has = [&](SchemaKind kind) {
    return std::any_of(registers.begin(), registers.end(), [&](const SchemaRegister& one) { return one.kind == kind; });
  };
  if (has(SchemaKind::adopted)) return kFormatOfIds;
  return has(SchemaKind::number) ? kFormatOfNumbers : kFirstFormat;
}

Result<std::vector<SchemaRegister>> decode_schema(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxSchemaBytes));
  SchemaVisitor visitor;
  const bool whole = parse_whole(raw.view(), visitor);
  if (visitor.newer_kind != 0) {
    return make_error(Errc::newer_format, "schema change of kind " + std::to_string(visitor.newer_kind) + ": this Marmot knows kinds up to " +
                                              std::to_string(static_cast<int>(kLastRegisterKind)) + ", upgrade it");
  }
  if (!whole) return make_error(Errc::corrupt, "schema does not decode");
  return std::move(visitor.registers);
}

std::string encode_floor(const Floor& floor) {
  msgpack::sbuffer raw;
  Packer(raw).pack_array(2).pack_uint64(floor.seq).pack_uint64(floor.hlc.value);
  return *compress({view(raw)});
}

Result<Floor> decode_floor(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxNumbersBytes));
  FloorVisitor visitor;
  if (!parse_whole(raw.view(), visitor)) return make_error(Errc::corrupt, "floor does not decode");
  return visitor.floor;
}

std::string encode_genesis(const Genesis& genesis) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(genesis.clock_bound_ms == 0 ? 3 : 4);
  out.pack_uint64(genesis.stream_id).pack_uint64(genesis.hash_key.low).pack_uint64(genesis.hash_key.high);
  if (genesis.clock_bound_ms != 0) out.pack_uint64(static_cast<uint64_t>(genesis.clock_bound_ms));
  return *compress({view(raw)});
}

uint8_t genesis_format(const Genesis& genesis) { return genesis.clock_bound_ms == 0 ? kFormatOfKeys : kFormatOfClock; }

Result<Genesis> decode_genesis(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxNumbersBytes));
  GenesisVisitor visitor;
  const bool whole = parse_whole(raw.view(), visitor) && visitor.genesis.stream_id != 0 && visitor.genesis.hash_key != HashKey{};
  if (!whole) return make_error(Errc::corrupt, "genesis does not decode (those of formats before 3 are not read)");
  return visitor.genesis;
}

}  // namespace marmot::codec
