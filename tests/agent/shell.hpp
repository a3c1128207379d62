// Another process that has a database open: the stock sqlite3 shell, with pipes in both directions. Its busy timeout is 0.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace marmot::agent::test {

inline bool until(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

class Shell {
 public:
  explicit Shell(const std::string& path) {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(out[1], 2);
      ::execlp("sqlite3", "sqlite3", path.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    in_ = in[1];
    out_ = out[0];
    ::fcntl(out_, F_SETFL, O_NONBLOCK);
  }
  ~Shell() {
    ::close(in_);
    ::close(out_);
    ::waitpid(pid_, nullptr, 0);
  }
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  pid_t pid() const { return pid_; }

  void say(const std::string& sql) {
    const std::string line = sql + "\n";
    (void)!::write(in_, line.data(), line.size());
  }
  // What it has said since the last call, without the line break at the end.
  std::string pending() {
    std::string text;
    std::array<char, 4096> bytes{};
    for (ssize_t size = 0; (size = ::read(out_, bytes.data(), bytes.size())) > 0;) text.append(bytes.data(), static_cast<size_t>(size));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  // Says `sql`, and returns what it answers up to its end.
  std::string answer(const std::string& sql) {
    const std::string end = "--end " + std::to_string(++answers_);
    say(sql + "\n.print '" + end + "'");
    std::string text;
    (void)until([&] { return (text += pending()).find(end) != std::string::npos; });
    text.resize(std::min(text.size(), text.find(end)));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  int answers_ = 0;
};

}  // namespace marmot::agent::test
