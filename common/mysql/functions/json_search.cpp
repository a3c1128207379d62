// Functions that search JSON documents (MySQL 8.0 manual, 14.17.3).
#include <unicode/utf8.h>

#include <algorithm>
#include <unordered_set>

#include "common/mysql/functions/json_call.hpp"
#include "common/mysql/functions/json_functions.hpp"
#include "common/mysql/functions/session.hpp"

namespace marmot::mysql {

namespace {

// What one call may compare before it gives up: containment of one array of arrays in another is quadratic.
constexpr uint64_t kMostComparisons = uint64_t{1} << 27;

using Sorted = std::vector<const Json*>;

Sorted sorted(const Json::Array& array) {
  Sorted out;
  out.reserve(array.size());
  for (const Json& element : array) out.push_back(&element);
  std::sort(out.begin(), out.end(), [](const Json* a, const Json* b) { return Json::compare(*a, *b) < 0; });
  return out;
}

bool has(const Sorted& elements, const Json& value) {
  const auto at = std::lower_bound(elements.begin(), elements.end(), &value, [](const Json* a, const Json* b) { return Json::compare(*a, *b) < 0; });
  return at != elements.end() && **at == value;
}

// Containment (manual 14.17.3, JSON_CONTAINS): scalars that are equal; arrays, each of whose elements is contained in some element of
// the target; what is no array, contained in some element of a target array; objects, member by member.
class Containment {
 public:
  bool exhausted() const { return comparisons_ > kMostComparisons; }

  bool contains(const Json& target, const Json& candidate) {
    if (++comparisons_ > kMostComparisons) return false;
    if (target.is_array()) return candidate.is_array() ? contains_all(target.array(), candidate.array()) : contains_one(target.array(), candidate);
    if (!target.is_object()) return target == candidate;
    if (!candidate.is_object()) return false;
    return std::all_of(candidate.object().begin(), candidate.object().end(), [&](const JsonMember& member) {
      const Json* there = target.object().find(member.key);
      return there != nullptr && contains(*there, member.value);
    });
  }

 private:
  bool contains_one(const Json::Array& target, const Json& candidate) {
    return std::any_of(target.begin(), target.end(), [&](const Json& element) { return contains(element, candidate); });
  }

  // A value contains itself, so that only what is nowhere equal has to be looked for inside.
  bool contains_all(const Json::Array& target, const Json::Array& candidates) {
    if (target.size() < kFew || candidates.size() < kFew) {
      return std::all_of(candidates.begin(), candidates.end(), [&](const Json& candidate) { return contains_one(target, candidate); });
    }
    const Sorted elements = sorted(target);
    std::vector<const Json*> nested;
    std::copy_if(elements.begin(), elements.end(), std::back_inserter(nested), [](const Json* element) { return !element->is_scalar(); });
    return std::all_of(candidates.begin(), candidates.end(), [&](const Json& candidate) {
      return has(elements, candidate) || std::any_of(nested.begin(), nested.end(), [&](const Json* element) { return contains(*element, candidate); });
    });
  }

  static constexpr size_t kFew = 8;
  uint64_t comparisons_ = 0;
};

bool overlap(const Json& a, const Json& b) {
  if (!a.is_array() && b.is_array()) return overlap(b, a);
  if (a.is_array()) {
    if (!b.is_array()) return std::any_of(a.array().begin(), a.array().end(), [&](const Json& element) { return element == b; });
    if (a.array().size() > b.array().size()) return overlap(b, a);
    const Sorted elements = sorted(a.array());
    return std::any_of(b.array().begin(), b.array().end(), [&](const Json& element) { return has(elements, element); });
  }
  if (!a.is_object() || !b.is_object()) return a == b;
  return std::any_of(a.object().begin(), a.object().end(), [&](const JsonMember& member) {
    const Json* there = b.object().find(member.key);
    return there != nullptr && *there == member.value;
  });
}

// --- JSON_SEARCH -------------------------------------------------------------------------------------------------------

// LIKE over code points, by bytes' equality: only the last % has to be gone back to.
class LikePattern {
 public:
  LikePattern(std::string_view text, std::string_view escape) {
    for (size_t i = 0; i < text.size();) {
      std::string_view character = first(text.substr(i));
      i += character.size();
      const bool escaped = character == escape && i < text.size();
      if (escaped) {
        character = first(text.substr(i));
        i += character.size();
      }
      const Kind kind = escaped ? Kind::one : character == "%" ? Kind::any : character == "_" ? Kind::some : Kind::one;
      if (kind != Kind::any || pieces_.empty() || pieces_.back().kind != Kind::any) pieces_.push_back({kind, std::string(character)});
    }
  }

  // `steps` is what is left of the work allowed.
  bool matches(std::string_view text, uint64_t* steps) const {
    constexpr size_t kNone = SIZE_MAX;
    size_t at = 0, piece = 0, back_piece = kNone, back_at = 0;
    while (at < text.size() || piece < pieces_.size()) {
      if (*steps == 0) return false;
      --*steps;
      if (piece < pieces_.size() && pieces_[piece].kind == Kind::any) {
        if (++piece == pieces_.size()) return true;
        back_piece = piece;
        back_at = at;
        continue;
      }
      if (piece < pieces_.size() && at < text.size()) {
        const Piece& wanted = pieces_[piece];
        const size_t size = wanted.kind == Kind::some ? first(text.substr(at)).size() : wanted.character.size();
        if (wanted.kind == Kind::some || text.compare(at, size, wanted.character) == 0) {
          at += size;
          ++piece;
          continue;
        }
      }
      if (back_piece == kNone || back_at >= text.size()) return false;
      back_at += first(text.substr(back_at)).size();
      at = back_at;
      piece = back_piece;
    }
    return true;
  }

  static std::string_view first(std::string_view text) {
    size_t size = 1;
    while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
    return text.substr(0, size);
  }

 private:
  enum class Kind : uint8_t { one, some, any };
  struct Piece {
    Kind kind;
    std::string character;
  };
  std::vector<Piece> pieces_;
};

// Collects the paths of strings below given values, each once, until one is enough or they would be too many for an answer.
class StringSearch {
 public:
  StringSearch(LikePattern pattern, bool one, uint64_t most_bytes) : pattern_(std::move(pattern)), one_(one), most_bytes_(most_bytes) {}

  void search(const Json& document, const std::vector<const Json*>& roots) {
    const std::unordered_set<const Json*> wanted(roots.begin(), roots.end());
    path_ = "$";
    walk(document, wanted, false);
  }
  bool done() const { return steps_ == 0 || bytes_ > most_bytes_ || (one_ && !paths_.empty()); }
  bool exhausted() const { return steps_ == 0; }
  uint64_t bytes() const { return bytes_; }
  const std::vector<std::string>& paths() const { return paths_; }

 private:
  void walk(const Json& value, const std::unordered_set<const Json*>& wanted, bool inside) {
    inside |= wanted.count(&value) != 0;
    if (inside && value.is_string()) look_at(value);
    const size_t size = path_.size();
    if (value.is_array()) {
      for (size_t i = 0; i < value.array().size() && !done(); ++i) {
        append_json_cell(path_, i);
        walk(value.array()[i], wanted, inside);
        path_.resize(size);
      }
    } else if (value.is_object()) {
      for (auto member = value.object().begin(); member != value.object().end() && !done(); ++member) {
        append_json_member(path_, member->key);
        walk(member->value, wanted, inside);
        path_.resize(size);
      }
    }
  }

  void look_at(const Json& value) {
    if (!pattern_.matches(value.string(), &steps_) || !seen_.insert(&value).second) return;
    bytes_ += path_.size();
    paths_.push_back(path_);
  }

  LikePattern pattern_;
  bool one_;
  uint64_t most_bytes_;
  uint64_t steps_ = kMostComparisons;
  uint64_t bytes_ = 0;
  std::string path_;
  std::vector<std::string> paths_;
  std::unordered_set<const Json*> seen_;
};

// The escape character of argument i; the default is a backslash.
std::optional<std::string_view> escape_of(Call& call, int i) {
  if (call.count() <= i || call.is_null(i) || call.text(i).empty()) return "\\";
  const std::string_view text = call.text(i);
  if (LikePattern::first(text).size() == text.size()) return text;
  call.fail(kErWrongArguments, "Incorrect arguments to ESCAPE");
  return std::nullopt;
}

void fail_exhausted(Call& call) { call.fail(kErJsonValueTooBig, "The JSON values are too big to be compared."); }

}  // namespace

// JSON_CONTAINS(target, candidate[, path]) -> 1, 0; NULL where the path names nothing
void json_contains(Call& call) {
  const auto target = kept_json(call, 0);
  if (target == nullptr) return;
  const auto candidate = kept_json(call, 1);
  if (candidate == nullptr) return;
  const Json* where = &target->document;
  if (call.count() == 3) {
    const auto path = json_path(call, 2, true);
    if (path == nullptr) return;
    const auto found = path->path.find(target->document);
    if (found.empty()) return;
    where = found.front();
  }
  Containment containment;
  const bool contained = containment.contains(*where, candidate->document);
  if (containment.exhausted()) return fail_exhausted(call);
  call.integer_is(contained ? 1 : 0);
}

// JSON_CONTAINS_PATH(json_doc, one_or_all, path[, path] ...) -> 1, 0
void json_contains_path(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  const auto one = json_one_or_all(call, 1);
  if (!one) return;
  for (int i = 2; i < call.count(); ++i) {
    const auto path = json_path(call, i, false);
    if (path == nullptr) return;
    const bool there = !path->path.find(document->document).empty();
    if (there == *one) return call.integer_is(there ? 1 : 0);
  }
  call.integer_is(*one ? 0 : 1);
}

// JSON_EXTRACT(json_doc, path[, path] ...) -> the value of one path without wildcards; else an array of what there is; NULL: nothing
void json_extract(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  std::string& out = call.buffer();
  const uint64_t limit = call.session().max_allowed_packet;
  bool array = call.count() > 2, any = false;
  for (int i = 1; i < call.count(); ++i) {
    const auto path = json_path(call, i, false);
    if (path == nullptr) return;
    array |= path->path.many();
    if (array && i == 1) out += '[';
    // Printed one by one: what ** finds lies within each other, and all of it together may be far more than the document.
    for (const Json* found : path->path.find(document->document)) {
      if (any) out += ", ";
      any = true;
      if (!json_printed(call, print_json(*found, out, limit))) return;
    }
  }
  if (!any) return;
  if (array) out += ']';
  call.json_done();
}

// JSON_KEYS(json_doc[, path]) -> array of the object's keys; NULL: it is none
void json_keys(Call& call) {
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  const Json* where = &document->document;
  if (call.count() == 2) {
    const auto path = json_path(call, 1, true);
    if (path == nullptr) return;
    const auto found = path->path.find(document->document);
    if (found.empty()) return;
    where = found.front();
  }
  if (!where->is_object()) return;
  Json::Array keys;
  for (const JsonMember& member : where->object()) keys.emplace_back(member.key);
  json_answer(call, Json(std::move(keys)));
}

// JSON_OVERLAPS(json_doc1, json_doc2) -> 1: an element or a member in common
void json_overlaps(Call& call) {
  const auto a = kept_json(call, 0);
  if (a == nullptr) return;
  const auto b = kept_json(call, 1);
  if (b == nullptr) return;
  call.integer_is(overlap(a->document, b->document) ? 1 : 0);
}

// JSON_SEARCH(json_doc, one_or_all, search_str[, escape_char[, path] ...]) -> the path of the string, or an array of paths
void json_search(Call& call) {
  for (int i = 0; i < call.count(); ++i) {
    if (i != 3 && call.is_null(i)) return;
  }
  const auto document = kept_json(call, 0);
  if (document == nullptr) return;
  const auto one = json_one_or_all(call, 1);
  if (!one) return;
  const auto escape = escape_of(call, 3);
  if (!escape) return;
  StringSearch search(LikePattern(call.text(2), *escape), *one, call.session().max_allowed_packet);
  if (call.count() <= 4) search.search(document->document, {&document->document});
  for (int i = 4; i < call.count(); ++i) {
    const auto path = json_path(call, i, false);
    if (path == nullptr) return;
    if (!search.done()) search.search(document->document, path->path.find(document->document));
  }
  if (search.exhausted()) return fail_exhausted(call);
  if (search.paths().empty() || !call.fits(search.bytes())) return;
  if (search.paths().size() == 1) return json_answer(call, Json(search.paths().front()));
  Json::Array paths;
  for (const std::string& path : search.paths()) paths.emplace_back(path);
  json_answer(call, Json(std::move(paths)));
}

// MEMBER_OF(value, json_array): value MEMBER OF(json_array) -> 1: it is an element; of what is no array: it is the value
void member_of(Call& call) {
  const std::optional<Json> value = json_value(call, 0);
  if (!value) return;
  const auto array = kept_json(call, 1);
  if (array == nullptr) return;
  const Json& there = array->document;
  const bool found = there.is_array() ? std::any_of(there.array().begin(), there.array().end(), [&](const Json& element) { return element == *value; })
                                      : there == *value;
  call.integer_is(found ? 1 : 0);
}

}  // namespace marmot::mysql
