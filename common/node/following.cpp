#include "common/node/following.hpp"

#include <utility>

#include "common/base/mutation.hpp"

namespace marmot::node {

std::string doubt(bool same, StreamSeq last, StreamSeq seen) {
  if (!same) return "it was made anew";
  return last < seen ? "it ends before what this file has seen" : "";
}

bool gap_is_lost(StreamSeq first, StreamSeq from) { return first > from && !mutated(Mutation::gap_skipped); }

void CatchUp::entered(StreamSeq end, bool founded, bool history_lost) {
  end_ = end;
  wanted_ = wanted_ || founded || history_lost;
  spread_ = spread_ || history_lost;
}

void CatchUp::merged(bool history_lost) {
  wanted_ = true;
  spread_ = spread_ || history_lost;
}

bool CatchUp::due(replica::Membership membership, StreamSeq applied, bool* spread) {
  if (!wanted_ || !caught_up(membership, applied)) return false;
  wanted_ = false;
  *spread = std::exchange(spread_, false);
  return true;
}

}  // namespace marmot::node
