// A long job off the loop thread, on libuv's thread pool: copying, compressing. Not for anything that waits for others.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "agent/loop/uv.hpp"

namespace marmot::agent::uv {

class PoolJob {
 public:
  // True: nobody wants the result any more. A job looks at it between pieces of work.
  using Cancelled = std::atomic<bool>;
  using Job = std::function<void(const Cancelled& cancelled)>;

  // Runs `job` on a pool thread, then `done` on the loop. The job owns all that it touches: it may run on for a moment
  // after this object is gone, at the latest until the Loop is.
  PoolJob(Loop& loop, Job job, std::function<void()> done);
  // Asks the job to end; `done` is not called. From within `done` too.
  ~PoolJob();
  PoolJob(const PoolJob&) = delete;
  PoolJob& operator=(const PoolJob&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace marmot::agent::uv
