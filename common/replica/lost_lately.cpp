// What lost is told in one warning a table and second, not one a row: ten thousand rows of one unit can lose at once.
#include <numeric>

#include "common/replica/engine.hpp"
#include "common/replica/references.hpp"

namespace marmot::replica {

namespace {

constexpr WallMs kOften = 1000;
constexpr int64_t kMostCounted = 1000;  // rows of which it is told how many refer to them
constexpr int64_t kCountingUs = 50'000;

// Ends statements of a connection that take too long.
class Deadline {
 public:
  Deadline(sqlite::Database& db, const Environment& env) : db_(db), env_(env), until_(env.monotonic_us() + kCountingUs) {
    sqlite3_progress_handler(db_.get(), 10'000, [](void* self) { return static_cast<Deadline*>(self)->is_over() ? 1 : 0; }, this);
  }
  ~Deadline() { sqlite3_progress_handler(db_.get(), 0, nullptr, nullptr); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  bool is_over() const { return env_.monotonic_us() > until_; }
  sqlite::Database& db_;
  const Environment& env_;
  int64_t until_;
};

}  // namespace

void Replica::Impl::note_lost(std::string_view table, bool shelved, int64_t id, const std::function<std::string()>& text) {
  State::LostLately& lately = state.lost_lately[{std::string(table), shelved}];
  if (++lately.count > 1) return;
  lately.first = id;
  lately.text = text();
}

// It only adds to a warning: where it takes too long, or the file cannot be read now, nothing is said of it.
std::string Replica::Impl::referrers_of_lost(const std::string& table, const State::LostLately& lost) {
  const Deadline deadline(db, env);
  const auto rows = lost_rows_from(db, table, lost.first, kMostCounted);
  if (!rows) return {};
  const auto counts = count_referrers(db, *rows);
  if (!counts) return {};
  const int64_t count = std::accumulate(counts->begin(), counts->end(), int64_t{0});
  if (count == 0) return {};
  return "; " + std::to_string(count) + (count == 1 ? " row refers to " : " rows refer to ") + (lost.count == 1 ? "it" : "them");
}

// Outside of transactions.
void Replica::Impl::tell_lost() {
  const WallMs now = env.now();
  const auto is_recent = [&](WallMs at) { return now >= at && now - at < kOften; };
  for (auto told = lost_told.begin(); told != lost_told.end();) told = is_recent(told->second) ? std::next(told) : lost_told.erase(told);
  for (auto one = state.lost_lately.begin(); one != state.lost_lately.end();) {
    if (!lost_told.try_emplace(one->first, now).second) {
      ++one;
      continue;
    }
    const auto& [table, shelved] = one->first;
    const State::LostLately& lost = one->second;
    std::string text = lost.text;
    if (lost.count > 1) text += "; and " + std::to_string(lost.count - 1) + " more of " + table;
    if (!shelved) text += referrers_of_lost(table, lost) + (lost.count == 1 ? "; it is kept: marmot conflicts" : "; they are kept: marmot conflicts");
    log(LogLevel::warn, text);
    one = state.lost_lately.erase(one);
  }
}

}  // namespace marmot::replica
