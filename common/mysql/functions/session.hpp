// The state of one connection that MySQL's functions read: session variables, the clock, what the last statement did.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/mysql/functions/random.hpp"

namespace marmot::mysql {

class Session;
class TimeZone;  // time_zone.hpp

// What functions need of the outside. Given by whoever owns the connection; lives as long as its sessions. Called on their threads.
class Environment {
 public:
  virtual ~Environment() = default;
  virtual int64_t now_us() = 0;                                   // Unix time in microseconds
  virtual void random(void* bytes, size_t size) = 0;              // fit for keys
  virtual bool sleep_us(int64_t us) = 0;                          // false: interrupted
  virtual uint64_t short_uuid() = 0;                              // UUID_SHORT()'s: unique and growing
  // Named locks (manual 14.14), shared by all sessions of the environment, held by one session any number of times.
  enum class Lock { taken, timed_out, deadlock };
  virtual Lock lock(const std::string& name, const Session& owner, int64_t timeout_us) = 0;
  virtual int unlock(const std::string& name, const Session& owner) = 0;  // 1: released once; 0: somebody else's; -1: nobody's
  virtual int64_t unlock_all(const Session& owner) = 0;                   // how many times it had locked
  virtual int64_t lock_holder(const std::string& name) = 0;               // a connection's id; 0: nobody
};

struct Warning {
  int code = 0;
  std::string message;
};

class Session {
 public:
  explicit Session(Environment& outside) : environment(outside) {}
  ~Session() { environment.unlock_all(*this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Environment& environment;

  // Session variables (manual 7.1.8), with MySQL 8.0's defaults.
  uint64_t max_allowed_packet = 64 << 20;
  uint64_t group_concat_max_len = 1024;
  int default_week_format = 0;
  int div_precision_increment = 4;
  int regexp_time_limit = 32;           // of a match, in steps of ICU's
  int regexp_stack_limit = 8'000'000;  // of a match, in bytes
  std::string lc_time_names = "en_US";
  std::string block_encryption_mode = "aes-128-ecb";
  bool no_zero_date = true, no_zero_in_date = true;  // of sql_mode
  std::shared_ptr<const TimeZone> time_zone;         // nullptr: the system's
  std::string time_zone_name = "SYSTEM";
  int64_t timestamp_us = 0;  // SET timestamp: the time that NOW() tells; 0: the clock's

  // What the information functions tell (manual 14.15).
  std::string database = "main", user = "root@localhost", version = "8.0.40-marmot";
  int64_t connection_id = 1;
  int64_t found_rows = 0;
  // What the connection itself knows; absent: 0.
  std::function<int64_t()> inserted_rowid, changed_rows;

  // LAST_INSERT_ID(): what LAST_INSERT_ID(expr) said, until the next insert.
  int64_t last_insert_id() const {
    const int64_t inserted = inserted_rowid ? inserted_rowid() : 0;
    return said_id_ && inserted == inserted_then_ ? *said_id_ : inserted;
  }
  void set_last_insert_id(int64_t id) {
    said_id_ = id;
    inserted_then_ = inserted_rowid ? inserted_rowid() : 0;
  }
  int64_t row_count() const { return changed_rows ? changed_rows() : 0; }

  // UUID(): the time in units of 100 ns since 1970, later than any before; and 8 random bytes that stay.
  struct UuidState {
    uint64_t time = 0;
    std::array<unsigned char, 8> node{};
  };
  const UuidState& next_uuid() {
    if (uuid_.time == 0) environment.random(uuid_.node.data(), uuid_.node.size());
    uuid_.time = std::max(static_cast<uint64_t>(environment.now_us()) * 10, uuid_.time + 1);
    return uuid_;
  }

  // The last kMostWarnings (manual 7.1.8, max_error_count). SHOW WARNINGS reads them; the statement's beginning clears them.
  static constexpr size_t kMostWarnings = 1024;
  void warn(int code, std::string_view message) {
    if (warnings.size() < kMostWarnings) warnings.push_back({code, std::string(message)});
    ++warning_count;
  }
  // RAND()'s, seeded by the environment when first asked for.
  Random& random() {
    if (!random_) {
      uint32_t seeds[2] = {};
      environment.random(seeds, sizeof seeds);
      random_.emplace(seeds[0], seeds[1]);
    }
    return *random_;
  }

  std::deque<Warning> warnings;
  uint64_t warning_count = 0;

 private:
  std::optional<int64_t> said_id_;
  int64_t inserted_then_ = 0;
  UuidState uuid_;
  std::optional<Random> random_;
};

}  // namespace marmot::mysql
