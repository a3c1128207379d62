// A virtual JetStream stream: total order, the duplicates window, and what real ones suffer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "common/base/ids.hpp"

namespace marmot::sim {

struct Stored {
  WallMs at = 0;
  std::string msg_id;
  std::string bytes;
};

struct StreamAck {
  StreamSeq seq = 0;
  bool duplicate = false;
};

class Stream {
 public:
  static constexpr WallMs kDuplicateWindow = 120'000;

  bool exists() const { return created_ != 0; }
  uint64_t created() const { return created_; }  // another number: another stream under the same name
  void create(uint64_t stamp);
  void destroy() { *this = Stream(); }

  // nullopt: refused, the last sequence is another one than expected.
  std::optional<StreamAck> publish(WallMs now, const std::string& msg_id, const std::string& bytes, std::optional<StreamSeq> expected_last);

  StreamSeq first() const { return messages_.empty() ? last_ + 1 : messages_.begin()->first; }
  StreamSeq last() const { return last_; }
  const Stored* get(StreamSeq seq) const;

  void trim(StreamSeq first);      // retention: everything before `first` goes
  void lose(StreamSeq seq) { messages_.erase(seq); }  // one message, whose number is not given again
  void lose_tail(StreamSeq last);  // a server came back without what was behind `last`; numbers are given again

 private:
  uint64_t created_ = 0;
  StreamSeq last_ = 0;
  std::map<StreamSeq, Stored> messages_;
  std::map<std::string, std::pair<StreamSeq, WallMs>> recent_;
};

}  // namespace marmot::sim
