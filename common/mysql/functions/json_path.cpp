#include "common/mysql/functions/json_path.hpp"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <unordered_set>

#include "common/mysql/functions/ascii.hpp"

namespace marmot::mysql {

namespace {

// An ECMAScript identifier: what may stand unquoted behind the point.
bool is_identifier(std::string_view key) {
  constexpr uint32_t kLetters = U_GC_L_MASK | U_GC_NL_MASK;
  constexpr uint32_t kMore = kLetters | U_GC_MN_MASK | U_GC_MC_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  constexpr UChar32 kNonJoiner = 0x200C, kJoiner = 0x200D;
  const auto* bytes = reinterpret_cast<const uint8_t*>(key.data());
  const auto size = static_cast<int32_t>(key.size());
  if (size == 0) return false;
  for (int32_t i = 0; i < size;) {
    const bool first = i == 0;
    UChar32 c = 0;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) return false;
    if (c == '$' || c == '_') continue;
    const uint32_t category = U_MASK(u_charType(c));
    if ((category & (first ? kLetters : kMore)) == 0 && (first || (c != kNonJoiner && c != kJoiner))) return false;
  }
  return true;
}

class PathReader {
 public:
  explicit PathReader(std::string_view text) : text_(text) {}
  size_t position() const { return at_; }

  bool read(std::vector<JsonLeg>& legs) {
    skip_blanks();
    if (!take('$')) return false;
    for (skip_blanks(); !at_end(); skip_blanks()) {
      JsonLeg leg{};
      if (!read_leg(leg)) return false;
      legs.push_back(std::move(leg));
    }
    return legs.empty() || legs.back().kind != JsonLeg::Kind::ellipsis;
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  char next() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool skip_blanks() {
    const size_t before = at_;
    while (!at_end() && is_blank(text_[at_])) ++at_;
    return at_ > before;
  }

  bool read_leg(JsonLeg& leg) {
    if (take('.')) return read_member(leg);
    if (take('[')) return read_cell(leg) && (skip_blanks(), take(']'));
    leg.kind = JsonLeg::Kind::ellipsis;
    return take("**") && next() != '*';
  }

  bool read_member(JsonLeg& leg) {
    skip_blanks();
    if (take('*')) {
      leg.kind = JsonLeg::Kind::any_member;
      return true;
    }
    leg.kind = JsonLeg::Kind::member;
    const bool quoted = next() == '"';
    const size_t start = at_;
    if (quoted) {
      for (++at_; !at_end() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      }
      if (!take('"')) return false;
    } else {
      while (!at_end() && !is_blank(text_[at_]) && std::string_view(".[*").find(text_[at_]) == std::string_view::npos) ++at_;
    }
    return read_key(text_.substr(start, at_ - start), quoted, leg.key) && (quoted || is_identifier(leg.key));
  }

  // Both forms may have JSON's escapes.
  static bool read_key(std::string_view text, bool quoted, std::string& key) {
    if (!quoted && text.find('\\') == std::string_view::npos) {
      key.assign(text);
      return true;
    }
    JsonFault fault;
    std::optional<Json> parsed = parse_json(quoted ? std::string(text) : "\"" + std::string(text) + "\"", &fault);
    if (!parsed || !parsed->is_string()) return false;
    key = parsed->string();
    return true;
  }

  bool read_cell(JsonLeg& leg) {
    skip_blanks();
    if (take('*')) {
      leg.kind = JsonLeg::Kind::any_cell;
      return true;
    }
    leg.kind = JsonLeg::Kind::cell;
    if (!read_index(leg.first)) return false;
    const bool parted = skip_blanks();
    if (next() == ']') return true;
    leg.kind = JsonLeg::Kind::range;
    if (!parted || !take("to") || !skip_blanks() || !read_index(leg.last)) return false;
    // A range that is empty for every array is an error.
    if (leg.first.from_end != leg.last.from_end) return true;
    return leg.first.from_end ? leg.first.number >= leg.last.number : leg.first.number <= leg.last.number;
  }

  bool read_index(JsonIndex& index) {
    index.from_end = take("last");
    if (!index.from_end) return read_number(index.number);
    const size_t after = at_;
    skip_blanks();
    if (take('-')) return skip_blanks(), read_number(index.number);
    at_ = after;
    return true;
  }

  bool read_number(uint32_t& number) {
    uint64_t value = 0;
    const size_t start = at_;
    for (; is_digit(next()); ++at_) {
      value = value * 10 + static_cast<uint64_t>(text_[at_] - '0');
      if (value > UINT32_MAX) return false;
    }
    number = static_cast<uint32_t>(value);
    return at_ > start;
  }

  std::string_view text_;
  size_t at_ = 0;
};

// --- finding -----------------------------------------------------------------------------------------------------------

using Found = std::vector<const Json*>;

// Values in the order they come, each once if asked to.
class Collector {
 public:
  explicit Collector(bool once) : once_(once) {}
  bool add(const Json& value) {
    if (once_ && !seen_.insert(&value).second) return false;
    found_.push_back(&value);
    return true;
  }
  Found take() { return std::move(found_); }

 private:
  bool once_;
  std::unordered_set<const Json*> seen_;
  Found found_;
};

void add_all_below(const Json& value, Collector& out) {
  if (!out.add(value)) return;  // so is everything below it
  if (value.is_array()) {
    for (const Json& element : value.array()) add_all_below(element, out);
  } else if (value.is_object()) {
    for (const JsonMember& member : value.object()) add_all_below(member.value, out);
  }
}

void add_cells(const Json& value, const JsonIndex& first, const JsonIndex& last, Collector& out) {
  const size_t size = value.is_array() ? value.array().size() : 1;
  if (last.from_end && !last.within(size)) return;
  const size_t end = std::min(size, last.position(size) + 1);
  for (size_t i = first.position(size); i < end; ++i) out.add(value.is_array() ? value.array()[i] : value);
}

void follow(const JsonLeg& leg, const Json& value, Collector& out) {
  switch (leg.kind) {
    case JsonLeg::Kind::member:
      if (const Json* there = value.is_object() ? value.object().find(leg.key) : nullptr) out.add(*there);
      return;
    case JsonLeg::Kind::any_member:
      if (!value.is_object()) return;
      for (const JsonMember& member : value.object()) out.add(member.value);
      return;
    case JsonLeg::Kind::cell:
      if (leg.first.within(value.is_array() ? value.array().size() : 1)) add_cells(value, leg.first, leg.first, out);
      return;
    case JsonLeg::Kind::any_cell:
      if (!value.is_array()) return;
      for (const Json& element : value.array()) out.add(element);
      return;
    case JsonLeg::Kind::range: return add_cells(value, leg.first, leg.last, out);
    case JsonLeg::Kind::ellipsis: return add_all_below(value, out);
  }
}

}  // namespace

std::optional<JsonPath> JsonPath::parse(std::string_view text, size_t* fault) {
  JsonPath path;
  PathReader reader(text);
  if (!reader.read(path.legs_)) {
    *fault = reader.position();
    return std::nullopt;
  }
  path.many_ = std::any_of(path.legs_.begin(), path.legs_.end(), [](const JsonLeg& leg) {
    return leg.kind != JsonLeg::Kind::member && leg.kind != JsonLeg::Kind::cell;
  });
  return path;
}

std::vector<const Json*> JsonPath::find(const Json& document) const {
  Found found = {&document};
  bool once = false;  // only behind ** can a value be come to twice: ** gives an array and its elements, [0] the first of both
  for (const JsonLeg& leg : legs_) {
    once |= leg.kind == JsonLeg::Kind::ellipsis;
    Collector next(once);
    for (const Json* value : found) follow(leg, *value, next);
    found = next.take();
    if (found.empty()) break;
  }
  return found;
}

Json* JsonPath::descend(Json& document, const JsonLeg* legs, size_t count, int* depth) {
  Json* value = &document;
  *depth = 0;
  for (size_t i = 0; i < count; ++i) {
    if (legs[i].kind == JsonLeg::Kind::member) {
      value = value->is_object() ? value->object().find(legs[i].key) : nullptr;
      if (value == nullptr) return nullptr;
    } else {
      const size_t size = value->is_array() ? value->array().size() : 1;
      if (!legs[i].first.within(size)) return nullptr;
      if (!value->is_array()) continue;
      value = &value->array()[legs[i].first.position(size)];
    }
    ++*depth;
  }
  return value;
}

void append_json_member(std::string& path, std::string_view key) {
  path += '.';
  if (is_identifier(key)) path += key;
  else print_json_string(key, path);
}

void append_json_cell(std::string& path, size_t position) { path += "[" + std::to_string(position) + "]"; }

}  // namespace marmot::mysql
