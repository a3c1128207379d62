// A supervised child process on the loop.
//
// Not uv_spawn: the child must ask for PR_SET_PDEATHSIG between fork and exec, or it outlives an agent that is killed with
// -9, and uv_spawn has no place for that.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/loop/uv.hpp"
#include "common/base/result.hpp"

namespace marmot::agent::uv {

struct ProcessOptions {
  std::string file;               // path of the program
  std::vector<std::string> args;  // without args[0], which is `file`
  std::string output;             // file that stdout and stderr are appended to; empty: /dev/null
  std::string errors;             // file that stderr alone is appended to; empty: as `output` says
  std::vector<std::string> environment;  // NAME=value each; beside them the child has the agent's own environment
  int death_signal = 15;          // sent to the child when the loop thread ends in any way
};

// How a child ended.
struct ProcessEnd {
  int exit_code = 0;    // when signal is 0
  int signal = 0;       // that ended it
  std::string text() const;  // "exit code 1", "signal 9 (Killed)"
};

// Loop thread only. The child gets its own process group (Ctrl-C at the terminal is the agent's alone), default signal
// handling, and no descriptor of ours but stdin, stdout and stderr.
class Process {
 public:
  // `ended` comes once, on the loop, however the child ends. Errc::not_found, Errc::io: it could not be started.
  static Result<std::unique_ptr<Process>> spawn(Loop& loop, const ProcessOptions& options,
                                                std::function<void(const ProcessEnd&)> ended);
  // A child that still runs is killed (SIGKILL) and reaped; `ended` does not come.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const { return pid_; }
  bool running() const { return !reaped_; }
  void signal(int signum);
  // To the child and to what it started. Nothing once the child has ended: what it left in the background goes on.
  void signal_group(int signum);
  // For waits outside the loop: reaps it if it has ended (`ended` is then not called) and says whether it has.
  bool poll_ended(ProcessEnd& end);

 private:
  Process(Loop& loop, std::function<void(const ProcessEnd&)> ended);
  void reap();

  int pid_ = 0;
  bool reaped_ = true;  // there is no child to wait for: not started, or ended
  std::function<void(const ProcessEnd&)> ended_;
  std::unique_ptr<Signal> child_signal_;
};

}  // namespace marmot::agent::uv
