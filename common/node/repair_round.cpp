#include "common/node/repair_round.hpp"

#include <algorithm>
#include <optional>

#include "common/base/mutation.hpp"

namespace marmot::node {

namespace {

constexpr int64_t kPauseMs = 100;          // between two ranges: 20,000 registers a second
constexpr int64_t kLookAgainMs = 1500;     // what differs is looked at again after so long
constexpr int64_t kLookAgainUrgentMs = 300;
constexpr int kUnsureTimes = 20;           // an urgent round waits so many times for a range to stand still
constexpr int kMaxAttempts = 3;            // to repair a range, in rounds that follow one another; then
constexpr uint64_t kSeldom = 10;           // every so many rounds
constexpr int kMaxRested = 20;
constexpr int kMostUnequal = 20;           // wanted rounds that did not find all equal
constexpr int64_t kSchemaMs = 2000;        // the others' schema comes meanwhile
constexpr size_t kMaxSuspects = 200;       // more are found in the next round

std::string range_text(const KeyRange& range) {
  return range.table + (range.after.empty() && range.upto.empty() ? "" : ", one range of it");
}

}  // namespace

template <class F>
auto RepairRound::guarded(F callback) {
  return [this, alive = std::weak_ptr<int>(alive_), round = round_, callback = std::move(callback)](auto&&... values) {
    if (!alive.expired() && busy_ && round == round_) callback(std::forward<decltype(values)>(values)...);
  };
}

bool RepairRound::leads() const {
  const std::vector<Present> others = host_.others();
  const uint64_t self = host_.self().node;
  return !others.empty() && std::none_of(others.begin(), others.end(), [self](const Present& other) { return other.node < self; });
}

// Nobody has applied anything since all was found equal, and nobody is new.
bool RepairRound::at_rest() {
  const Present self = host_.self();
  std::map<uint64_t, std::pair<uint64_t, StreamSeq>> now{{self.node, {self.incarnation, self.applied}}};
  for (const Present& other : host_.others()) now[other.node] = {other.incarnation, other.applied};
  const bool same = now == rest_ && ++rested_ < kMaxRested;
  if (!same) {
    rest_ = std::move(now);
    rested_ = 0;
  }
  return same;
}

void RepairRound::due() {
  if (busy_) return;
  if (wanted() && !host_.others().empty() && !(equal_so_far_ && !host_.complete())) return begin_wanted();
  if (!leads() || (divergent_.empty() && at_rest())) return;
  begin(false);
}

void RepairRound::want(Why why) {
  if (mutated(Mutation::gone_not_compared)) return;
  lacks_ = lacking() || why == Why::messages_gone;
  wanted_ = kMostUnequal;
  ++wants_;
  told_.clear();
  equal_so_far_ = false;
}

// False: all that are there have told it.
bool RepairRound::ask_for_schemas() {
  bool asked = false;
  for (const Present& other : host_.others()) {
    if (told_.count(other.node) != 0) continue;
    asked = true;
    host_.act(other.node, "", {}, [this, alive = std::weak_ptr<int>(alive_), want = wants_, node = other.node](int64_t done) {
      if (!alive.expired() && want == wants_ && done > 0) told_.insert(node);
    });
  }
  return asked;
}

bool RepairRound::all_told() const {
  const std::vector<Present> others = host_.others();
  return std::all_of(others.begin(), others.end(), [this](const Present& other) { return told_.count(other.node) != 0; });
}

void RepairRound::begin_wanted() {
  if (!ask_for_schemas()) return begin(false);
  busy_ = true;
  ++round_;
  wait(kSchemaMs, &RepairRound::begin_plain);
}

void RepairRound::begin_plain() { begin(false); }

void RepairRound::begin_urgent(int64_t deadline_ms) {
  deadline_ms_ = deadline_ms;
  for (Divergent& divergent : divergent_) divergent = Divergent{divergent.range, 0, 0};
  begin(true);
}

void RepairRound::begin(bool urgent) {
  ++round_;
  busy_ = clean_ = sure_ = true;
  urgent_ = urgent;
  table_ = 0;
  after_.clear();
  suspects_.clear();
  suspect_ = 0;
  host_.tables(guarded([this](std::vector<std::string> tables) {
    tables_ = std::move(tables);
    walk();
  }));
}

void RepairRound::stop(Error why) {
  clean_ = false;
  end(std::move(why));
}

void RepairRound::end(Status how) {
  busy_ = false;
  if (!clean_ || !how) rest_.clear();
  if (wanted()) {
    equal_so_far_ = sure_ && divergent_.empty() && how && all_told();
    if (equal_so_far_ && host_.complete()) wanted_ = 0;
    else if (!equal_so_far_ && how && --wanted_ == 0) {
      host_.log(LogLevel::error, (lacks_ ? std::string("messages are gone from the stream") : std::string("rows wait for a table that nobody had told of")) + ", and after " + std::to_string(kMostUnequal) +
                                     " rounds the nodes still differ: compare them with `marmot verify`");
    }
  }
  host_.over(std::move(how));
}

void RepairRound::yield() {
  if (!busy_) divergent_.clear();
}

void RepairRound::wait(int64_t ms, void (RepairRound::*then)()) {
  host_.pause(ms, guarded([this, then] { (this->*then)(); }));
}

void RepairRound::walk() {
  if (table_ >= tables_.size()) {
    if (suspects_.empty() && divergent_.empty()) return end(ok());
    return wait(urgent_ ? kLookAgainUrgentMs : kLookAgainMs, &RepairRound::look_again);
  }
  if (urgent_) host_.walking(tables_[table_], table_, tables_.size());
  look(KeyRange{tables_[table_], after_, ""}, true, [this](KeyRange range, bool differs, bool unsure) {
    ++ranges_;
    after_ = range.upto;
    if (range.upto.empty()) ++table_;
    if (differs || unsure) {
      clean_ = false;
      if (suspects_.size() < kMaxSuspects) suspects_.push_back(Suspect{std::move(range), 1, differs});
      else sure_ = false;
    }
    if (urgent_) return walk();
    wait(kPauseMs, &RepairRound::walk);
  });
}

// Compares one range with everybody. `walking`: it ends where range_registers are reached.
void RepairRound::look(const KeyRange& range, bool walking, Looked then) {
  if (urgent_ && host_.now_ms() > deadline_ms_) return stop(make_error(Errc::timeout, "repair: not done in time"));
  // The others' range may hold more there; four times as many say that it differs.
  const int64_t limit = walking ? limits_.range_registers : 4 * limits_.range_registers;
  const CompareBy by = freshly();
  host_.digest(host_.self().node, by, range, limit, guarded([this, by, range, walking, then](Result<RangeDigest> here) {
    if (!here && here.error().code != Errc::not_found) return stop(here.error());
    if (!here) return then(range, false, false);  // gone or stopped: nothing is compared
    KeyRange exact = range;
    if (walking && here->cut) {
      exact.upto = here->reach;
      here->cut = false;
    }
    ask_others(by, exact, *here, then);
  }));
}

// Whoever waits for the end of an urgent round is told that the rows are equal, not that their hashes are.
CompareBy RepairRound::freshly() const { return CompareBy{host_.seed(), urgent_}; }

void RepairRound::ask_others(const CompareBy& by, const KeyRange& range, const RangeDigest& here, Looked then) {
  struct Asking {
    bool differs = false, unsure = false;
    size_t missing = 0;
  };
  const auto asking = std::make_shared<Asking>();
  const std::vector<Present> others = host_.others();
  if (others.empty()) return stop(make_error(Errc::unavailable, "repair: no other node is there"));
  asking->missing = others.size();
  for (const Present& other : others) {
    host_.digest(other.node, by, range, 4 * limits_.range_registers, guarded([this, range, here, asking, then](const Result<RangeDigest>& there) {
      if (!there && there.error().code != Errc::not_found) clean_ = sure_ = false;  // asked again in the next round
      if (there && !equal(here, *there)) (comparable(here, *there) ? asking->differs : asking->unsure) = true;
      if (--asking->missing == 0) then(range, asking->differs, asking->unsure);
    }));
  }
}

// What differed or could not be compared, and what is known to differ, one after the other.
void RepairRound::look_again() {
  if (suspect_ >= suspects_.size()) {
    for (size_t i = 0; i < divergent_.size(); ++i) {
      if (divergent_[i].next_round <= round_) return exchange(i);
    }
    return end(ok());
  }
  const KeyRange range = suspects_[suspect_].range;
  look(range, false, [this](KeyRange exact, bool differs, bool unsure) {
    Suspect& suspect = suspects_[suspect_];
    if (!differs && unsure && (urgent_ || wanted()) && suspect.times < kUnsureTimes) {
      ++suspect.times;
      return wait(kLookAgainUrgentMs, &RepairRound::look_again);
    }
    if (differs && !suspect.differs) {  // could not be compared before: this is the first time
      suspect.differs = true;
      return wait(urgent_ ? kLookAgainUrgentMs : kLookAgainMs, &RepairRound::look_again);
    }
    if (differs) {
      const bool known = std::any_of(divergent_.begin(), divergent_.end(), [&](const Divergent& other) {
        return other.range.table == exact.table && other.range.after == exact.after && other.range.upto == exact.upto;
      });
      if (!known) divergent_.push_back(Divergent{std::move(exact), 0, 0});
    }
    if (!differs && unsure) sure_ = false;
    ++suspect_;
    look_again();
  });
}

void RepairRound::exchange(size_t index) {
  Divergent& divergent = divergent_[index];
  ++divergent.attempts;
  divergent.next_round = round_ + (divergent.attempts >= kMaxAttempts ? kSeldom : 1);
  struct Gathering {
    std::map<uint64_t, RangeKeys> held;
    size_t missing = 0;
  };
  const auto gathering = std::make_shared<Gathering>();
  std::vector<Present> nodes = host_.others();
  nodes.push_back(host_.self());
  gathering->missing = nodes.size();
  const KeyRange range = divergent.range;
  const CompareBy by = freshly();
  for (const Present& one : nodes) {
    host_.keys(one.node, by, range, guarded([this, index, gathering, node = one.node](Result<RangeKeys> held) {
      if (held) gathering->held[node] = *std::move(held);
      if (--gathering->missing == 0) carry_out(index, gathering->held);
    }));
  }
}

void RepairRound::carry_out(size_t index, const std::map<uint64_t, RangeKeys>& held) {
  const std::string table = divergent_[index].range.table;
  // What stands behind the end of a list that was cut is another range, and its turn comes after this one.
  std::optional<std::string> reach;
  for (const auto& [node, list] : held) {
    if (list.cut && !list.keys.empty() && (!reach || list.keys.back().key < *reach)) reach = list.keys.back().key;
  }
  if (reach && *reach != divergent_[index].range.upto) {
    const std::string upto = divergent_[index].range.upto;
    divergent_[index].range.upto = *reach;
    divergent_.push_back(Divergent{KeyRange{table, *reach, upto}, 0, 0});
  }
  std::map<uint64_t, std::vector<RepairAction>> plan;
  if (held.size() > 1 && held.count(host_.self().node) != 0) plan = plan_repair(held);
  waiting_for_ = plan.size() + 1;
  for (auto& [node, actions] : plan) {
    host_.act(node, table, std::move(actions), guarded([this, index](int64_t done) { acted(index, done); }));
  }
  acted(index, 0);
}

void RepairRound::acted(size_t index, int64_t done) {
  const KeyRange& range = divergent_[index].range;
  host_.repaired(range.table, done);
  if (done > 0) {
    host_.log(LogLevel::warn, range_text(range) + ", differed between nodes: " + std::to_string(done) +
                                  (done == 1 ? " row is" : " rows are") + " published again");
  }
  if (--waiting_for_ > 0) return;
  exchanging_ = index;
  wait(urgent_ ? kLookAgainUrgentMs : kLookAgainMs, &RepairRound::look_whether_equal);
}

void RepairRound::look_whether_equal() {
  look(divergent_[exchanging_].range, false, [this](const KeyRange& range, bool differs, bool unsure) {
    Divergent& divergent = divergent_[exchanging_];
    if (unsure && !differs && urgent_ && host_.now_ms() < deadline_ms_) return wait(kLookAgainUrgentMs, &RepairRound::look_whether_equal);
    if (!differs && !unsure) {
      divergent_.erase(divergent_.begin() + static_cast<std::ptrdiff_t>(exchanging_));
    } else if (differs && divergent.attempts < kMaxAttempts) {
      return exchange(exchanging_);  // a list was cut, or a row moved meanwhile
    } else if (differs && divergent.attempts == kMaxAttempts) {
      host_.log(LogLevel::error, range_text(range) + ", still differs between nodes after " + std::to_string(kMaxAttempts) +
                                     " repairs: compare them with `marmot verify`");
    }
    look_again();
  });
}

}  // namespace marmot::node
