#include "common/mysql/glue/system_environment.hpp"

#include <openssl/rand.h>

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

  bool lock(const std::string& name, const Session& owner, int64_t timeout_us) override {
    std::unique_lock guard(mutex_);
    const auto free = [&] {
      const auto held = locks_.find(name);
      return held == locks_.end() || held->second.owner == &owner;
    };
    if (timeout_us < 0) {
      released_.wait(guard, free);
    } else if (!released_.wait_for(guard, std::chrono::microseconds(timeout_us), free)) {
      return false;
    }
    Lock& held = locks_[name];
    held.owner = &owner;
    held.connection_id = owner.connection_id;
    ++held.times;
    return true;
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
  struct Lock {
    const Session* owner = nullptr;
    int64_t connection_id = 0;
    int64_t times = 0;
  };
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::string, Lock> locks_;
};

}  // namespace

Environment& system_environment() {
  static auto* const environment = new SystemEnvironment;  // sessions of detached threads may end after main()
  return *environment;
}

}  // namespace marmot::mysql
