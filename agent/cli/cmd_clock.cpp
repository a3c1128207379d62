#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

constexpr std::chrono::seconds kReads{60};  // every version of the file is read

int64_t clock_number(const Json& object, const char* key) { return number_in(object, key).value_or(0); }

std::string off_line(const std::string& whose, int64_t off_ms) {
  return whose + " clock is " + spoken_ms(off_ms < 0 ? -off_ms : off_ms) + (off_ms < 0 ? " BEHIND" : " AHEAD OF") + " the NATS server's\n";
}

std::string stamps_line(const Json& clock) {
  const int64_t ahead = clock_number(clock, "ahead_ms");
  if (ahead == 0) return "no change in this file is stamped ahead of now\n";
  return counted(clock_number(clock, "versions"), "change") + " in this file " + (clock_number(clock, "versions") == 1 ? "is" : "are") + " stamped ahead of now, or its clock is: the highest stamp by " +
         spoken_ms(ahead) + (flag_in(clock, "poisoned") ? ": LATER WRITES LOSE AGAINST THEM; `marmot clock reset` ends that\n" : "\n");
}

std::string clock_report(const Json& clock) {
  const int64_t off = clock_number(clock, "off_ms");
  std::string out = !flag_in(clock, "known") ? "this machine's clock was not compared with the NATS server's yet\n"
                    : off == 0               ? "this machine's clock is right\n"
                                             : off_line("this machine's", off);
  for (const Json& one : list_in(clock, "others")) out += off_line("node " + std::to_string(clock_number(one, "node")) + "'s", clock_number(one, "off_ms"));
  out += "the stream takes stamps up to " + spoken_ms(clock_number(clock, "bound_ms")) + " ahead of its time\n";
  return out + stamps_line(clock);
}

// What was said is published, and has come back.
Result<bool> came_round(const ClockOptions& options) {
  TRY_ASSIGN(const Json waited, ask_of_database(options.target, {{"cmd", "wait"}, {"level", "published"}, {"timeout_ms", 30'000}}, kReads));
  return flag_in(waited, "done");
}

}  // namespace

int cmd_clock(const ClockOptions& options) {
  const auto clock = ask_of_database(options.target, {{"cmd", "clock"}}, kReads);
  if (!clock) return fail(clock.error());
  if (options.target.json) print_json(*clock);
  else print(clock_report(*clock));
  return kExitOk;
}

int cmd_clock_reset(const ClockOptions& options) {
  auto clock = ask_of_database(options.target, {{"cmd", "clock"}, {"reset", !options.dry_run}}, kReads);
  if (!clock) return fail(clock.error());
  const bool poisoned = flag_in(*clock, "poisoned");
  bool done = true, left = false;
  if (poisoned && !options.dry_run) {
    const auto came = came_round(options);
    if (!came) return fail(came.error());
    const auto now = ask_of_database(options.target, {{"cmd", "clock"}}, kReads);
    if (!now) return fail(now.error());
    left = flag_in(*now, "poisoned");
    done = *came && !left;
  }
  if (options.target.json) {
    (*clock)["reset"] = poisoned && !options.dry_run;
    (*clock)["done"] = done;
    print_json(*clock);
  } else if (!poisoned) {
    print(stamps_line(*clock) + "nothing to reset\n");
  } else if (options.dry_run) {
    print(stamps_line(*clock));
  } else {
    print(counted(clock_number(*clock, "versions"), "change") + " that " + (clock_number(*clock, "versions") == 1 ? "was" : "were") + " stamped up to " + spoken_ms(clock_number(*clock, "ahead_ms")) +
          " ahead count as of now, in the order that they had" +
          (done ? "; nodes that are away follow when they are back\n" : left ? ", but others are still ahead: say it again\n" : " once the stream has taken that, which takes long\n"));
  }
  return done ? kExitOk : kExitDifferent;
}

int cmd_clock_bound(const ClockOptions& options) {
  const auto said = ask_of_database(options.target, {{"cmd", "clock"}, {"bound_ms", options.bound_ms}}, kReads);
  if (!said) return fail(said.error());
  const auto came = came_round(options);
  if (!came) return fail(came.error());
  if (options.target.json) print_json({{"bound_ms", options.bound_ms}, {"done", *came}});
  else print("the stream takes stamps up to " + spoken_ms(options.bound_ms) + " ahead of its time" + (*came ? "\n" : " once it has taken that, which takes long\n"));
  return *came ? kExitOk : kExitDifferent;
}

}  // namespace marmot::agent
