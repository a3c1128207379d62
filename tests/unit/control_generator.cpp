#include "tests/unit/control_generator.hpp"

#include <utility>

namespace marmot::test {

namespace control = codec::control;

namespace {

// One of every length that msgpack gives another form.
uint64_t any_number(Random& random) { return random.next() >> random.below(64); }
uint64_t number(Random& random) { return any_number(random) >> 1; }
int64_t count(Random& random) { return static_cast<int64_t>(number(random)); }
NodeId node(Random& random) { return {1 + number(random) % kMaxNodeId}; }
bool either(Random& random) { return random.chance(2); }
std::string text(Random& random) {
  const size_t most = random.chance(20) ? 70'000 : random.chance(4) ? 300 : 40;
  return random_bytes(random, most);
}
Version version(Random& random) {
  const Hlc hlc{number(random) % Hlc::from_wall(Hlc::kEnd).value};
  const NodeId by = node(random);
  return {hlc, {by, {number(random)}}};
}
KeyRange range(Random& random) {
  std::string table = text(random), after = text(random);
  return {std::move(table), std::move(after), text(random)};
}
size_t length(Random& random) { return random.below(random.chance(8) ? 300 : 4); }

template <class M>
M of(NodeId from) {
  M message;
  message.node = from;
  return message;
}

HashKey seed(Random& random) { return {any_number(random), any_number(random)}; }
Hash128 wide(Random& random) { return {any_number(random), any_number(random)}; }
CompareBy by(Random& random) { return {seed(random), either(random)}; }

void fill(Random& random, control::Refusal& m) { m.absent = either(random), m.reason = text(random); }
void fill(Random& random, control::Beat& m) {
  m.incarnation.value = number(random), m.applied = number(random), m.pending = number(random), m.able = either(random);
  m.marmot = text(random), m.data_format = static_cast<uint8_t>(random.below(256));
}
void fill(Random& random, control::MemberList& m) {
  m.members.resize(length(random));
  for (auto& one : m.members) one.node = node(random), one.incarnation.value = number(random), one.age_ms = count(random), one.applied = number(random);
}
void fill(Random& random, control::DigestRequest& m) { m.seq = number(random), m.seed = seed(random); }
void fill(Random& random, control::DigestAnswer& m) {
  m.applied = number(random), m.pending = number(random);
  m.tables.resize(length(random));
  for (auto& one : m.tables) one.name = text(random), one.rows = count(random), one.hash = wide(random);
}
void fill(Random& random, control::BucketsRequest& m) { m.table = text(random), m.seed = seed(random); }
void fill(Random& random, control::BucketsAnswer& m) {
  m.buckets.resize(length(random));
  for (auto& one : m.buckets) one.rows = count(random), one.sum = wide(random);
}
void fill(Random& random, control::KeysRequest& m) { m.table = text(random), m.bucket = static_cast<uint8_t>(random.below(256)), m.seed = seed(random); }
void fill(Random& random, control::KeysAnswer& m) {
  m.all = either(random);
  m.keys.resize(length(random));
  for (auto& one : m.keys) one.key = text(random), one.hash = wide(random);
}
void fill(Random&, control::FullTextRequest&) {}
void fill(Random& random, control::FullTextAnswer& m) {
  m.faults.resize(length(random));
  for (auto& one : m.faults) one.index = text(random), one.reason = text(random), one.out_of_step = either(random);
}
void fill(Random& random, control::RangeDigestRequest& m) { m.range = range(random), m.by = by(random); }
void fill(Random& random, control::RangeDigestAnswer& m) {
  m.digest.position = number(random), m.digest.newest = number(random), m.digest.floor = number(random);
  m.digest.pending = either(random), m.digest.cut = either(random), m.digest.registers = count(random), m.digest.sum = wide(random);
}
void fill(Random& random, control::RangeKeysRequest& m) { m.range = range(random), m.by = by(random); }
void fill(Random& random, control::RangeKeysAnswer& m) {
  m.held.position = number(random), m.held.floor = number(random), m.held.floor_hlc.value = number(random) % Hlc::from_wall(Hlc::kEnd).value, m.held.cut = either(random);
  m.held.keys.resize(length(random));
  for (auto& one : m.held.keys) {
    one.key = text(random), one.version = version(random), one.hash = any_number(random), one.seq = number(random), one.live = either(random);
    one.row = wide(random);
  }
}
void fill(Random& random, control::RepairRequest& m) {
  m.table = text(random);
  m.actions.resize(length(random));
  for (auto& one : m.actions) one.op = static_cast<RepairOp>(random.below(3)), one.key = text(random), one.version = version(random);
}
void fill(Random& random, control::RepairAnswer& m) { m.done = count(random); }
void fill(Random&, control::ScrubRequest&) {}
void fill(Random& random, control::ScrubAnswer& m) {
  m.found.resize(length(random));
  for (auto& one : m.found) one.table = text(random), one.rows = count(random);
}
void fill(Random& random, control::Alive& m) {
  m.incarnation.value = number(random), m.asker.value = number(random), m.asking = either(random), m.first = number(random);
  m.host = text(random), m.pid = number(random), m.started = count(random);
}
void fill(Random& random, control::ClockState& m) { m.ahead = either(random), m.off_ms = count(random); }
void fill(Random& random, control::Repaired& m) { m.divergent = number(random); }
void fill(Random& random, control::SnapshotRequest& m) {
  m.seq = number(random);
  m.damaged.resize(length(random));
  for (auto& one : m.damaged) one = text(random);
}

template <size_t... I>
control::Message made(Random& random, size_t kind, std::index_sequence<I...>) {
  control::Message out;
  const NodeId from = node(random);
  const auto make = [&](auto index) {
    if (kind != decltype(index)::value) return false;
    auto message = of<std::variant_alternative_t<decltype(index)::value, control::Message>>(from);
    fill(random, message);
    out = std::move(message);
    return true;
  };
  (make(std::integral_constant<size_t, I>()) || ...);
  return out;
}

}  // namespace

control::Message random_control_message(Random& random, size_t kind) {
  return made(random, kind, std::make_index_sequence<std::variant_size_v<control::Message>>());
}

}  // namespace marmot::test
