#include "agent/cli/kept_row.hpp"

#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/core/key.hpp"

namespace marmot::agent {

namespace {

using KeptJson = nlohmann::ordered_json;

std::optional<std::string> from_hex(const std::string& hex) {
  std::string out;
  if (hex.size() % 2 != 0) return std::nullopt;
  for (size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (error != std::errc{} || end != hex.data() + i + 2) return std::nullopt;
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

// The reverse of core row_json.
std::optional<ValueView> value_of(const KeptJson& json, OwnedRow& row) {
  if (json.is_null()) return ValueView::of_null();
  if (json.is_number_integer()) return ValueView::of_integer(json.get<int64_t>());
  if (json.is_number_float()) return ValueView::of_real(json.get<double>());
  if (json.is_string()) return ValueView::of_text(row.keep(json.get<std::string>()));
  if (!json.is_object() || json.size() != 1 || !json.begin()->is_string()) return std::nullopt;
  const std::string text = json.begin()->get<std::string>();
  if (json.begin().key() == "real") {
    const double infinity = std::numeric_limits<double>::infinity();
    return ValueView::of_real(text == "-inf" ? -infinity : infinity);
  }
  auto bytes = from_hex(text);
  if (!bytes) return std::nullopt;
  if (json.begin().key() == "hex") return ValueView::of_blob(row.keep(*std::move(bytes)));
  if (json.begin().key() == "text_hex") return ValueView::of_text(row.keep(*std::move(bytes)));
  return std::nullopt;
}

}  // namespace

void OwnedRow::add(std::string_view name, const ValueView& value) {
  ValueView kept = value;
  if (value.type == ValueType::text || value.type == ValueType::blob) kept.bytes = keep(std::string(value.bytes));
  columns.push_back({keep(std::string(name)), kept});
}

RowColumn* OwnedRow::find(std::string_view name) {
  for (RowColumn& column : columns) {
    if (fold_text(column.name, Collation::nocase) == fold_text(name, Collation::nocase)) return &column;
  }
  return nullptr;
}

ValueView OwnedRow::value(std::string_view name) const {
  for (const RowColumn& column : columns) {
    if (fold_text(column.name, Collation::nocase) == fold_text(name, Collation::nocase)) return column.value;
  }
  return ValueView::of_null();
}

Result<OwnedRow> read_kept_row(const std::string& text) {
  const KeptJson json = KeptJson::parse(text, nullptr, false);
  OwnedRow row;
  bool good = json.is_object();
  for (auto member = json.begin(); good && member != json.end(); ++member) {
    const auto value = value_of(member.value(), row);
    good = value.has_value();
    if (good) row.columns.push_back({row.keep(member.key()), *value});
  }
  if (!good) return make_error(Errc::corrupt, "the kept row is no row: " + text);
  return row;
}

ValueView spoken_value(const std::string& text, OwnedRow& row) {
  if (fold_text(text, Collation::nocase) == "null") return ValueView::of_null();
  int64_t integer = 0;
  const char* const end = text.data() + text.size();
  if (const auto done = std::from_chars(text.data(), end, integer); done.ec == std::errc{} && done.ptr == end) return ValueView::of_integer(integer);
  double real = 0;
  if (const auto done = std::from_chars(text.data(), end, real); done.ec == std::errc{} && done.ptr == end && real == real) return ValueView::of_real(real);
  return ValueView::of_text(row.keep(text));
}

}  // namespace marmot::agent
