#include "agent/loop/uv.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>

#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using namespace std::chrono_literals;
using test::run_until;

TEST_CASE("mailbox: what four threads post runs on the loop thread, each thread's work in its order, nothing lost") {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  uv::Loop loop;
  uv::Mailbox mailbox(loop, 64);
  int seen[kThreads] = {};
  int total = 0;
  bool in_order = true;
  bool on_loop = true;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t, sender = mailbox.sender()] {
      for (int i = 0; i < kEach; ++i) {
        const Status posted = sender.post(
            [&, t, i] {
              in_order = in_order && seen[t] == i;
              on_loop = on_loop && loop.on_loop_thread();
              ++seen[t];
              ++total;
            },
            10s);
        if (!posted) ++failed;
      }
    });
  }
  CHECK(run_until(loop, [&] { return total == kThreads * kEach; }));
  for (auto& thread : threads) thread.join();
  CHECK(failed == 0);
  CHECK(in_order);
  CHECK(on_loop);
}

TEST_CASE("mailbox: a poster waits while it is full, and gives up at its deadline") {
  uv::Loop loop;
  uv::Mailbox mailbox(loop, 2);
  const auto sender = mailbox.sender();
  int ran = 0;
  std::optional<Errc> refused;
  std::chrono::steady_clock::duration waited{};
  // The loop does not run yet: the third has no room.
  std::thread([&] {
    CHECK(sender.post([&] { ++ran; }, 10s));
    CHECK(sender.post([&] { ++ran; }, 10s));
    const auto start = std::chrono::steady_clock::now();
    const Status third = sender.post([&] { ++ran; }, 30ms);
    waited = std::chrono::steady_clock::now() - start;
    if (!third) refused = third.error().code;
    CHECK(sender.post([] {}, uv::Milliseconds(0)).error().code == Errc::timeout);
  }).join();
  CHECK(refused == Errc::timeout);
  CHECK(waited >= 30ms);
  // With the loop running, the same poster gets its room.
  std::thread late([&] { CHECK(sender.post([&] { ++ran; }, 10s)); });
  CHECK(run_until(loop, [&] { return ran == 3; }));
  late.join();
}

TEST_CASE("mailbox: the loop thread never waits for itself: a full mailbox refuses it at once") {
  uv::Loop loop;
  uv::Mailbox mailbox(loop, 1);
  CHECK(mailbox.sender().post([] {}, 10s));
  const auto start = std::chrono::steady_clock::now();
  const Status second = mailbox.sender().post([] {}, 10s);
  CHECK(second.error().code == Errc::busy);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("mailbox: closing refuses waiting and later posters and destroys what was queued, without running it") {
  std::optional<uv::Mailbox::Sender> survivor;
  bool ran = false;
  auto token = std::make_shared<int>(1);
  std::thread waiting;
  std::optional<Errc> refused;
  {
    uv::Loop loop;
    uv::Mailbox mailbox(loop, 1);
    survivor = mailbox.sender();
    CHECK(survivor->post([&ran, token] { ran = true; }, uv::Milliseconds(0)));
    std::atomic<bool> started = false;
    waiting = std::thread([&] {
      started = true;
      const Status posted = survivor->post([] {}, 10s);
      if (!posted) refused = posted.error().code;
    });
    while (!started) std::this_thread::yield();
    mailbox.close();
    CHECK(token.use_count() == 1);
    waiting.join();
  }
  CHECK(refused == Errc::refused);
  CHECK_FALSE(ran);
  CHECK(survivor->post([] {}, 10s).error().code == Errc::refused);  // the loop is gone, too
}

TEST_CASE("mailbox: work that closes its mailbox is the last to run") {
  uv::Loop loop;
  auto mailbox = std::make_unique<uv::Mailbox>(loop, 8);
  const auto sender = mailbox->sender();
  int ran = 0;
  const auto close = [&] {
    ++ran;
    mailbox.reset();
  };
  CHECK(sender.post(close, uv::Milliseconds(0)));
  CHECK(sender.post([&] { ++ran; }, uv::Milliseconds(0)));
  loop.run();  // returns: nothing is open
  CHECK(ran == 1);
}

TEST_CASE("timer: fires once or again and again, and may destroy itself while it fires") {
  uv::Loop loop;
  int once = 0;
  int often = 0;
  std::unique_ptr<uv::Timer> repeating;
  uv::Timer single(loop, [&] { ++once; });
  repeating = std::make_unique<uv::Timer>(loop, [&] {
    if (++often == 3) repeating.reset();
  });
  single.start(1ms);
  repeating->start(1ms, 1ms);
  CHECK(single.active());
  loop.run();
  CHECK(once == 1);
  CHECK(often == 3);
  CHECK_FALSE(single.active());
}

TEST_CASE("timer: a stopped one does not fire") {
  uv::Loop loop;
  bool fired = false;
  uv::Timer timer(loop, [&] { fired = true; });
  timer.start(1ms);
  timer.stop();
  uv::Timer later(loop, [] {});
  later.start(10ms);
  loop.run();
  CHECK_FALSE(fired);
}

TEST_CASE("fs event: a write to the watched file is told; a missing path is not_found") {
  const test::TempDir dir;
  test::write(dir.file("a"), "1");
  uv::Loop loop;
  int changes = 0;
  uv::FsEvent event(loop, [&](std::string_view, int rc) {
    CHECK(rc == 0);
    ++changes;
  });
  CHECK(event.start(dir.file("missing")).error().code == Errc::not_found);
  REQUIRE(event.start(dir.file("a")));
  test::write(dir.file("a"), "2");
  CHECK(run_until(loop, [&] { return changes > 0; }));
}

TEST_CASE("signal: is caught on the loop, and not any more once the wrapper is gone") {
  uv::Loop loop;
  int caught = 0;
  int other = 0;
  auto signal = std::make_unique<uv::Signal>(loop, SIGUSR1, [&] { ++caught; });
  const uv::Signal stays(loop, SIGUSR1, [&] { ++other; });
  ::kill(::getpid(), SIGUSR1);
  CHECK(run_until(loop, [&] { return other == 1; }));
  CHECK(caught == 1);
  signal.reset();
  ::kill(::getpid(), SIGUSR1);
  CHECK(run_until(loop, [&] { return other == 2; }));
  CHECK(caught == 1);
}
