// What is done next with a database file (common/node/turn.hpp): a table of cases; how the facts are kept (schedule.hpp), and for how
// long a write waits for readers (patience.hpp).
#include "common/node/turn.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/node/following.hpp"
#include "common/node/patience.hpp"
#include "common/node/schedule.hpp"

using namespace marmot;
using namespace marmot::node;
using replica::Membership;

namespace {

constexpr int64_t kNow = 1'000'000'000;
constexpr int64_t kMs = 1000;
constexpr int64_t kNever = TurnFacts::kNever;

// A member with nothing to do, that looks again in 80 ms.
TurnFacts at_rest() {
  TurnFacts facts;
  facts.now = kNow;
  facts.look_at = kNow + 80 * kMs;
  return facts;
}

struct Case {
  const char* what;
  std::function<void(TurnFacts&)> change;
  Step step;
  int64_t again = 0;  // from now; looked at where the step is none
  bool waits = false;
};

void logged(TurnFacts& facts) { facts.logged = true; }
void foreign(TurnFacts& facts) {
  facts.messages = 1;
  facts.apply_now = true;
}
void echoes(TurnFacts& facts) {
  facts.messages = 3;
  facts.echoes_at = kNow + 30 * kMs;
}
void outbox(TurnFacts& facts) { facts.outbox_due = facts.drained_for_outbox = true; }
void away(TurnFacts& facts) { facts.not_before = kNow + 5 * kMs; }

const std::vector<Case> kCases = {
    {"nothing to do: until the next look", [](TurnFacts&) {}, Step::none, 80 * kMs},
    {"nothing is ever looked at: a second", [](TurnFacts& f) { f.look_at = kNever; }, Step::none, 1000 * kMs},
    {"a halted file: nothing, whatever there is", [](TurnFacts& f) { logged(f); foreign(f); f.halted = true; }, Step::none, 1000 * kMs},
    {"first versions first", [](TurnFacts& f) { logged(f); foreign(f); f.baseline_done = false; f.merging = true; }, Step::baseline},
    {"first versions, the file left alone until", [](TurnFacts& f) { away(f); f.baseline_done = false; }, Step::none, 5 * kMs},
    {"a snapshot before all else", [](TurnFacts& f) { logged(f); foreign(f); f.merging = true; f.look_at = kNow; }, Step::merge},
    {"a snapshot, the file left alone until", [](TurnFacts& f) { away(f); f.merging = true; }, Step::none, 5 * kMs},
    {"comparing: messages are only looked at", [](TurnFacts& f) { logged(f); foreign(f); f.mode = Mode::compare; }, Step::compare},
    {"comparing: none has come", [](TurnFacts& f) { logged(f); f.mode = Mode::compare; }, Step::none, 1000 * kMs},
    {"comparing failed: later", [](TurnFacts& f) { away(f); foreign(f); f.mode = Mode::compare; }, Step::none, 5 * kMs},
    {"in no stream: what is written waits in the log", [](TurnFacts& f) { logged(f); f.membership = Membership::none; f.look_at = kNow; }, Step::none, 1000 * kMs},
    {"a look comes first, and needs no lock", [](TurnFacts& f) { logged(f); foreign(f); away(f); f.look_at = kNow; }, Step::look, 0, true},
    {"a write of the application", logged, Step::drain, 0, true},
    {"a write, the file left alone until", [](TurnFacts& f) { logged(f); away(f); }, Step::none, 5 * kMs, true},
    {"a write, and a look before the lock is free: not sooner", [](TurnFacts& f) { logged(f); away(f); f.look_at = kNow + 2 * kMs; }, Step::none, 5 * kMs, true},
    {"a look before the lock is free: not sooner", [](TurnFacts& f) { away(f); f.look_at = kNow + 2 * kMs; }, Step::none, 5 * kMs},
    {"a write, and the publisher is full: it waits", [](TurnFacts& f) { logged(f); f.publishing = false; }, Step::none, 80 * kMs, true},
    {"a write, and units that may not leave: it waits", [](TurnFacts& f) { logged(f); f.units_held = true; }, Step::none, 80 * kMs, true},
    {"a message of another node", foreign, Step::apply, 0, true},
    {"a message and a write: apply drains first", [](TurnFacts& f) { logged(f); foreign(f); }, Step::apply, 0, true},
    {"a message, and units that may not leave: an apply drains", [](TurnFacts& f) { foreign(f); f.units_held = true; }, Step::none, 80 * kMs},
    {"a snapshot, and units that may not leave: a slice drains", [](TurnFacts& f) { f.merging = f.units_held = true; }, Step::none, 1000 * kMs},
    {"a message while nothing may be applied", [](TurnFacts& f) { foreign(f); f.mode = Mode::idle; }, Step::none, 80 * kMs},
    {"joining applies too", [](TurnFacts& f) { foreign(f); f.membership = Membership::joining; }, Step::apply, 0, true},
    {"echoes wait", echoes, Step::none, 30 * kMs},
    {"echoes, longer than the file is left alone", [](TurnFacts& f) { echoes(f); away(f); }, Step::none, 30 * kMs},
    {"echoes, and the file is left alone for longer", [](TurnFacts& f) { echoes(f); f.not_before = kNow + 40 * kMs; }, Step::none, 40 * kMs},
    {"echoes ride along with a drain", [](TurnFacts& f) { echoes(f); logged(f); }, Step::apply, 0, true},
    {"echoes and a write that may not be drained", [](TurnFacts& f) { echoes(f); logged(f); f.publishing = false; }, Step::none, 30 * kMs, true},
    {"echoes that are due", [](TurnFacts& f) { echoes(f); f.echoes_at = kNow; }, Step::apply, 0, true},
    {"echoes while nothing may be applied", [](TurnFacts& f) { echoes(f); f.mode = Mode::idle; }, Step::none, 80 * kMs},
    {"the outbox, but a drain before it", [](TurnFacts& f) { f.outbox_due = true; }, Step::drain, 0, true},
    {"the outbox behind its drain", outbox, Step::outbox, 0, true},
    {"the outbox, before messages", [](TurnFacts& f) { outbox(f); foreign(f); logged(f); }, Step::outbox, 0, true},
    {"the outbox again: messages first", [](TurnFacts& f) { outbox(f); foreign(f); f.outbox_last = true; }, Step::apply, 0, true},
    {"the outbox again: the log first", [](TurnFacts& f) { outbox(f); logged(f); f.outbox_last = true; }, Step::drain, 0, true},
    {"the outbox again, and nothing else", [](TurnFacts& f) { outbox(f); f.outbox_last = true; }, Step::outbox, 0, true},
    {"the outbox while the publisher is full", [](TurnFacts& f) { outbox(f); f.publishing = false; }, Step::none, 80 * kMs},
    {"the outbox while units may not leave", [](TurnFacts& f) { outbox(f); f.units_held = true; }, Step::none, 80 * kMs},
    {"stopped tables are tried again", [](TurnFacts& f) { f.stopped_tables = true; f.resume_at = kNow; }, Step::resume},
    {"stopped tables, later", [](TurnFacts& f) { f.stopped_tables = true; f.resume_at = kNow + 7 * kMs; }, Step::none, 7 * kMs},
    {"stopped tables, behind a write", [](TurnFacts& f) { logged(f); f.stopped_tables = true; }, Step::drain, 0, true},
    {"a scrub in spare time", [](TurnFacts& f) { f.scrub_at = kNow; }, Step::scrub},
    {"a scrub, later", [](TurnFacts& f) { f.scrub_at = kNow + 9 * kMs; }, Step::none, 9 * kMs},
    {"a scrub behind a write", [](TurnFacts& f) { f.scrub_at = kNow; logged(f); }, Step::drain, 0, true},
    {"a scrub behind stopped tables", [](TurnFacts& f) { f.scrub_at = kNow; f.stopped_tables = true; }, Step::resume},
    {"no scrub while nothing may be drained", [](TurnFacts& f) { f.scrub_at = kNow; f.publishing = false; }, Step::none, 80 * kMs},
};

replica::Incoming message(const std::string& msg_id, StreamSeq seq, size_t bytes = 10) {
  return {seq, static_cast<WallMs>(seq), msg_id, std::string(bytes, 'x')};
}

// A member's schedule, driven by hand.
struct Bench {
  Schedule schedule{{}, 0};
  Schedule::Standing standing{Membership::member, false, false};
  Origin self{NodeId{1}, Incarnation{2}};
  int64_t now = kNow;

  Bench() {
    schedule.baselined();
    schedule.set(Mode::apply, true);
    pass(Step::look);
    schedule.looked(now, false);
  }
  Turn next() { return schedule.next(now, standing); }
  void pass(Step step) { CHECK(next().step == step); }
  void add(const std::string& msg_id, StreamSeq seq, size_t bytes = 10) {
    std::deque<replica::Incoming> one;
    one.push_back(message(msg_id, seq, bytes));
    schedule.add(std::move(one), self, now);
  }
  void own(StreamSeq seq, size_t bytes = 10) { add(to_hex(1) + "." + to_hex(2) + "." + std::to_string(seq), seq, bytes); }
  // As the engine would: `messages` are taken from the front.
  void apply(size_t messages) {
    const bool only_echoes = schedule.echoes_only(now);
    auto& queue = schedule.inbox().queue();
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(messages));
    replica::ApplyResult result;
    result.messages = messages;
    schedule.applied(now, result, only_echoes);
    schedule.succeeded(false);
  }
};

}  // namespace

TEST_CASE("turn: what is done next, and when to look again") {
  for (const Case& one : kCases) {
    CAPTURE(one.what);
    TurnFacts facts = at_rest();
    one.change(facts);
    const Turn turn = decide_turn(facts);
    CHECK(static_cast<int>(turn.step) == static_cast<int>(one.step));
    if (one.step == Step::none) CHECK(turn.again - kNow == one.again);
    CHECK(turn.waits == one.waits);
  }
}

// Over all facts there are: it never asks to be called again at once for nothing, and never writes before it may.
TEST_CASE("turn: it neither spins nor writes too early") {
  const std::vector<int64_t> times{0, kNow, kNow + 1, kNow + 50 * kMs, kNever};
  size_t turns = 0;
  for (uint32_t bits = 0; bits < 1U << 13; ++bits) {
    const auto bit = [&](int index) { return (bits >> index & 1U) != 0; };
    TurnFacts facts = at_rest();
    facts.baseline_done = !bit(0) || bit(1);
    facts.merging = bit(2) && bit(1);
    facts.membership = bit(3) ? Membership::member : bit(1) ? Membership::joining : Membership::none;
    facts.mode = bit(4) ? Mode::apply : bit(5) ? Mode::compare : Mode::idle;
    facts.logged = bit(5);
    facts.publishing = bit(6);
    facts.units_held = bit(7);
    facts.outbox_due = bit(8);
    facts.drained_for_outbox = bit(9);
    facts.outbox_last = bit(10);
    facts.stopped_tables = bit(11);
    facts.apply_now = bit(12);
    for (const size_t messages : {0U, 2U}) {
      facts.messages = messages;
      for (const int64_t look : times) {
        for (const int64_t not_before : {kNow, kNow + 5}) {
          for (const int64_t later : times) {
            facts.look_at = look;
            facts.not_before = not_before;
            facts.echoes_at = facts.resume_at = facts.scrub_at = later;
            const Turn turn = decide_turn(facts);
            ++turns;
            if (turn.step == Step::none) REQUIRE(turn.again > kNow);
            else if (turn.step != Step::look) REQUIRE(not_before <= kNow);
            const bool sends = turn.step == Step::drain || turn.step == Step::outbox || turn.step == Step::scrub;
            if (sends) REQUIRE(facts.publishing);
            if (sends || turn.step == Step::apply || turn.step == Step::merge) REQUIRE(!facts.units_held);
          }
        }
      }
    }
  }
  CHECK(turns == (1U << 13) * 100);
}

TEST_CASE("patience: a write waits for a second at rest, and not at all where much waits") {
  CHECK(kPatienceUs == 1'000'000);
  CHECK(patience_us({}) == kPatienceUs);
  CHECK(patience_us({1'999'999, 9'999, (8U << 20) - 1, (64U << 20) - 1}) == kPatienceUs);
  CHECK(patience_us({2'000'000, 0, 0, 0}) == kLatePatienceUs);
  CHECK(patience_us({2'000'000, 10'000, 0, 0}) == 0);
  CHECK(patience_us({0, 10'000, 0, 0}) == 0);
  CHECK(patience_us({0, 0, 8U << 20, 0}) == 0);
  CHECK(patience_us({0, 0, 0, 64U << 20}) == 0);
}

TEST_CASE("schedule: after an event the file is looked at again and again for a while, then at every poll") {
  Bench bench;
  bench.schedule.wake(bench.now);
  int64_t last = bench.now;
  std::vector<int64_t> gaps;
  for (int i = 0; i < 12; ++i) {
    const Turn turn = bench.next();
    if (turn.step == Step::none) bench.now = turn.again;
    bench.pass(Step::look);
    bench.schedule.looked(bench.now, false);
    gaps.push_back(bench.now - std::exchange(last, bench.now));
  }
  CHECK(gaps == std::vector<int64_t>{0, 100, 200, 400, 800, 1500, 3000, 6000, 12'000, 25'000, 100'000, 100'000});
}

TEST_CASE("schedule: echoes wait for quiet, shortly where something waits for them or they are many, and go on once begun") {
  Bench bench;
  bench.own(7);
  CHECK(bench.schedule.echoes_only(bench.now));
  const auto due_in = [&] { return bench.schedule.inbox().empty() ? -1 : [&] {
    int64_t at = bench.now;
    for (Turn turn = bench.schedule.next(at, bench.standing); turn.step != Step::apply; turn = bench.schedule.next(at, bench.standing)) {
      if (turn.step == Step::look) bench.schedule.looked(at, false);
      else at = turn.again;
    }
    return at - bench.now;
  }(); };
  CHECK(due_in() == 2'000'000);
  bench.standing.wants_echoes = true;
  CHECK(due_in() == 100'000);
  bench.standing.wants_echoes = false;
  bench.own(8, Schedule::kMaxEchoBytes);
  CHECK(due_in() == 100'000);
  bench.now += 100'000;
  bench.apply(1);
  CHECK(due_in() == 0);  // marking
  bench.schedule.echoes_put_off(bench.now);
  CHECK(due_in() == 100'000);
  bench.schedule.hasten();
  CHECK(due_in() == 0);
  CHECK_FALSE(bench.schedule.echoes_only(bench.now));
  bench.apply(1);
  CHECK(bench.schedule.inbox().empty());
  // After a minute they are written as anything else is.
  bench.own(9);
  CHECK_FALSE(bench.schedule.echoes_only(bench.now + 60'000'000));
  // A message of another node does not wait.
  bench.add("00000000000000ff.0000000000000001.1", 10);
  CHECK(due_in() == 0);
}

TEST_CASE("schedule: the outbox wants a drain first, may be asked for again, and is done when it has nothing more") {
  Bench bench;
  CHECK_FALSE(bench.schedule.outbox_done());
  bench.schedule.request_outbox();
  bench.pass(Step::drain);
  bench.schedule.drained();
  bench.schedule.succeeded(false);
  bench.pass(Step::outbox);
  replica::DrainResult some;
  some.units.emplace_back();
  bench.schedule.sent_outbox(some);
  CHECK_FALSE(bench.schedule.outbox_done());
  bench.pass(Step::outbox);
  bench.schedule.sent_outbox({});
  CHECK(bench.schedule.outbox_done());
  bench.pass(Step::none);
  bench.schedule.outbox_again();
  CHECK_FALSE(bench.schedule.outbox_done());
  bench.pass(Step::outbox);
  // A stopped table runs again: what was written meanwhile is drained, then the outbox looks once more.
  bench.schedule.sent_outbox({});
  bench.standing.stopped_tables = true;
  bench.pass(Step::resume);
  bench.schedule.resumed(bench.now, true);
  bench.pass(Step::drain);
  bench.schedule.drained();
  bench.schedule.succeeded(false);
  bench.pass(Step::outbox);
  // What failed to be looked at is tried again later, too.
  bench.schedule.sent_outbox({});
  bench.schedule.resumed(bench.now, make_error(Errc::io, "no"));
  CHECK(bench.next().step == Step::none);
}

TEST_CASE("schedule: units that may not leave stop draining, and nothing is said to be drained before they left") {
  Bench bench;
  bench.schedule.look_now();
  CHECK_FALSE(bench.schedule.drained(bench.standing));
  bench.pass(Step::look);
  bench.schedule.looked(bench.now, true);
  bench.pass(Step::drain);
  std::vector<replica::OutUnit> units(2);
  bench.schedule.hold(std::move(units));
  bench.pass(Step::none);
  bench.schedule.drained();
  bench.schedule.succeeded(false);
  CHECK_FALSE(bench.schedule.drained(bench.standing));
  CHECK(bench.schedule.release().size() == 2);
  CHECK(bench.schedule.drained(bench.standing));
  // Where nothing can be drained, nobody waits for it.
  bench.schedule.looked(bench.now, true);
  CHECK_FALSE(bench.schedule.drained(bench.standing));
  bench.schedule.set(Mode::apply, false);
  CHECK(bench.schedule.drained(bench.standing));
}

TEST_CASE("schedule: after a write the file is left alone, longer where it was contended; a failure waits, a lock shortly") {
  Bench bench;
  bench.schedule.looked(bench.now, true);
  const auto away = [&] { return bench.next().step == Step::none ? bench.next().again - bench.now : 0; };
  bench.schedule.stay_away(bench.now, 1000, true, false);
  CHECK(away() == 0);
  bench.schedule.stay_away(bench.now, 1000, false, false);
  CHECK(away() == 5000);
  bench.schedule.stay_away(bench.now, 4000, false, false);
  CHECK(away() == 8000);
  bench.schedule.stay_away(bench.now, 4000, false, true);
  CHECK(away() == 25'000);
  CHECK(bench.schedule.failed(bench.now, Errc::busy) == 0);
  CHECK(away() == 1000);
  CHECK(bench.schedule.locked());
  CHECK(bench.schedule.failed(bench.now + 70, Errc::busy) == 70);
  std::vector<int64_t> backoffs;
  for (int i = 0; i < 9; ++i) {
    CHECK(bench.schedule.failed(bench.now, Errc::io) == 0);
    bench.schedule.looked(bench.now, true);
    backoffs.push_back(away());
  }
  CHECK(backoffs[0] == 10'000);
  CHECK(backoffs[1] == 20'000);
  bench.schedule.succeeded(true);
  CHECK_FALSE(bench.schedule.locked());
  bench.schedule.failed(bench.now, Errc::io);
  CHECK(away() == 10'000);
}

TEST_CASE("scrubbing: a pass every interval, left out while nobody commits, and at once where somebody asks") {
  constexpr int64_t kEvery = 30'000'000;
  Scrubbing scrubbing(kEvery, kNow);
  CHECK(scrubbing.at(kNow) == kNow + kEvery);
  int64_t now = scrubbing.at(kNow);
  CHECK_FALSE(scrubbing.running());
  REQUIRE(scrubbing.begin(now, 5));
  replica::ScrubResult slice;
  slice.found.resize(7);
  for (replica::Change& change : slice.found) change.table = "t";
  CHECK_FALSE(scrubbing.done(now, now + 2000, slice));
  CHECK(scrubbing.at(now) == now + 2000 + 49 * 2000);  // one part in fifty
  CHECK(scrubbing.running());
  slice.found.clear();
  slice.done = true;
  CHECK(scrubbing.done(now, now, slice));
  CHECK(scrubbing.found().rows.at("t") == 7);
  CHECK(scrubbing.found().examples.size() == 5);
  // Nobody has committed since: nineteen passes are left out, and the twentieth is not.
  for (int i = 0; i < 19; ++i) {
    now = scrubbing.at(now);
    CHECK_FALSE(scrubbing.begin(now, 5));
  }
  CHECK(scrubbing.begin(now = scrubbing.at(now), 5));
  CHECK(scrubbing.found().rows.empty());
  CHECK(scrubbing.done(now, now, slice));
  scrubbing.ask();
  CHECK(scrubbing.at(now) == now);
  CHECK(scrubbing.begin(now, 5));
  slice.done = false;
  CHECK_FALSE(scrubbing.done(now, now + 2000, slice));
  CHECK(scrubbing.at(now + 2000) == now + 2000);  // no pauses
  // Others read: put off, and in the end not asked any more.
  CHECK(scrubbing.polite());
  for (int i = 0; i < 50; ++i) scrubbing.put_off(now, true);
  CHECK_FALSE(scrubbing.polite());
  CHECK(scrubbing.at(now) == now + 20'000);
  // Never of its own accord where the interval is 0.
  Scrubbing never(0, kNow);
  CHECK(never.at(kNow) == kNever);
  never.ask();
  CHECK(never.at(kNow) == kNow);
}

TEST_CASE("following: what puts the stream in doubt, and a gap that needs a snapshot") {
  CHECK(doubt(true, 8, 8).empty());
  CHECK(doubt(true, 7, 8) == "it ends before what this file has seen");
  CHECK(doubt(false, 9, 8) == "it was made anew");
  CHECK(gap_is_lost(6, 5));
  CHECK_FALSE(gap_is_lost(5, 5));
}

TEST_CASE("following: what the stream lacks goes out once, when all that stood in it was applied by a member") {
  CatchUp catch_up;
  bool spread = true;
  catch_up.entered(5, false, false);
  CHECK_FALSE(catch_up.due(Membership::member, 4, &spread));
  CHECK_FALSE(catch_up.due(Membership::joining, 5, &spread));
  CHECK(catch_up.wanted());
  CHECK(catch_up.due(Membership::member, 5, &spread));
  CHECK_FALSE(spread);
  CHECK_FALSE(catch_up.due(Membership::member, 6, &spread));
  // Entered again: nothing is new, but where it founded the stream, lost its history or merged a snapshot.
  catch_up.entered(7, false, false);
  CHECK_FALSE(catch_up.due(Membership::member, 7, &spread));
  catch_up.entered(7, false, true);
  CHECK(catch_up.due(Membership::member, 7, &spread));
  CHECK(spread);
  catch_up.merged(false);
  CHECK(catch_up.due(Membership::member, 7, &spread));
  CHECK_FALSE(spread);
  catch_up.entered(1, true, false);
  CHECK(catch_up.due(Membership::member, 1, &spread));
}
