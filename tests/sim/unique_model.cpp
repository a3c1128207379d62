#include "tests/sim/unique_model.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

namespace marmot::sim {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// What two values must share to be equal in an index. nullopt: NULL, which is equal to nothing. The workload writes only
// text, small integers and NULL into unique columns.
std::optional<std::string> comparable(const Row& row, const UniqueTerm& term) {
  const auto cell = row.find(term.column);
  if (cell == row.end() || cell->second.type == ValueType::null) return std::nullopt;
  std::string text = cell->second.bytes;
  if (cell->second.type == ValueType::integer) return "i" + std::to_string(cell->second.integer);
  if (term.lower || term.collation == Collation::nocase) std::transform(text.begin(), text.end(), text.begin(), lower);
  if (term.collation == Collation::rtrim) {
    while (!text.empty() && text.back() == ' ') text.pop_back();
  }
  return "t" + text;
}

bool collide(const Row& a, const Row& b, const UniqueSpec& unique) {
  for (const Row* row : {&a, &b}) {
    if (unique.where_not_null.empty()) continue;
    const auto cell = row->find(unique.where_not_null);
    if (cell == row->end() || cell->second.type == ValueType::null) return false;
  }
  return std::all_of(unique.terms.begin(), unique.terms.end(), [&](const UniqueTerm& term) {
    const auto left = comparable(a, term), right = comparable(b, term);
    return left && right && *left == *right;
  });
}

}  // namespace

std::vector<bool> visible_rows(const std::vector<LiveRow>& rows, const std::vector<UniqueSpec>& unique) {
  std::vector<size_t> order(rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    if (rows[a].version != rows[b].version) return rows[a].version > rows[b].version;
    return rows[a].key < rows[b].key;
  });
  std::vector<bool> visible(rows.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const bool free = std::none_of(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(i), [&](size_t above) {
      return visible[above] && std::any_of(unique.begin(), unique.end(), [&](const UniqueSpec& index) {
               return collide(*rows[above].row, *rows[order[i]].row, index);
             });
    });
    visible[order[i]] = free;
  }
  return visible;
}

}  // namespace marmot::sim
