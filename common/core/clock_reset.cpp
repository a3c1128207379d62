#include "common/core/clock_reset.hpp"

#include <algorithm>

namespace marmot {

namespace {

constexpr uint32_t kAllSlots = uint32_t{1} << Hlc::kCounterBits;
constexpr uint64_t kRoom = uint64_t{500} << Hlc::kCounterBits;  // for stamps that are not known here, twice
constexpr uint64_t kBeyond = uint64_t{200} << Hlc::kCounterBits;  // what is later than all that are: nobody refuses it
constexpr uint32_t kSlotsBeyond = 1024;  // so 12 s of them keep their order
constexpr uint64_t kLast = Hlc::from_wall(Hlc::kEnd).value - 1;

// A piece of the old order that becomes one segment.
struct Piece {
  WallMs first = 0, last = 0;
  uint32_t slots = 0;  // counters that are used in a millisecond
  uint64_t width() const { return static_cast<uint64_t>(last - first + 1) * slots; }
};

Piece joined(const Piece& a, const Piece& b) { return {a.first, b.last, std::max(a.slots, b.slots)}; }

// Neighbours become one where that costs at most `cost` stamps more.
void join_neighbours(std::vector<Piece>& pieces, uint64_t cost) {
  size_t kept = 0;
  for (size_t i = 1; i < pieces.size(); ++i) {
    const Piece both = joined(pieces[kept], pieces[i]);
    if (both.width() <= pieces[kept].width() + pieces[i].width() + cost) pieces[kept] = both;
    else pieces[++kept] = pieces[i];
  }
  if (!pieces.empty()) pieces.resize(kept + 1);
}

uint64_t width(const std::vector<Piece>& pieces, uint32_t more) {
  uint64_t sum = 0;
  for (const Piece& one : pieces) sum += static_cast<uint64_t>(one.last - one.first + 1) * more;
  return sum;
}

}  // namespace

bool ClockReset::valid() const {
  if (segments.size() > kMaxSegments) return false;
  const ClockSegment* before = nullptr;
  for (const ClockSegment& one : segments) {
    if (one.from.value == 0 || one.to > one.from || one.to.value > kLast || one.slots == 0 || one.slots > kAllSlots) return false;
    if (before != nullptr && (one.from <= before->from || one.to <= before->to)) return false;
    before = &one;
  }
  return true;
}

Hlc ClockReset::lowered(Hlc stamp) const {
  const auto behind = std::upper_bound(segments.begin(), segments.end(), stamp, [](Hlc at, const ClockSegment& one) { return at < one.from; });
  if (behind == segments.begin()) return stamp;
  const ClockSegment& in = *(behind - 1);
  const auto place = [&](Hlc at) { return static_cast<uint64_t>(at.wall()) * in.slots + std::min(at.counter(), in.slots - 1); };
  uint64_t out = in.to.value + (place(stamp) - place(in.from));
  out = std::min(out, behind != segments.end() ? behind->to.value - 1 : in.to.value + kBeyond);
  return Hlc{std::min({out, stamp.value, kLast})};
}

Hlc ClockReset::lowered_in_flight(Hlc stamp) const {
  const bool before_known = segments.size() > 1 && stamp < segments[1].from;
  return before_known ? stamp : lowered(stamp);
}

ClockReset ClockReset::taken(WallMs at, const ClockReset* before) const {
  if (segments.size() < 2) return *this;
  const Hlc made = segments[0].to;
  if (at > made.wall() + kMostLateMs || (before != nullptr && made < before->segments.back().to)) return {};
  ClockReset out = *this;
  out.segments[0].from = std::clamp(Hlc::from_wall(at), segments[0].from, Hlc{segments[1].from.value - 1});
  return out;
}

ClockReset make_clock_reset(const std::vector<Hlc>& stamps, WallMs base) {
  std::vector<Piece> pieces;
  for (const Hlc stamp : stamps) {
    if (pieces.empty() || pieces.back().last != stamp.wall()) pieces.push_back({stamp.wall(), stamp.wall(), 0});
    pieces.back().slots = std::max(pieces.back().slots, stamp.counter() + 1);
  }
  for (uint64_t cost = 1; pieces.size() + 2 > ClockReset::kMaxSegments; cost *= 2) join_neighbours(pieces, cost);
  ClockReset reset;
  if (stamps.empty()) return reset;
  uint32_t more = kAllSlots;
  while (width(pieces, more) > kRoom) more /= 2;
  const uint64_t between = kRoom / (pieces.size() + 1);
  // Nothing is raised: `to` goes up by no more than what is lowered does.
  Hlc from{Hlc::from_wall(base).value - 1};
  uint64_t to = from.value, room = 1 + between;
  reset.segments.push_back({from, from, kAllSlots});  // what lies before the first that is known
  for (const Piece& piece : pieces) {
    const Hlc next = Hlc::from_wall(piece.first);
    const uint32_t slots = std::min(kAllSlots, piece.slots + more);
    to += std::min(room, next.value - from.value);
    reset.segments.push_back({next, Hlc{to}, slots});
    from = next;
    room = static_cast<uint64_t>(piece.last - piece.first + 1) * slots + between;
  }
  to += room;
  const uint64_t next = stamps.back().value + 1;
  reset.segments.push_back({Hlc{next}, Hlc{std::min(to, next)}, kSlotsBeyond});
  return reset;
}

}  // namespace marmot
