#include "common/node/repair_plan.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <tuple>

#include "common/base/mutation.hpp"

namespace marmot::node {

bool comparable(const RangeDigest& a, const RangeDigest& b) {
  if (mutated(Mutation::compare_without_positions)) return true;
  return !a.pending && !b.pending && a.floor == b.floor && a.newest <= b.position && b.newest <= a.position;
}

bool equal(const RangeDigest& a, const RangeDigest& b) {
  return a.registers == b.registers && a.sum == b.sum && a.cut == b.cut;
}

std::map<uint64_t, std::vector<RepairAction>> plan_repair(const std::map<uint64_t, RangeKeys>& held) {
  std::map<uint64_t, std::vector<RepairAction>> plan;
  std::map<std::string_view, std::map<uint64_t, const RangeKey*>> keys;
  std::optional<std::string_view> reach;  // behind it not everybody has spoken
  StreamSeq position = UINT64_MAX;
  Hlc floor;
  for (const auto& [node, range] : held) {
    position = std::min(position, range.position);
    floor = std::max(floor, range.floor_hlc);
    for (const RangeKey& item : range.keys) keys[item.key][node] = &item;
    if (range.cut && (!reach || *reach > range.keys.back().key)) reach = range.keys.back().key;
  }
  for (const auto& [key, holders] : keys) {
    if (reach && key > *reach) break;
    const auto rank = [](const RangeKey& one) { return std::tuple(one.version, one.live, one.hash, one.row.high, one.row.low); };
    auto best = holders.begin();
    for (auto other = holders.begin(); other != holders.end(); ++other) {
      if (rank(*other->second) > rank(*best->second)) best = other;
    }
    const RangeKey& winner = *best->second;
    bool moving = false, alike = holders.size() == held.size(), tie = false;
    size_t live = 0;
    for (const auto& [node, item] : holders) {
      moving = moving || item->seq == 0 || item->seq > position;
      live += item->live ? 1 : 0;
      if (rank(*item) == rank(winner)) continue;
      alike = false;
      tie = tie || item->version == winner.version;
    }
    if (moving || alike) continue;
    const size_t lacking = held.size() - holders.size();
    RepairOp op = tie ? RepairOp::restamp : RepairOp::republish;
    if (winner.live && lacking >= live && winner.version.hlc < floor) op = RepairOp::remove;
    plan[best->first].push_back(RepairAction{op, std::string(key), winner.version});
  }
  return plan;
}

}  // namespace marmot::node
