// What is done next with one database file, and when to look again: a table of rules over facts. Pure; times are monotonic
// microseconds. schedule.hpp keeps the facts.
//
//   rows without a first version    baseline, until all have one; nothing else before
//   a snapshot to be merged         merge, until it is in; a slice drains as well
//   the stream is compared only     compare (an existing file that is to join)
//   not in a stream                 nothing: what the application writes waits in the file's log
//   else, the first that is due     look      whether somebody committed; reads only
//                                   outbox    what is unacknowledged from before this incarnation, behind a drain; twice
//                                             in a row only where nothing below is due
//                                   apply     messages of other nodes; our own echoes ride along, or wait (schedule.hpp)
//                                   drain     what the application wrote, while the publisher has room
//                                   resume    stopped tables are tried again
//                                   scrub     rows are compared with their versions
//
// All that writes leaves the file alone until `not_before`: so much time after each write belongs to the application.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/replica/types.hpp"

namespace marmot::node {

enum class Step : uint8_t { none, baseline, merge, compare, look, outbox, apply, drain, resume, scrub };

// What is done with messages of the stream.
enum class Mode : uint8_t {
  idle,     // they are kept, not looked at
  compare,  // they go to Replica::compare
  apply,
};

struct TurnFacts {
  static constexpr int64_t kNever = INT64_MAX;

  int64_t now = 0;
  int64_t not_before = 0;      // the write lock is left alone until then

  // The file.
  bool halted = false;         // nothing is done with it any more
  bool baseline_done = true;
  bool merging = false;
  replica::Membership membership = replica::Membership::member;
  bool stopped_tables = false;
  int64_t resume_at = 0;       // not before

  // What the application wrote.
  int64_t look_at = kNever;    // whether it committed
  bool logged = false;         // it did: the log holds something
  bool publishing = true;      // the publisher takes units
  bool units_held = false;     // units that may not leave yet: nothing that makes more of them is done meanwhile
  bool outbox_due = false;
  bool drained_for_outbox = false;  // since it became due
  bool outbox_last = false;    // the last piece of work was the outbox

  // What came from the stream.
  Mode mode = Mode::apply;
  size_t messages = 0;
  bool apply_now = false;      // not only echoes; or something waits for them
  int64_t echoes_at = kNever;  // when echoes are due, if nothing happens before

  int64_t scrub_at = kNever;   // the next slice; never: none is wanted
};

struct Turn {
  Step step = Step::none;
  int64_t again = 0;           // none: when to ask again at the latest, if nothing else changes the facts
  bool waits = false;          // something is to be drained or applied: now, or once the file may be written again
};

Turn decide_turn(const TurnFacts& facts);

}  // namespace marmot::node
