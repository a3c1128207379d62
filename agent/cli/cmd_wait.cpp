#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

Result<Json> ask_wait(const WaitOptions& options) {
  // The agent keeps the time; the rest is for the answer to arrive.
  constexpr int64_t kGraceMs = 5000;
  return ask_of_database(options.target, {{"cmd", "wait"}, {"level", options.level}, {"timeout_ms", options.timeout_ms}},
                     std::chrono::milliseconds{options.timeout_ms + kGraceMs});
}

}  // namespace

int cmd_wait(const WaitOptions& options) {
  const auto answer = ask_wait(options);
  if (!answer) return fail(answer.error());
  const bool done = flag_in(*answer, "done");
  if (options.target.json) {
    print_json(*answer);
  } else if (done) {
    print(options.level == "all"     ? "every live node has every change committed here\n"
          : options.level == "ready" ? "this node is ready\n"
                                     : "every change committed here is published\n");
  } else {
    const auto pending = number_in(*answer, "pending");
    print("not in time: " + (pending ? counted(*pending, "row") : "rows") + " pending after " +
          spoken_ms(options.timeout_ms) + "\n");
  }
  return done ? kExitOk : kExitDifferent;
}

}  // namespace marmot::agent
