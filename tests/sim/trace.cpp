#include "tests/sim/trace.hpp"

#include <cstdio>

namespace marmot::sim {

void Trace::event(int64_t now_ms, int node, std::string_view text) {
  char head[40];
  std::snprintf(head, sizeof head, "%8lld ", static_cast<long long>(now_ms));
  std::string line = head;
  line += node == 0 ? "  -" : " n" + std::to_string(node);
  line += ' ';
  line += text;
  for (const char c : line) digest_ = (digest_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;  // FNV-1a
  ++events_;
  if (print) std::printf("%s\n", line.c_str());
  last_.push_back(std::move(line));
  if (last_.size() > kept_) last_.pop_front();
}

}  // namespace marmot::sim
