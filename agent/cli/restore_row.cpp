#include "agent/cli/restore_row.hpp"

#include <charconv>
#include <deque>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/core/key.hpp"

namespace marmot::agent {

namespace {

using Json = nlohmann::ordered_json;

// A row whose bytes stay where they are.
struct OwnedRow {
  std::vector<RowColumn> columns;
  std::deque<std::string> bytes;
  std::string_view keep(std::string text) { return bytes.emplace_back(std::move(text)); }
};

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
std::optional<ValueView> value_of(const Json& json, OwnedRow& row) {
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

Result<OwnedRow> row_of(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
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

std::string named(const replica::LostRow& lost) {
  return lost.table + " " + describe_key(lost.key);
}

Status assign(OwnedRow& row, const std::vector<Assignment>& set, const replica::LostRow& lost) {
  for (const Assignment& assignment : set) {
    bool found = false;
    for (RowColumn& column : row.columns) {
      if (fold_text(column.name, Collation::nocase) != fold_text(assignment.column, Collation::nocase)) continue;
      column.value = spoken_value(assignment.value, row);
      found = true;
    }
    if (!found) return make_error(Errc::bad_input, "--set " + assignment.column + ": " + named(lost) + " has no such column");
  }
  return ok();
}

Error explain(sqlite::Database& db, const replica::LostRow& lost, const OwnedRow& row, Error error) {
  std::string message = named(lost) + " cannot be restored: " + error.message;
  const auto others = replica::rows_in_the_way(db, lost.table, row.columns);
  if (!others || others->empty()) return make_error(error.code, message);
  for (const std::string& other : *others) message += "\nin its way: " + other;
  return make_error(Errc::refused, message + "\nchange or delete that row first, or restore with another value: --set COLUMN=VALUE");
}

}  // namespace

Result<Assignment> parse_assignment(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return make_error(Errc::bad_input, "--set " + text + ": expected COLUMN=VALUE");
  return Assignment{text.substr(0, equals), text.substr(equals + 1)};
}

Status restore_row(sqlite::Database& db, const replica::LostRow& lost, const std::vector<Assignment>& set) {
  TRY_ASSIGN(OwnedRow row, row_of(lost.loser_row));
  TRY(assign(row, set, lost));
  std::string columns, parameters;
  for (const RowColumn& column : row.columns) {
    columns += (columns.empty() ? "" : ", ") + sqlite::quote_identifier(column.name);
    parameters += parameters.empty() ? "?" : ", ?";
  }
  Status done = ok();
  {
    TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
    std::string text = "INSERT OR ABORT INTO main.";
    text += sqlite::quote_identifier(lost.table) + "(" + columns + ") VALUES(" + parameters + ")";
    auto insert = db.prepare(text);
    if (!insert) return std::move(insert).error().in(named(lost) + " cannot be restored");
    int at = 1;
    for (const RowColumn& column : row.columns) insert->bind(at++, column.value);
    done = insert->run();
    if (done && !lost.shelved) {
      TRY_ASSIGN(sqlite::Statement forget, db.prepare("DELETE FROM main.__marmot_conflict WHERE id = ?1"));
      forget.bind(1, lost.id);
      TRY(forget.run());
    }
    if (done) return transaction.commit();
  }
  return explain(db, lost, row, std::move(done).error());
}

}  // namespace marmot::agent
