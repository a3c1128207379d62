// Who follows the row changes of one database as they happen (`marmot tail`). The engine tells of changes only while somebody
// does. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/database/database_thread.hpp"

namespace marmot::agent {

struct TailFilter {
  std::string table_glob;  // as SQLite's GLOB takes it; empty: every table
  bool in = true;          // changes of other nodes, written here
  bool out = true;         // changes made here
};

class Tails {
 public:
  explicit Tails(DatabaseThread& thread);  // which outlives this

  // `on_change` for every change that the filter takes, until the function that is returned is called: at any time, also
  // once this is gone, but not from within `on_change`.
  [[nodiscard]] std::function<void()> add(TailFilter filter, std::function<void(const replica::Change&)> on_change);

  void tell(const std::vector<replica::Change>& changes) const;

 private:
  struct Tail {
    TailFilter filter;
    std::function<void(const replica::Change&)> on_change;
  };
  void end(uint64_t id);

  DatabaseThread& thread_;
  std::map<uint64_t, Tail> tails_;
  uint64_t next_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace marmot::agent
