#include "common/mysql/glue/system_environment.hpp"

#include <openssl/rand.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <thread>

namespace marmot::mysql {

namespace {

class SystemEnvironment final : public Environment {
 public:
  int64_t now_us() override {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  void random(void* bytes, size_t size) override {
    // OpenSSL fails only where the system has no randomness at all; the caller's boundary makes an error of it.
    if (RAND_bytes(static_cast<unsigned char*>(bytes), static_cast<int>(size)) != 1) throw std::bad_alloc();
  }

  bool sleep_us(int64_t us) override {
    std::this_thread::sleep_for(std::chrono::microseconds(us));
    return true;
  }

  uint64_t short_uuid() override { return next_short_++; }

  Lock lock(const std::string& name, const Session& owner, int64_t timeout_us) override {
    std::unique_lock guard(mutex_);
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us);
    waiting_[&owner] = name;
    Lock result = Lock::taken;
    while (held_by_another(name, owner)) {
      if (waits_for_itself(owner)) result = Lock::deadlock;
      else if (released_.wait_until(guard, until) == std::cv_status::timeout && held_by_another(name, owner)) result = Lock::timed_out;
      if (result != Lock::taken) break;
    }
    waiting_.erase(&owner);
    if (result != Lock::taken) return result;
    Held& held = locks_[name];
    held.owner = &owner;
    held.connection_id = owner.connection_id;
    ++held.times;
    return result;
  }

  int unlock(const std::string& name, const Session& owner) override {
    const std::lock_guard guard(mutex_);
    const auto held = locks_.find(name);
    if (held == locks_.end()) return -1;
    if (held->second.owner != &owner) return 0;
    if (--held->second.times == 0) locks_.erase(held);
    released_.notify_all();
    return 1;
  }

  int64_t unlock_all(const Session& owner) override {
    const std::lock_guard guard(mutex_);
    int64_t times = 0;
    for (auto held = locks_.begin(); held != locks_.end();) {
      const bool ours = held->second.owner == &owner;
      times += ours ? held->second.times : 0;
      held = ours ? locks_.erase(held) : std::next(held);
    }
    released_.notify_all();
    return times;
  }

  int64_t lock_holder(const std::string& name) override {
    const std::lock_guard guard(mutex_);
    const auto held = locks_.find(name);
    return held == locks_.end() ? 0 : held->second.connection_id;
  }

 private:
  struct Held {
    const Session* owner = nullptr;
    int64_t connection_id = 0;
    int64_t times = 0;
  };

  bool held_by_another(const std::string& name, const Session& owner) const {
    const auto held = locks_.find(name);
    return held != locks_.end() && held->second.owner != &owner;
  }

  // A session waits for one lock at a time: follow who holds it, and what that one waits for.
  bool waits_for_itself(const Session& owner) const {
    const Session* at = &owner;
    for (size_t steps = 0; steps <= waiting_.size(); ++steps) {
      const auto wait = waiting_.find(at);
      if (wait == waiting_.end()) return false;
      const auto held = locks_.find(wait->second);
      if (held == locks_.end()) return false;
      at = held->second.owner;
      if (at == &owner) return true;
    }
    return false;
  }

  // As the manual makes it (14.23): a server's number, the second it started, and a counter.
  static uint64_t first_short_uuid(uint8_t server, int64_t seconds) {
    return static_cast<uint64_t>(server) << 56 | (static_cast<uint64_t>(seconds) & 0xFFFFFFFF) << 24;
  }
  uint8_t drawn() {
    uint8_t byte = 0;
    random(&byte, sizeof byte);
    return byte & 0x7F;  // below 2^63: an INTEGER
  }

  std::atomic<uint64_t> next_short_{first_short_uuid(drawn(), now_us() / 1'000'000)};
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::string, Held> locks_;
  std::map<const Session*, std::string> waiting_;
};

}  // namespace

Environment& system_environment() {
  static auto* const environment = new SystemEnvironment;  // sessions of detached threads may end after main()
  return *environment;
}

}  // namespace marmot::mysql
