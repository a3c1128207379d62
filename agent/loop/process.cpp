#include "agent/loop/process.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace marmot::agent::uv {

namespace {

struct ChildPlan {
  const char* file;
  char* const* argv;
  char* const* envp;
  int input;
  int output;
  int errors;
  int report;  // errno of what failed goes here; closed by a successful exec
  int death_signal;
  pid_t parent;
};

// Between fork and exec in a process with threads: async-signal-safe calls only.
[[noreturn]] void become(const ChildPlan& plan) {
  // The handlers libuv installed write to a pipe shared with the parent.
  for (int signum = 1; signum < 32; ++signum) {
    if (signum != SIGKILL && signum != SIGSTOP) ::signal(signum, SIG_DFL);
  }
  ::setpgid(0, 0);
  bool good = ::prctl(PR_SET_PDEATHSIG, plan.death_signal) == 0;
  // The parent may have died before the line above.
  if (::getppid() != plan.parent) ::_exit(127);
  good = good && ::dup2(plan.input, 0) >= 0 && ::dup2(plan.output, 1) >= 0 && ::dup2(plan.errors, 2) >= 0;
  // Ours are close-on-exec; what this process itself inherited may not be. (Linux 5.11; older kernels keep those.)
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (good) ::execve(plan.file, plan.argv, plan.envp);
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(plan.report, &error, sizeof error);
  ::_exit(127);
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

int open_output(const std::string& path) {
  return ::open(path.empty() ? "/dev/null" : path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

// For execve(): `given` over the agent's own. Borrows both.
std::vector<char*> environment_with(std::vector<std::string>& given) {
  std::vector<char*> out;
  for (std::string& variable : given) out.push_back(variable.data());
  for (char** own = environ; *own != nullptr; ++own) {
    const std::string_view variable = *own;
    const std::string_view name = variable.substr(0, variable.find('=') + 1);  // with its '='
    const auto names_it = [&](const std::string& one) { return !name.empty() && one.starts_with(name); };
    if (std::none_of(given.begin(), given.end(), names_it)) out.push_back(*own);
  }
  out.push_back(nullptr);
  return out;
}

ProcessEnd end_of(int status) {
  ProcessEnd end;
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  else end.exit_code = WEXITSTATUS(status);
  return end;
}

}  // namespace

std::string ProcessEnd::text() const {
  if (signal == 0) return "exit code " + std::to_string(exit_code);
  const char* name = ::sigdescr_np(signal);
  return "signal " + std::to_string(signal) + (name != nullptr ? " (" + std::string(name) + ")" : "");
}

Result<std::unique_ptr<Process>> Process::spawn(Loop& loop, const ProcessOptions& options,
                                                std::function<void(const ProcessEnd&)> ended) {
  const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (input.get() < 0) return uv_error(-errno).in("open /dev/null");
  const Fd output(open_output(options.output));
  if (output.get() < 0) return uv_error(-errno).in("open " + options.output);
  const Fd errors(options.errors.empty() ? ::dup(output.get()) : open_output(options.errors));
  if (errors.get() < 0) return uv_error(-errno).in("open " + options.errors);
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return uv_error(-errno).in("pipe");
  const Fd report_read(pipe_fds[0]);
  Fd report_write(pipe_fds[1]);

  std::string file = options.file;
  std::vector<std::string> args = options.args;
  std::vector<char*> argv{file.data()};
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  std::vector<std::string> environment = options.environment;
  const std::vector<char*> envp = environment_with(environment);
  const ChildPlan plan{file.c_str(), argv.data(), envp.data(), input.get(), output.get(), errors.get(), report_write.get(),
                       options.death_signal, ::getpid()};

  // The watcher first: a child that ends at once would otherwise end unseen.
  std::unique_ptr<Process> process(new Process(loop, std::move(ended)));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  if (pid == 0) become(plan);
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return uv_error(-fork_errno).in("fork");

  report_write.reset();
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(report_read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == static_cast<ssize_t>(sizeof error)) {
    ::waitpid(pid, nullptr, 0);
    return uv_error(-error).in("run " + file);
  }
  process->pid_ = pid;
  process->reaped_ = false;
  return process;
}

Process::Process(Loop& loop, std::function<void(const ProcessEnd&)> ended)
    : ended_(std::move(ended)),
      child_signal_(std::make_unique<Signal>(loop, SIGCHLD, [this] { reap(); })) {}

Process::~Process() {
  if (reaped_) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

void Process::signal(int signum) {
  if (!reaped_) ::kill(pid_, signum);
}

void Process::signal_group(int signum) {
  if (reaped_) return;
  siginfo_t ended{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid != 0) return;
  ::kill(-pid_, signum);
}

bool Process::poll_ended(ProcessEnd& end) {
  if (reaped_) return true;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
  reaped_ = true;
  end = end_of(status);
  return true;
}

void Process::reap() {
  if (reaped_) return;
  ProcessEnd end;
  if (!poll_ended(end)) return;
  const auto ended = std::move(ended_);  // it may destroy this Process
  if (ended) ended(end);
}

}  // namespace marmot::agent::uv
