// Owning wrappers over libuv: loop, timer, mailbox, file event, signal. Child processes are in process.hpp, pipes in
// pipe.hpp.
//
// Everything belongs to the thread that made the Loop (the loop thread) except Mailbox::Sender. A wrapper gets its callback
// once, when it is made; the callback never runs again after the wrapper is closed or destroyed, and may destroy the
// wrapper it belongs to. A handle dies in two steps (uv_close, freed in the close callback), so every wrapper must be gone
// before its Loop is.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/result.hpp"

struct uv_loop_s;

namespace marmot::agent::uv {

using Milliseconds = std::chrono::milliseconds;

// The one converter of libuv's (negative errno) codes; `detail` keeps the code.
Error uv_error(int rc);

class Loop {
 public:
  // Ignores SIGPIPE for the whole process.
  Loop();
  // Runs what close callbacks are left. Asserts that no wrapper is still open.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until stop(), or until nothing is open.
  void run();
  // run() returns after the callbacks of this turn. Loop thread only; from elsewhere post it to a Mailbox.
  void stop();
  bool on_loop_thread() const { return std::this_thread::get_id() == thread_; }
  uv_loop_s* get() const { return loop_.get(); }

 private:
  std::unique_ptr<uv_loop_s> loop_;
  std::thread::id thread_;
};

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> fire);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // First after `timeout`, then every `repeat` (0: once). Starting a running timer starts it anew.
  void start(Milliseconds timeout, Milliseconds repeat = Milliseconds{0});
  void stop();
  bool active() const;

 private:
  struct State;
  State* state_;
};

// Work posted from any thread to the loop, in order. Holds at most `capacity` items besides those a turn of the loop is
// running: when it is full a poster waits (nats.c's
// threads may), until its deadline.
class Mailbox {
  struct State;

 public:
  using Item = std::function<void()>;

  // Copyable, for any thread; may outlive the Mailbox and the Loop (posting is then refused).
  class Sender {
   public:
    // Errc::refused: the mailbox is closed. Errc::timeout: it stayed full until the deadline. Errc::busy: it is full and
    // the caller is the loop thread, which would wait for itself. `item` was not taken then, and is destroyed here.
    Status post(Item item, Milliseconds deadline) const;

   private:
    friend class Mailbox;
    explicit Sender(std::shared_ptr<State> state) : state_(std::move(state)) {}
    std::shared_ptr<State> state_;
  };

  Mailbox(Loop& loop, size_t capacity);
  // close()
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  Sender sender() const { return Sender(state_); }
  // What is still queued is destroyed without running; waiting posters get Errc::refused.
  void close();

 private:
  std::shared_ptr<State> state_;
};

// Changes of a file or of a directory's entries (inotify). It opens nothing, so it is safe on a database's -wal and -shm.
class FsEvent {
 public:
  // `name`: the entry that changed in a watched directory (or the file's own name), empty when unknown. An error comes as
  // a non-zero `rc` (uv_error); the watch may be dead then: start() it again.
  using Changed = std::function<void(std::string_view name, int rc)>;
  FsEvent(Loop& loop, Changed changed);
  ~FsEvent();
  FsEvent(const FsEvent&) = delete;
  FsEvent& operator=(const FsEvent&) = delete;

  // Errc::not_found when there is no such path; Errc::io otherwise. Replaces a former path.
  Status start(const std::string& path);
  void stop();

 private:
  struct State;
  State* state_;
};

// A SIGTERM or SIGINT that comes after its end is ignored: the process is about to end by itself, and the default action would kill it on its way.
class Signal {
 public:
  Signal(Loop& loop, int signum, std::function<void()> caught);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

 private:
  struct State;
  State* state_;
};

}  // namespace marmot::agent::uv
