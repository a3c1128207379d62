// Preloaded into a program: its wall clock is ahead by as many milliseconds as stand in the file that MARMOT_TEST_CLOCK names.
#include <sys/syscall.h>
#include <sys/time.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

int64_t shift_ms() {
  const char* const path = getenv("MARMOT_TEST_CLOCK");
  const int file = path == nullptr ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  char text[32] = {};
  const ssize_t got = read(file, text, sizeof text - 1);
  close(file);
  return got > 0 ? strtoll(text, nullptr, 10) : 0;
}

int shifted(clockid_t id, timespec* out) {
  const auto failed = static_cast<int>(syscall(SYS_clock_gettime, id, out));
  if (failed != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
  const int64_t ms = shift_ms();
  out->tv_sec += ms / 1000;
  out->tv_nsec += ms % 1000 * 1'000'000;
  if (out->tv_nsec >= 1'000'000'000) ++out->tv_sec, out->tv_nsec -= 1'000'000'000;
  if (out->tv_nsec < 0) --out->tv_sec, out->tv_nsec += 1'000'000'000;
  return 0;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t id, timespec* out) noexcept { return shifted(id, out); }

int gettimeofday(timeval* __restrict out, void* __restrict) noexcept {
  timespec now{};
  if (shifted(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  if (shifted(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}
