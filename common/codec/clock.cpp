//   clock   := [ bound in ms, [ segment* ] ]
//   segment := from, to, slots                       three numbers each
#include "common/codec/clock.hpp"

#include "common/codec/frame.hpp"
#include "common/codec/wire.hpp"

namespace marmot::codec {

namespace {

constexpr size_t kMaxClockBytes = size_t{1} << 16;  // more than kMaxSegments take

struct ClockVisitor : RefusingVisitor {
  ClockChange change;
  int depth = 0;
  bool bound = false, list = false;
  uint32_t field = 0;

  bool start_array(uint32_t count) {
    ++depth;
    if (depth == 1) return count == 2;
    list = true;
    return depth == 2 && bound && count % 3 == 0 && count / 3 <= ClockReset::kMaxSegments;
  }

  bool end_array() {
    --depth;
    return true;
  }

  bool visit_positive_integer(uint64_t value) {
    if (depth == 1 && !bound) {
      bound = true;
      change.bound_ms = static_cast<int64_t>(value);
      return value <= kMaxInt63;
    }
    if (depth != 2) return false;
    const uint32_t at = field++ % 3;
    if (at == 0) change.reset.segments.emplace_back();
    ClockSegment& into = change.reset.segments.back();
    if (at == 0) into.from.value = value;
    else if (at == 1) into.to.value = value;
    else into.slots = static_cast<uint32_t>(value);
    return value <= (at == 2 ? UINT32_MAX : kMaxInt63);
  }
};

}  // namespace

std::string encode_clock(const ClockChange& change) {
  msgpack::sbuffer raw;
  Packer out(raw);
  out.pack_array(2);
  out.pack_uint64(static_cast<uint64_t>(change.bound_ms));
  out.pack_array(static_cast<uint32_t>(change.reset.segments.size() * 3));
  for (const ClockSegment& one : change.reset.segments) {
    out.pack_uint64(one.from.value);
    out.pack_uint64(one.to.value);
    out.pack_uint64(one.slots);
  }
  return *compress({view(raw)});
}

Result<ClockChange> decode_clock(std::string_view payload) {
  TRY_ASSIGN(const Buffer raw, decompress(payload, kMaxClockBytes));
  ClockVisitor visitor;
  if (!parse_whole(raw.view(), visitor) || !visitor.list || !visitor.change.reset.valid()) {
    return make_error(Errc::corrupt, "clock message does not decode");
  }
  return std::move(visitor.change);
}

}  // namespace marmot::codec
