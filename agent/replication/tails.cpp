#include "agent/replication/tails.hpp"

#include <utility>

#include "common/sqlite/database.hpp"

namespace marmot::agent {

namespace {

bool takes(const TailFilter& filter, const replica::Change& change) {
  if (!(change.in ? filter.in : filter.out)) return false;
  return filter.table_glob.empty() || sqlite3_strglob(filter.table_glob.c_str(), change.table.c_str()) == 0;
}

}  // namespace

Tails::Tails(DatabaseThread& thread) : thread_(thread) {}

std::function<void()> Tails::add(TailFilter filter, std::function<void(const replica::Change&)> on_change) {
  thread_.set_tracing(true);
  const uint64_t id = next_++;
  tails_.emplace(id, Tail{std::move(filter), std::move(on_change)});
  return [this, id, alive = std::weak_ptr<int>(alive_)] {
    if (!alive.expired()) end(id);
  };
}

void Tails::end(uint64_t id) {
  tails_.erase(id);
  if (tails_.empty()) thread_.set_tracing(false);
}

void Tails::tell(const std::vector<replica::Change>& changes) const {
  for (const replica::Change& change : changes) {
    for (const auto& [id, tail] : tails_) {
      if (takes(tail.filter, change)) tail.on_change(change);
    }
  }
}

}  // namespace marmot::agent
