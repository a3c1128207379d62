#include "agent/loop/pool_job.hpp"

#include <uv.h>

#include <cassert>
#include <utility>

namespace marmot::agent::uv {

struct PoolJob::State {
  uv_work_t request;
  Job job;
  std::function<void()> done;
  Cancelled cancelled{false};
  std::shared_ptr<State> self;  // until libuv's last callback
};

PoolJob::PoolJob(Loop& loop, Job job, std::function<void()> done) : state_(std::make_shared<State>()) {
  state_->job = std::move(job);
  state_->done = std::move(done);
  state_->self = state_;
  state_->request.data = state_.get();
  const int rc = uv_queue_work(
      loop.get(), &state_->request,
      [](uv_work_t* request) {
        State* const state = static_cast<State*>(request->data);
        if (!state->cancelled) state->job(state->cancelled);
      },
      [](uv_work_t* request, int) {
        const std::shared_ptr<State> state = std::move(static_cast<State*>(request->data)->self);
        // What they hold dies here, on the loop thread, not with the PoolJob.
        state->job = nullptr;
        const auto then = std::move(state->done);
        if (!state->cancelled) then();
      });
  assert(rc == 0);  // it fails only without a job
  static_cast<void>(rc);
}

PoolJob::~PoolJob() { state_->cancelled = true; }

}  // namespace marmot::agent::uv
