// Any MySQL function with any arguments: no crash, no answer beyond max_allowed_packet, and a pure function answers alike twice. One input in eight
// is of EXTRACTVALUE and UPDATEXML, with documents and paths made of their own words: bytes as they come are seldom well-formed.
#include <array>
#include <map>

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace marmot;
using namespace marmot::mysql;

namespace {

// Nothing waits, and time and chance are the same in each run.
class Still final : public Environment {
 public:
  int64_t now_us() override { return 1'700'000'000'123'456; }
  void random(void* bytes, size_t size) override { std::memset(bytes, 0x5A, size); }
  bool sleep_us(int64_t) override { return true; }
  uint64_t short_uuid() override { return 7; }
  Lock lock(const std::string&, const Session&, int64_t) override { return Lock::taken; }
  int unlock(const std::string&, const Session&) override { return -1; }
  int64_t unlock_all(const Session&) override { return 0; }
  int64_t lock_holder(const std::string&) override { return 0; }
};

class Map final : public Keeper {
 public:
  std::shared_ptr<Kept> kept(int argument) override { return kept_[argument]; }
  void keep(int argument, std::shared_ptr<Kept> what) override { kept_[argument] = std::move(what); }

 private:
  std::map<int, std::shared_ptr<Kept>> kept_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint64_t number(size_t size) {
    uint64_t out = 0;
    for (const char c : take(size)) out = out << 8 | static_cast<unsigned char>(c);
    return out;
  }
  std::string_view take(size_t size) {
    const std::string_view out = bytes_.substr(0, size);
    bytes_.remove_prefix(out.size());
    return out;
  }
  ValueView value() {
    switch (number(1) % 8) {
      case 0: return ValueView::of_null();
      case 1: return ValueView::of_integer(static_cast<int64_t>(number(8)));
      case 2: return ValueView::of_integer(static_cast<int8_t>(number(1)));
      case 3: {
        const uint64_t bits = number(8);
        double real = 0;
        std::memcpy(&real, &bits, sizeof real);
        return real == real ? ValueView::of_real(real) : ValueView::of_null();  // SQLite has no NaN
      }
      case 4: return ValueView::of_blob(take(number(1)));
      default: return ValueView::of_text(take(number(1)));
    }
  }

 private:
  std::string_view bytes_;
};

constexpr uint64_t kPacket = 1 << 20;

bool same(const Answer& a, const Answer& b) {
  return a.type == b.type && a.error == b.error && a.integer == b.integer && std::memcmp(&a.real, &b.real, sizeof a.real) == 0 && a.bytes == b.bytes;
}

Answer answer_of(const Function& function, std::span<const ValueView> arguments, uint64_t json, Session& session) {
  Map keeper;
  Answer answer;
  Call call(function.name, arguments, json, session, keeper, answer);
  function.fn(call);
  const bool bytes = answer.type == ValueType::text || answer.type == ValueType::blob;
  FUZZ_CHECK(answer.error != 0 || !bytes || answer.bytes.size() <= kPacket);
  return answer;
}

void call_aggregate(const AggregateFunction& function, std::span<const ValueView> values, Session& session) {
  Map keeper;
  Answer answer;
  const auto state = function.make();
  const auto width = static_cast<size_t>(function.min);
  size_t rows = 0;
  for (size_t at = 0; at + width <= values.size() && answer.error == 0; at += width, ++rows) {
    Call call(function.name, values.subspan(at, width), 0, session, keeper, answer);
    state->step(call);
  }
  for (size_t row = 0; row <= rows / 2 && answer.error == 0; ++row) {
    Answer shown;
    Call value(function.name, {}, 0, session, keeper, shown);
    state->value(value);
    if (row == rows / 2) break;
    Call call(function.name, values.subspan(row * width, width), 0, session, keeper, answer);
    state->inverse(call);
  }
}

constexpr std::array<std::string_view, 24> kXmlWords = {
    "<a>", "</a>", "<b x='1'>", "</b>", "<a b=c/>", "<c/>", "text", "1", " ", "<!--", "-->", "<![CDATA[", "]]>", "<?p ", "?>", "<!DOCTYPE a [", "]>", "<a b ", "=", "\"", "'", "/>", ">", "\xc3\xa9"};
constexpr std::array<std::string_view, 48> kXPathWords = {
    "/", "//", ".", "..", "a", "b", "*", "@x", "@*", "[", "]", "(", ")", "1", "2.5", "'a'", "\"1\"", "=", "!=", "<", ">=", "+", "-", " div ", " mod ", " and ", " or ", "|", ",", "::",
    "child::", "self::*", "parent::", "ancestor::", "descendant-or-self::", "count(", "sum(", "last()", "position()", "concat(", "contains(", "substring(", "string-length(", "not(", "round(",
    "text()", "$@v", "number("};

template <size_t kCount>
std::string words(Reader& in, const std::array<std::string_view, kCount>& from) {
  std::string out;
  for (uint64_t left = in.number(1); left > 0; --left) out += from[in.number(1) % kCount];
  return out;
}

void call_xml(Reader& in, Session& session) {
  const std::string xpath = words(in, kXPathWords), document = words(in, kXmlWords);
  for (const Function& function : xml_functions()) {
    const ValueView all[] = {ValueView::of_text(document), ValueView::of_text(xpath), ValueView::of_text("<new/>")};
    const std::span<const ValueView> arguments(all, static_cast<size_t>(function.min));
    const Answer first = answer_of(function, arguments, 0, session);
    FUZZ_CHECK(same(first, answer_of(function, arguments, 0, session)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Still environment;
  Session session(environment);
  session.max_allowed_packet = kPacket;
  Reader in(fuzz::text(data, size));
  size_t chosen = in.number(2);
  if (chosen % 8 == 7) {
    call_xml(in, session);
    return 0;
  }
  chosen = chosen / 8 * 7 + chosen % 8;
  const uint64_t json = in.number(1);
  size_t count = in.number(1) % 12;
  std::vector<ValueView> values;
  for (size_t i = 0; i < count; ++i) values.push_back(in.value());
  size_t all = 0;
  for (const auto& chapter : chapters()) all += chapter.size();
  for (const auto& chapter : aggregate_chapters()) all += chapter.size();
  chosen %= all;
  for (const auto& chapter : chapters()) {
    if (chosen >= chapter.size()) {
      chosen -= chapter.size();
      continue;
    }
    const Function& function = chapter[chosen];
    if (static_cast<int>(count) < function.min || static_cast<int>(count) > function.max) return 0;
    bool any_null = false;
    for (const ValueView& value : values) any_null |= value.type == ValueType::null;
    if ((function.flags & kStrict) != 0 && any_null) return 0;
    const Answer first = answer_of(function, values, json, session);
    if ((function.flags & (kSession | kEffect)) == 0) FUZZ_CHECK(same(first, answer_of(function, values, json, session)));
    return 0;
  }
  for (const auto& chapter : aggregate_chapters()) {
    if (chosen < chapter.size()) {
      call_aggregate(chapter[chosen], values, session);
      return 0;
    }
    chosen -= chapter.size();
  }
  return 0;
}
