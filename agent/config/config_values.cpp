// How single values of a configuration are written: numbers with units, addresses, and words that are nearly right.
#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/config/config.hpp"

namespace marmot::agent {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

struct Unit {
  std::string_view name;
  int64_t factor;
};

// A whole number and a unit, a space between them allowed.
std::optional<int64_t> parse_with_unit(std::string_view text, const std::vector<Unit>& units) {
  const auto digits = static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  const auto number = parse_integer(text.substr(0, digits));
  if (!number) return std::nullopt;
  std::string_view unit = text.substr(digits);
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  for (const Unit& known : units) {
    if (known.name != unit) continue;
    int64_t product = 0;
    if (__builtin_mul_overflow(*number, known.factor, &product)) return std::nullopt;
    return product;
  }
  return *number == 0 && unit.empty() ? std::optional<int64_t>(0) : std::nullopt;
}

}  // namespace

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known) {
  std::string best;
  size_t least = word.size() < 4 ? 2 : 3;  // distances below this are near
  for (const std::string_view candidate : known) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= word.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i);
      for (size_t j = 1; j < row.size(); ++j) {
        const size_t substitute = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
      }
    }
    if (row.back() < least) {
      least = row.back();
      best = candidate;
    }
  }
  return best;
}

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  return parse_with_unit(text, {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}});
}

std::optional<int64_t> parse_bytes(std::string_view text) {
  return parse_with_unit(text, {{"B", 1}, {"KB", 1'000}, {"MB", 1'000'000}, {"GB", 1'000'000'000},
                                {"TB", 1'000'000'000'000}, {"KiB", int64_t{1} << 10}, {"MiB", int64_t{1} << 20},
                                {"GiB", int64_t{1} << 30}, {"TiB", int64_t{1} << 40}});
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535 || !is_digit(text[colon + 1])) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool good = !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    const bool word = is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_';
    return word || (bracketed && (c == ':' || c == '%'));
  });
  if (!good) return std::nullopt;
  return HostPort{std::string(host), static_cast<uint16_t>(*port)};
}

std::optional<HostPort> parse_host(std::string_view text) {
  if (auto whole = parse_host_port(text)) return whole;
  return parse_host_port(std::string(text) + ":" + std::to_string(kDefaultPort));
}

std::string to_string(const HostPort& address) {
  const bool bare = address.host.find(':') == std::string::npos;
  return (bare ? address.host : "[" + address.host + "]") + ":" + std::to_string(address.port);
}

}  // namespace marmot::agent
