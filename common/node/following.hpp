// A node that follows the stream it has entered (stream_entry.hpp): what puts that stream in doubt, and when what it lacks of this file
// is taken up. Pure.
#pragma once

#include <string>

#include "common/base/ids.hpp"
#include "common/replica/types.hpp"

namespace marmot::node {

// Why the stream has to be entered again; empty: it is well. `same`: it was made when the entered one was; `last`: its end now; `seen`:
// the last message that was delivered or applied here.
std::string doubt(bool same, StreamSeq last, StreamSeq seen);

// Messages from `from` on did not come, and later ones did. True: the stream, which begins with `first`, has dropped them, and this file
// needs a snapshot. False: they were deleted one by one, and nobody can bring them.
bool gap_is_lost(StreamSeq first, StreamSeq from);

// What the stream lacks of this file goes out (Schedule::request_outbox) once everything was applied that stood in it when it was entered.
class CatchUp {
 public:
  void entered(StreamSeq end, bool founded, bool history_lost);
  void merged(bool history_lost);  // a snapshot, before the stream is entered

  StreamSeq end() const { return end_; }
  bool caught_up(replica::Membership membership, StreamSeq applied) const { return membership == replica::Membership::member && applied >= end_; }
  bool wanted() const { return wanted_; }
  // True, once: take it up now. `spread`: all nodes do, for all of them lost the stream.
  bool due(replica::Membership membership, StreamSeq applied, bool* spread);

 private:
  StreamSeq end_ = 0;
  bool wanted_ = true;
  bool spread_ = false;
};

}  // namespace marmot::node
