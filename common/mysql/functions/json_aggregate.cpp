// JSON aggregates (MySQL 8.0 manual, 14.19.1), as window functions too.
#include <array>
#include <deque>
#include <map>

#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

// Rows are kept printed: a document is built and printed once, however often the answer is asked for.
std::optional<std::string> printed_value(Call& call, int i) {
  const std::optional<Json> value = json_value(call, i);
  if (!value) return std::nullopt;
  if (value->nesting() >= kJsonMostDepth) {
    fail_too_deep(call);
    return std::nullopt;
  }
  std::string out;
  if (!json_printed(call, print_json(*value, out, call.session().max_allowed_packet))) out = "null";  // too long: a warning
  return out;
}

// The bytes of the rows that are kept, at most max_allowed_packet.
class Held {
 public:
  bool add(Call& call, size_t bytes) {
    bytes_ += bytes;
    if (bytes_ <= call.session().max_allowed_packet) return true;
    call.fail(kErAllowedPacketOverflowed, "the result is larger than max_allowed_packet (" + std::to_string(call.session().max_allowed_packet) + ")");
    return false;
  }
  void remove(size_t bytes) { bytes_ -= bytes; }
  size_t bytes() const { return bytes_; }

 private:
  size_t bytes_ = 0;
};

// JSON_ARRAYAGG(col_or_expr) -> array of the rows' values; NULL: no rows
class ArrayAggregate final : public Aggregate {
 public:
  void step(Call& call) override {
    std::optional<std::string> row = printed_value(call, 0);
    if (!row || !held_.add(call, row->size() + 2)) return;
    rows_.push_back(std::move(*row));
  }
  void inverse(Call&) override {
    held_.remove(rows_.front().size() + 2);
    rows_.pop_front();
  }
  void value(Call& call) override {
    if (rows_.empty()) return;
    std::string& out = call.buffer();
    out.reserve(held_.bytes() + 2);
    out += '[';
    for (const std::string& row : rows_) {
      if (out.size() > 1) out += ", ";
      out += row;
    }
    out += ']';
    call.json_done();
  }

 private:
  std::deque<std::string> rows_;
  Held held_;
};

// JSON_OBJECTAGG(key, value) -> object; of equal keys the last row's value; NULL: no rows
class ObjectAggregate final : public Aggregate {
 public:
  void step(Call& call) override {
    std::optional<std::string> key = json_key(call, 0);
    if (!key) return;
    std::optional<std::string> row = printed_value(call, 1);
    if (!row || !held_.add(call, key->size() + kAround + row->size())) return;
    const auto member = members_.try_emplace(std::move(*key)).first;
    held_.remove(member->second.value.size());
    member->second.value = std::move(*row);
    ++member->second.rows;
    rows_.push_back(member);
  }
  // The last row of a key is what it shows until all of its rows have left.
  void inverse(Call&) override {
    const auto member = rows_.front();
    rows_.pop_front();
    held_.remove(member->first.size() + kAround);
    if (--member->second.rows > 0) return;
    held_.remove(member->second.value.size());
    members_.erase(member);
  }
  void value(Call& call) override {
    if (rows_.empty()) return;
    std::string& out = call.buffer();
    out += '{';
    for (auto member = members_.begin(); member != members_.end(); ++member) {
      if (out.size() > 1) out += ", ";
      print_json_string(member->first, out);
      out += ": ";
      out += member->second.value;
    }
    out += '}';
    call.json_done();
  }

 private:
  struct Before {
    bool operator()(const std::string& a, const std::string& b) const { return JsonObject::compare_keys(a, b) < 0; }
  };
  struct Member {
    std::string value;  // printed
    size_t rows = 0;
  };
  using Members = std::map<std::string, Member, Before>;
  static constexpr size_t kAround = 6;  // quotes, ": ", ", "

  Members members_;
  std::deque<Members::iterator> rows_;  // the oldest first
  Held held_;
};

constexpr std::array kJsonAggregateFunctions = {
    AggregateFunction{"JSON_ARRAYAGG", 1, 1, kPure, make_aggregate<ArrayAggregate>},
    AggregateFunction{"JSON_OBJECTAGG", 2, 2, kPure, make_aggregate<ObjectAggregate>},
};

}  // namespace

std::span<const AggregateFunction> json_aggregate_functions() { return kJsonAggregateFunctions; }

}  // namespace marmot::mysql
