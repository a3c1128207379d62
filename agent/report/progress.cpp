#include "agent/report/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {
constexpr auto kBetween = std::chrono::milliseconds{100};
constexpr int64_t kWidth = 24;
}  // namespace

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() { clear(); }

void Progress::update(std::string_view what, int64_t done, int64_t total) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < kBetween && done != total) return;
  last_ = now;
  shown_ = true;
  const std::string line = "\r\033[K" + progress_line(what, done, total);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

std::string progress_line(std::string_view what, int64_t done, int64_t total) {
  std::string line = printable(what) + "  ";
  if (total <= 0) return line + grouped(done);
  const int64_t shown = std::clamp<int64_t>(done, 0, total);
  // Not shown * width / total: row counts times a width stay far below 2^63, but nothing says so.
  const double share = static_cast<double>(shown) / static_cast<double>(total);
  const auto filled = static_cast<size_t>(share * static_cast<double>(kWidth));
  line += "[" + std::string(filled, '#') + std::string(static_cast<size_t>(kWidth) - filled, ' ') + "] ";
  const std::string percent = std::to_string(static_cast<int>(share * 100));
  return line + std::string(3 - std::min<size_t>(percent.size(), 3), ' ') + percent + " %  " + grouped(shown) + " of " +
         grouped(total);
}

}  // namespace marmot::agent
