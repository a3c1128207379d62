// What happened, in order: a digest of everything, the last events for people, all of them for scenarios.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace marmot::sim {

class Trace {
 public:
  void event(int64_t now_ms, int node, std::string_view text);
  uint64_t digest() const { return digest_; }
  uint64_t events() const { return events_; }
  const std::deque<std::string>& last() const { return last_; }
  void keep_all() { kept_ = SIZE_MAX; }
  bool print = false;  // each event on stdout as it happens

 private:
  uint64_t digest_ = 0xcbf29ce484222325;
  uint64_t events_ = 0;
  size_t kept_ = 30;
  std::deque<std::string> last_;
};

}  // namespace marmot::sim
