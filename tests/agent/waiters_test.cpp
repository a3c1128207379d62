#include "agent/replication/waiters.hpp"

#include <doctest/doctest.h>

#include "agent/loop/clock.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using namespace std::chrono_literals;
using test::run_until;

TEST_CASE("waiters: a condition that holds ends its wait in the next turn, never within add()") {
  uv::Loop loop;
  Waiters waiters(loop);
  std::optional<bool> ended;
  waiters.add(monotonic_ms() + 60'000, [] { return true; }, [&](bool reached) { ended = reached; });
  CHECK_FALSE(ended);
  run_until(loop, [&] { return ended.has_value(); });
  CHECK(*ended);
}

TEST_CASE("waiters: past its deadline a wait ends with false, by itself, and the others wait on") {
  uv::Loop loop;
  Waiters waiters(loop);
  std::vector<std::string> ended;
  bool there = false;
  waiters.add(monotonic_ms() + 60'000, [&] { return there; }, [&](bool reached) { ended.emplace_back(reached ? "long: yes" : "long: no"); });
  waiters.add(monotonic_ms() + 100, [] { return false; }, [&](bool reached) { ended.emplace_back(reached ? "short: yes" : "short: no"); });
  run_until(loop, [&] { return !ended.empty(); });
  CHECK(ended == std::vector<std::string>{"short: no"});
  there = true;
  waiters.look();
  CHECK(ended == std::vector<std::string>{"short: no", "long: yes"});
}

TEST_CASE("waiters: the end of one wait may begin another, and a look from within asks nobody twice") {
  uv::Loop loop;
  Waiters waiters(loop);
  int ended = 0;
  waiters.add(monotonic_ms() + 60'000, [] { return true; }, [&](bool) {
    ++ended;
    waiters.add(monotonic_ms() + 60'000, [] { return true; }, [&](bool) { ++ended; });
    waiters.look();
    CHECK(ended == 1);
  });
  waiters.look();
  CHECK(ended == 2);
}
