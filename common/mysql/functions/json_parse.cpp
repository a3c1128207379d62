// JSON text into documents. nlohmann's SAX parser does the reading; it keeps no recursion, and stops when a handler says so.
#include <nlohmann/json.hpp>

#include "common/mysql/functions/errors.hpp"
#include "common/mysql/functions/json_document.hpp"

namespace marmot::mysql {

namespace {

using Reader = nlohmann::json;

// What both handlers share: the bounds, and the fault.
class Bounded : public nlohmann::json_sax<Reader> {
 public:
  explicit Bounded(JsonFault* fault) : fault_(fault) {}

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    const bool number = error.id == 406;  // out_of_range: the number is no double
    return fails(kErInvalidJsonText, number ? "Number too big to be stored in double." : "Invalid value.", position > 0 ? position - 1 : 0);
  }

 protected:
  bool one_more() { return ++values_ <= kJsonMostValues || fails(kErJsonValueTooBig, "The JSON value is too big.", 0); }
  bool deeper() { return (++depth_ <= kJsonMostDepth || fails(kErJsonDocumentTooDeep, "The JSON document exceeds the maximum depth.", 0)) && one_more(); }
  void shallower() { --depth_; }
  bool fails(int code, const char* message, size_t position) {
    *fault_ = {code, message, position};
    return false;
  }

 private:
  JsonFault* fault_;
  size_t values_ = 0;
  int depth_ = 0;
};

class Checker final : public Bounded {
 public:
  using Bounded::Bounded;
  bool null() override { return one_more(); }
  bool boolean(bool) override { return one_more(); }
  bool number_integer(number_integer_t) override { return one_more(); }
  bool number_unsigned(number_unsigned_t) override { return one_more(); }
  bool number_float(number_float_t, const string_t&) override { return one_more(); }
  bool string(string_t&) override { return one_more(); }
  bool binary(binary_t&) override { return false; }  // none in text
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return deeper(); }
  bool start_array(std::size_t) override { return deeper(); }
  bool end_object() override { return shallower(), true; }
  bool end_array() override { return shallower(), true; }
};

class Builder final : public Bounded {
 public:
  using Bounded::Bounded;
  Json& root() { return root_; }

  bool null() override { return add(Json()); }
  bool boolean(bool value) override { return add(Json(value)); }
  bool number_integer(number_integer_t value) override { return add(Json(static_cast<int64_t>(value))); }
  bool number_unsigned(number_unsigned_t value) override { return add(Json(static_cast<uint64_t>(value))); }
  bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
  bool string(string_t& value) override { return add(Json(std::move(value))); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& value) override {
    open_.back().members.push_back({std::move(value), Json()});
    return true;
  }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool end_object() override { return close(Json(JsonObject(std::move(open_.back().members)))); }
  bool end_array() override { return close(Json(std::move(open_.back().elements))); }

 private:
  struct Open {
    bool object;
    Json::Array elements;
    std::vector<JsonMember> members;  // the last one waits for its value
  };

  bool add(Json value) { return one_more() && put(std::move(value)); }
  bool put(Json value) {
    if (open_.empty()) root_ = std::move(value);
    else if (open_.back().object) open_.back().members.back().value = std::move(value);
    else open_.back().elements.push_back(std::move(value));
    return true;
  }
  bool open(bool object) {
    if (!deeper()) return false;
    open_.push_back({object, {}, {}});
    return true;
  }
  bool close(Json value) {
    open_.pop_back();
    shallower();
    return put(std::move(value));
  }

  Json root_;
  std::vector<Open> open_;
};

bool read(std::string_view text, Bounded& handler, JsonFault* fault) {
  if (text.empty()) {
    *fault = {kErInvalidJsonText, "The document is empty.", 0};
    return false;
  }
  // The parser would take a NUL for the end, and pass over a byte order mark.
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos || static_cast<unsigned char>(text.front()) == 0xEF) {
    *fault = {kErInvalidJsonText, "Invalid value.", nul != std::string_view::npos ? nul : 0};
    return false;
  }
  return Reader::sax_parse(text.data(), text.data() + text.size(), &handler);
}

}  // namespace

std::optional<Json> parse_json(std::string_view text, JsonFault* fault) {
  Builder builder(fault);
  if (!read(text, builder, fault)) return std::nullopt;
  return std::move(builder.root());
}

bool is_valid_json(std::string_view text, JsonFault* fault) {
  Checker checker(fault);
  return read(text, checker, fault);
}

}  // namespace marmot::mysql
