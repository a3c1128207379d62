#include "common/replica/column_id.hpp"

#include <charconv>
#include <cstring>

#include "common/base/ids.hpp"

namespace marmot::replica {

namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '=') out += "%3D";
    else if (c == '%') out += "%25";
    else out += c;
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '%' && i + 2 < text.size();
    out += escaped ? (text[i + 1] == '3' ? '=' : '%') : text[i];
    if (escaped) i += 2;
  }
  return out;
}

}  // namespace

ColumnId parse_column_id(std::string_view id) {
  ColumnId out;
  out.base = column_base(id);
  for (size_t at = out.base.size(); at < id.size();) {
    const size_t end = std::min(id.find('=', at + 1), id.size());
    out.fills.emplace(id.substr(at + 1, end - at - 1));
    at = end;
  }
  if (out.fills.empty()) out.fills.emplace();
  return out;
}

std::string spell_column_id(const ColumnId& id) {
  std::string out = id.base;
  if (id.fills.size() == 1 && id.fill().empty()) return out;
  for (const std::string& fill : id.fills) out += '=' + fill;
  return out;
}

std::string_view column_base(std::string_view id) { return id.substr(0, id.find('=')); }

bool same_column_id(std::string_view a, std::string_view b) { return column_base(a) == column_base(b); }

std::string spell_base(std::string_view folded_name, int generation) {
  return escape(folded_name) + (generation > 1 ? '#' + std::to_string(generation) : std::string());
}

std::string spell_fill(const ValueView& value) {
  switch (value.type) {
    case ValueType::null: break;
    case ValueType::integer: return std::to_string(value.integer);
    case ValueType::real: {
      static constexpr char kHex[] = "0123456789abcdef";
      uint64_t bits = 0;
      std::memcpy(&bits, &value.real, sizeof bits);
      std::string out = "r";
      for (int shift = 60; shift >= 0; shift -= 4) out += kHex[(bits >> shift) & 15];
      return out;
    }
    case ValueType::text: return 't' + escape(value.bytes);
    case ValueType::blob: return 'b' + escape(value.bytes);
  }
  return {};
}

std::string spell_given_up_null(uint64_t which) { return '!' + to_hex(which & 0xffffffff); }

ValueView fill_value(std::string_view fill, std::string& storage) {
  if (fill.empty()) return {};
  const std::string_view rest = fill.substr(1);
  if (fill[0] == 't' || fill[0] == 'b') {
    storage = unescape(rest);
    return fill[0] == 't' ? ValueView::of_text(storage) : ValueView::of_blob(storage);
  }
  if (fill[0] == 'r') {
    uint64_t bits = 0;
    const auto done = std::from_chars(rest.data(), rest.data() + rest.size(), bits, 16);
    if (done.ec != std::errc{} || done.ptr != rest.data() + rest.size()) return {};
    double real = 0;
    std::memcpy(&real, &bits, sizeof real);
    return ValueView::of_real(real);
  }
  int64_t integer = 0;
  const auto done = std::from_chars(fill.data(), fill.data() + fill.size(), integer);
  return done.ec == std::errc{} && done.ptr == fill.data() + fill.size() ? ValueView::of_integer(integer) : ValueView{};
}

std::vector<std::string> given_up(const ColumnId& then, const ColumnId& now) {
  std::vector<std::string> out;
  for (const std::string& fill : now.fills) {
    if (fill != now.fill() && then.fills.count(fill) == 0) out.push_back(fill);
  }
  if (then.fill() != now.fill()) out.push_back(then.fill());
  return out;
}

}  // namespace marmot::replica
