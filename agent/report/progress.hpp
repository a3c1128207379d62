// A progress bar on stderr: only when stderr is a terminal, and at most ten times a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace marmot::agent {

// Not thread-safe.
class Progress {
 public:
  Progress();
  // Removes the bar, so that the next line starts clean.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `total` 0: unknown, only the count is shown.
  void update(std::string_view what, int64_t done, int64_t total);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

// "verify users  [########            ]  40 %  4,000 of 10,000"
std::string progress_line(std::string_view what, int64_t done, int64_t total);

}  // namespace marmot::agent
