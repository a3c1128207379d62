//   handled  := [ conflict* ]
//   conflict := [ table, key, loser's hlc, node, incarnation, by, at ]
#include "common/codec/handled.hpp"

#include "common/codec/frame.hpp"
#include "common/codec/wire.hpp"

namespace marmot::codec {

namespace {

constexpr size_t kMaxHandledBytes = size_t{64} << 20;
constexpr uint32_t kFields = 7;

struct HandledVisitor : RefusingVisitor {
  std::vector<HandledConflict> conflicts;
  int depth = 0;
  uint32_t field = 0;
  bool whole = false;

  bool start_array(uint32_t count) {
    switch (++depth) {
      case 1: return true;
      case 2: break;
      default: return false;
    }
    field = 0;
    conflicts.emplace_back();
    return count == kFields;
  }

  bool end_array() {
    whole = --depth == 0;
    return whole || (!conflicts.back().table.empty() && conflicts.back().loser.hlc.value != 0);
  }

  bool visit_str(const char* text, uint32_t size) {
    if (depth != 2 || field++ != 0) return false;
    conflicts.back().table.assign(text, size);
    return true;
  }

  bool visit_bin(const char* bytes, uint32_t size) {
    if (depth != 2 || field++ != 1) return false;
    conflicts.back().key.assign(bytes, size);
    return true;
  }

  bool visit_positive_integer(uint64_t value) {
    if (depth != 2 || field < 2) return false;
    HandledConflict& into = conflicts.back();
    const uint32_t at = field++ - 2;
    if (at < 3) return set_version_field(into.loser, at, value);
    if (at == 3) {
      into.by.value = value;
      return value <= kMaxNodeId;
    }
    into.at = static_cast<WallMs>(value);
    return value <= kMaxInt63;
  }
};

}  // namespace

std::string encode_handled(const std::vector<HandledConflict>& conflicts) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(static_cast<uint32_t>(conflicts.size()));
  for (const HandledConflict& one : conflicts) {
    out.pack_array(kFields);
    pack_text(out, one.table);
    pack_blob(out, one.key);
    pack_version(out, one.loser);
    out.pack_uint64(one.by.value);
    out.pack_uint64(static_cast<uint64_t>(one.at));
  }
  return *compress({view(raw)});
}

Result<std::vector<HandledConflict>> decode_handled(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxHandledBytes));
  HandledVisitor visitor;
  if (!parse_whole(raw.view(), visitor) || !visitor.whole) return make_error(Errc::corrupt, "handled message does not decode");
  return std::move(visitor.conflicts);
}

}  // namespace marmot::codec
