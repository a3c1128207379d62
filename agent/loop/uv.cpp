#include "agent/loop/uv.hpp"

#include <signal.h>
#include <uv.h>

#include <cassert>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

namespace marmot::agent::uv {

Error uv_error(int rc) {
  Errc code = Errc::io;
  switch (rc) {
    case UV_ENOENT: code = Errc::not_found; break;
    case UV_ENOSPC: code = Errc::full; break;
    case UV_EBUSY:
    case UV_EAGAIN: code = Errc::busy; break;
    case UV_ECONNREFUSED:
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_EOF: code = Errc::unavailable; break;
    case UV_ETIMEDOUT: code = Errc::timeout; break;
    default: break;
  }
  char text[128];
  return make_error(code, uv_strerror_r(rc, text, sizeof text), rc);
}

namespace {

// The second step of a handle's death.
template <class State>
void close_and_free(State* state) {
  state->closed = true;
  state->handle.data = state;
  uv_close(reinterpret_cast<uv_handle_t*>(&state->handle),
           [](uv_handle_t* handle) { delete static_cast<State*>(handle->data); });
}

}  // namespace

Loop::Loop() : loop_(std::make_unique<uv_loop_s>()), thread_(std::this_thread::get_id()) {
  // libuv writes to sockets without MSG_NOSIGNAL: a peer that went away must be an error, not the process's end.
  ::signal(SIGPIPE, SIG_IGN);
  const int rc = uv_loop_init(loop_.get());
  assert(rc == 0 && "uv_loop_init: out of file descriptors or memory");
  static_cast<void>(rc);
}

Loop::~Loop() {
  uv_walk(
      loop_.get(), [](uv_handle_t* handle, void*) { assert(uv_is_closing(handle) && "a wrapper outlives its Loop"); },
      nullptr);
  while (uv_loop_alive(loop_.get()) != 0) uv_run(loop_.get(), UV_RUN_ONCE);
  const int rc = uv_loop_close(loop_.get());
  assert(rc == 0);
  static_cast<void>(rc);
}

void Loop::run() {
  assert(on_loop_thread());
  uv_run(loop_.get(), UV_RUN_DEFAULT);
}

void Loop::stop() { uv_stop(loop_.get()); }

struct Timer::State {
  uv_timer_t handle;
  std::function<void()> fire;
  bool closed = false;
};

Timer::Timer(Loop& loop, std::function<void()> fire) : state_(new State{}) {
  state_->fire = std::move(fire);
  state_->handle.data = state_;
  uv_timer_init(loop.get(), &state_->handle);
}

Timer::~Timer() { close_and_free(state_); }

void Timer::start(Milliseconds timeout, Milliseconds repeat) {
  // libuv counts from the loop's cached time, which is old after a long callback.
  uv_update_time(state_->handle.loop);
  uv_timer_start(
      &state_->handle,
      [](uv_timer_t* handle) {
        auto* state = static_cast<State*>(handle->data);
        if (!state->closed) state->fire();
      },
      static_cast<uint64_t>(timeout.count()), static_cast<uint64_t>(repeat.count()));
}

void Timer::stop() { uv_timer_stop(&state_->handle); }

bool Timer::active() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0; }

struct Mailbox::State {
  uv_async_t handle;
  std::thread::id loop_thread;
  size_t capacity = 0;
  std::mutex mutex;
  std::condition_variable room;
  std::deque<Item> queue;
  bool closed = false;
  std::shared_ptr<State> self;  // what the uv handle owns, until its close callback

  // One turn runs what was queued when it began, so that a busy mailbox does not starve timers and sockets.
  void drain() {
    std::vector<Item> batch;
    {
      const std::lock_guard lock(mutex);
      batch.assign(std::make_move_iterator(queue.begin()), std::make_move_iterator(queue.end()));
      queue.clear();
    }
    room.notify_all();
    for (Item& item : batch) {
      {
        const std::lock_guard lock(mutex);
        if (closed) return;  // closed by the item before: the rest is destroyed
      }
      item();
      item = nullptr;
    }
  }

  // With the mutex held.
  Status push(Item& item) {
    if (closed) return make_error(Errc::refused, "the mailbox is closed");
    queue.push_back(std::move(item));
    uv_async_send(&handle);
    return ok();
  }
};

Status Mailbox::Sender::post(Item item, Milliseconds deadline) const {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (!state.closed && state.queue.size() >= state.capacity) {
    if (std::this_thread::get_id() == state.loop_thread) return make_error(Errc::busy, "the mailbox is full");
    const bool free = state.room.wait_for(
        lock, deadline, [&state] { return state.closed || state.queue.size() < state.capacity; });
    if (!free) return make_error(Errc::timeout, "the mailbox stayed full");
  }
  return state.push(item);
}

Mailbox::Mailbox(Loop& loop, size_t capacity) : state_(std::make_shared<State>()) {
  state_->capacity = capacity;
  state_->loop_thread = std::this_thread::get_id();
  state_->self = state_;
  state_->handle.data = state_.get();
  const int rc = uv_async_init(loop.get(), &state_->handle,
                               [](uv_async_t* handle) { static_cast<State*>(handle->data)->drain(); });
  assert(rc == 0);
  static_cast<void>(rc);
}

Mailbox::~Mailbox() { close(); }

void Mailbox::close() {
  std::deque<Item> dropped;  // destroyed after the lock is gone: what it captured may post
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->closed) return;
    state_->closed = true;
    dropped.swap(state_->queue);
  }
  state_->room.notify_all();
  uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle), [](uv_handle_t* handle) {
    const auto last = std::move(static_cast<State*>(handle->data)->self);
  });
}

struct FsEvent::State {
  uv_fs_event_t handle;
  Changed changed;
  bool closed = false;
};

FsEvent::FsEvent(Loop& loop, Changed changed) : state_(new State{}) {
  state_->changed = std::move(changed);
  state_->handle.data = state_;
  uv_fs_event_init(loop.get(), &state_->handle);
}

FsEvent::~FsEvent() { close_and_free(state_); }

Status FsEvent::start(const std::string& path) {
  uv_fs_event_stop(&state_->handle);
  const int rc = uv_fs_event_start(
      &state_->handle,
      [](uv_fs_event_t* handle, const char* name, int, int status) {
        auto* state = static_cast<State*>(handle->data);
        if (!state->closed) state->changed(name != nullptr ? name : "", status);
      },
      path.c_str(), 0);
  if (rc != 0) return uv_error(rc).in("watch " + path);
  return ok();
}

void FsEvent::stop() { uv_fs_event_stop(&state_->handle); }

struct Signal::State {
  uv_signal_t handle;
  std::function<void()> caught;
  bool closed = false;
};

Signal::Signal(Loop& loop, int signum, std::function<void()> caught) : state_(new State{}) {
  state_->caught = std::move(caught);
  state_->handle.data = state_;
  uv_signal_init(loop.get(), &state_->handle);
  uv_signal_start(
      &state_->handle,
      [](uv_signal_t* handle, int) {
        auto* state = static_cast<State*>(handle->data);
        if (!state->closed) state->caught();
      },
      signum);
}

Signal::~Signal() {
  const int signum = state_->handle.signum;
  close_and_free(state_);
  if (signum == SIGTERM || signum == SIGINT) (void)::signal(signum, SIG_IGN);
}

}  // namespace marmot::agent::uv
