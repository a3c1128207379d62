#include <algorithm>
#include <array>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/xpath.hpp"

namespace marmot::mysql {

namespace {

enum class Sign : uint8_t {
  end, name, number, text, slash, slashes, dot, dots, at, star, bar, open, close, left, right, comma, colons, colon, dollar,
  plus, minus, equal, unequal, less, less_equal, greater, greater_equal, wrong
};

struct Symbol {
  std::string_view text;
  Sign sign;
};
// The longer ones first.
constexpr std::array kSymbols = {
    Symbol{"//", Sign::slashes}, Symbol{"..", Sign::dots}, Symbol{"::", Sign::colons}, Symbol{"!=", Sign::unequal}, Symbol{"<=", Sign::less_equal},
    Symbol{">=", Sign::greater_equal}, Symbol{"/", Sign::slash}, Symbol{".", Sign::dot}, Symbol{":", Sign::colon}, Symbol{"@", Sign::at},
    Symbol{"*", Sign::star}, Symbol{"|", Sign::bar}, Symbol{"(", Sign::open}, Symbol{")", Sign::close}, Symbol{"[", Sign::left}, Symbol{"]", Sign::right},
    Symbol{",", Sign::comma}, Symbol{"$", Sign::dollar}, Symbol{"+", Sign::plus}, Symbol{"-", Sign::minus}, Symbol{"=", Sign::equal},
    Symbol{"<", Sign::less}, Symbol{">", Sign::greater},
};

struct AxisName {
  std::string_view name;
  XPathAxis axis;
};
constexpr std::array kAxes = {
    AxisName{"child", XPathAxis::child}, AxisName{"self", XPathAxis::self}, AxisName{"parent", XPathAxis::parent}, AxisName{"ancestor", XPathAxis::ancestor},
    AxisName{"ancestor-or-self", XPathAxis::ancestor_or_self}, AxisName{"descendant", XPathAxis::descendant},
    AxisName{"descendant-or-self", XPathAxis::descendant_or_self}, AxisName{"attribute", XPathAxis::attribute},
    // What MySQL's manual does not support is taken as MySQL takes it.
    AxisName{"following", XPathAxis::child}, AxisName{"following-sibling", XPathAxis::child}, AxisName{"preceding", XPathAxis::child},
    AxisName{"preceding-sibling", XPathAxis::child}, AxisName{"namespace", XPathAxis::child},
};

constexpr std::array<std::string_view, 4> kNodeTypes = {"comment", "text", "processing-instruction", "node"};

struct FunctionName {
  std::string_view name;
  XPathFunction function;
  size_t min, max;
  bool of_nodes = false;    // takes nothing else
  bool in_predicate = false;  // without arguments it is about the node that a predicate looks at
};
constexpr std::array kXPathFunctions = {
    FunctionName{"boolean", XPathFunction::boolean, 1, 1},
    FunctionName{"ceiling", XPathFunction::ceiling, 1, 1},
    FunctionName{"concat", XPathFunction::concat, 2, 255},
    FunctionName{"contains", XPathFunction::contains, 2, 2},
    FunctionName{"count", XPathFunction::count, 1, 1, true},
    FunctionName{"false", XPathFunction::false_, 0, 0},
    FunctionName{"floor", XPathFunction::floor, 1, 1},
    FunctionName{"last", XPathFunction::last, 0, 0, false, true},
    FunctionName{"not", XPathFunction::not_, 1, 1},
    FunctionName{"number", XPathFunction::number, 0, 1, false, true},
    FunctionName{"position", XPathFunction::position, 0, 0, false, true},
    FunctionName{"round", XPathFunction::round, 1, 1},
    FunctionName{"string-length", XPathFunction::string_length, 0, 1, false, true},
    FunctionName{"substring", XPathFunction::substring, 2, 3},
    FunctionName{"sum", XPathFunction::sum, 1, 1, true},
    FunctionName{"true", XPathFunction::true_, 0, 0},
};

template <class Table>
const typename Table::value_type* find_word(const Table& table, std::string_view name) {
  for (const auto& one : table) {
    if (same_word(one.name, name)) return &one;
  }
  return nullptr;
}

bool is_node_type(std::string_view name) {
  for (const std::string_view type : kNodeTypes) {
    if (same_word(type, name)) return true;
  }
  return false;
}

// Recursive descent, a level for each precedence. A part that is nullptr: failed; the first failure's message stands.
class XPathParser {
 public:
  explicit XPathParser(std::string_view text) : text_(text) { advance(); }

  XPathPart parse() {
    XPathPart out = either();
    if (out != nullptr && sign_ != Sign::end) return syntax();
    return out;
  }
  std::string message() const { return message_; }

 private:
  static constexpr int kMostDepth = 100;
  static constexpr size_t kMostShown = 32;

  // --- words -----------------------------------------------------------------------------------------------------------

  void advance() {
    at_ = end_;
    while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] >= '\t' && text_[at_] <= '\r'))) ++at_;
    end_ = at_;
    if (at_ == text_.size()) {
      sign_ = Sign::end;
    } else if (begins_xml_name(text_[at_])) {
      while (end_ < text_.size() && in_xml_name(text_[end_])) ++end_;
      sign_ = Sign::name;
    } else if (is_digit(text_[at_])) {
      skip_digits();
      if (end_ < text_.size() && text_[end_] == '.') {
        ++end_;
        skip_digits();
      }
      sign_ = Sign::number;
    } else if (text_[at_] == '"' || text_[at_] == '\'') {
      const size_t quote = text_.find(text_[at_], at_ + 1);
      sign_ = quote == std::string_view::npos ? Sign::wrong : Sign::text;
      end_ = quote == std::string_view::npos ? text_.size() : quote + 1;
    } else {
      symbol();
    }
  }
  void skip_digits() {
    while (end_ < text_.size() && is_digit(text_[end_])) ++end_;
  }
  void symbol() {
    sign_ = Sign::wrong;
    end_ = at_ + 1;
    for (const Symbol& one : kSymbols) {
      if (text_.substr(at_, one.text.size()) != one.text) continue;
      sign_ = one.sign;
      end_ = at_ + one.text.size();
      return;
    }
  }
  std::string_view word() const { return text_.substr(at_, end_ - at_); }
  bool take(Sign sign) {
    if (sign_ != sign) return false;
    advance();
    return true;
  }
  bool take_word(std::string_view what) {
    if (sign_ != Sign::name || !same_word(word(), what)) return false;
    advance();
    return true;
  }
  char next_byte() const { return end_ < text_.size() ? text_[end_] : '\0'; }  // right behind the word

  XPathPart fail(std::string message) {
    if (message_.empty()) message_ = std::move(message);
    return nullptr;
  }
  std::string from_here(size_t at) const {
    const std::string_view rest = text_.substr(at);
    return "'" + std::string(rest.substr(0, kMostShown - 3)) + (rest.size() > kMostShown - 3 ? "..." : "") + "'";
  }
  XPathPart syntax() { return fail("XPATH syntax error: " + from_here(at_)); }
  bool wrong() {
    syntax();
    return false;
  }

  static XPathPart made(XPathKind kind, XPathPart left = nullptr, XPathPart right = nullptr) {
    XPathPart out = std::make_unique<XPathExpression>();
    out->kind = kind;
    if (left != nullptr) out->parts.push_back(std::move(left));
    if (right != nullptr) out->parts.push_back(std::move(right));
    return out;
  }

  // --- operators ---------------------------------------------------------------------------------------------------------

  // operand (operator operand)*, from the left; `operation` takes the operator and says what it is.
  template <class Operand, class Operation>
  XPathPart chain(Operand operand, Operation operation) {
    XPathPart out = (this->*operand)();
    while (out != nullptr) {
      const size_t at = at_;
      XPathPart node = operation();
      if (node == nullptr) return out;
      XPathPart right = (this->*operand)();
      if (right == nullptr) return nullptr;
      if (node->kind == XPathKind::compare && out->is_nodes() && right->is_nodes()) {
        return fail("XPATH error: comparison of two nodesets is not supported: " + from_here(at));
      }
      if (node->kind == XPathKind::unite && !(out->is_nodes() && right->is_nodes())) return syntax();
      const bool flat = node->kind == XPathKind::unite || node->kind == XPathKind::either || node->kind == XPathKind::both;
      if (flat && out->kind == node->kind) {
        out->depth = std::max(out->depth, right->depth + 1);
        out->parts.push_back(std::move(right));
        continue;
      }
      node->parts.push_back(std::move(out));
      node->parts.push_back(std::move(right));
      out = grown(std::move(node));
    }
    return out;
  }
  // Evaluation and destruction recurse as deep as this.
  XPathPart grown(XPathPart node) {
    const auto below = [&](const std::vector<XPathPart>& parts) {
      for (const XPathPart& part : parts) node->depth = std::max(node->depth, part->depth + 1);
    };
    below(node->parts);
    for (const XPathStep& one : node->steps) below(one.predicates);
    return node->depth > kMostDepth ? fail("XPATH error: the expression is nested too deeply") : std::move(node);
  }
  XPathPart comparison(XPathCompare compare) {
    XPathPart out = made(XPathKind::compare);
    out->compare = compare;
    return out;
  }

  XPathPart either() {
    return chain(&XPathParser::both, [this] { return take_word("or") ? made(XPathKind::either) : nullptr; });
  }
  XPathPart both() {
    return chain(&XPathParser::equality, [this] { return take_word("and") ? made(XPathKind::both) : nullptr; });
  }
  XPathPart equality() {
    return chain(&XPathParser::relation, [this]() -> XPathPart {
      if (take(Sign::equal)) return comparison(XPathCompare::equal);
      return take(Sign::unequal) ? comparison(XPathCompare::unequal) : nullptr;
    });
  }
  XPathPart relation() {
    return chain(&XPathParser::addition, [this]() -> XPathPart {
      if (take(Sign::less)) return comparison(XPathCompare::less);
      if (take(Sign::less_equal)) return comparison(XPathCompare::less_equal);
      if (take(Sign::greater)) return comparison(XPathCompare::greater);
      return take(Sign::greater_equal) ? comparison(XPathCompare::greater_equal) : nullptr;
    });
  }
  XPathPart addition() {
    return chain(&XPathParser::multiplication, [this]() -> XPathPart {
      if (take(Sign::plus)) return made(XPathKind::add);
      return take(Sign::minus) ? made(XPathKind::subtract) : nullptr;
    });
  }
  XPathPart multiplication() {
    return chain(&XPathParser::sign, [this]() -> XPathPart {
      if (take(Sign::star)) return made(XPathKind::multiply);
      if (take_word("div")) return made(XPathKind::divide);
      return take_word("mod") ? made(XPathKind::modulo) : nullptr;
    });
  }
  XPathPart sign() {
    bool negative = false, any = false;
    for (; take(Sign::minus); any = true) negative = !negative;
    XPathPart out = chain(&XPathParser::path, [this] { return take(Sign::bar) ? made(XPathKind::unite) : nullptr; });
    if (out == nullptr || !any) return out;
    out = grown(made(XPathKind::negate, std::move(out)));
    return out == nullptr || negative ? std::move(out) : grown(made(XPathKind::negate, std::move(out)));
  }

  // --- paths -------------------------------------------------------------------------------------------------------------

  XPathPart path() {
    if (++depth_ > kMostDepth) return fail("XPATH error: the expression is nested too deeply");
    XPathPart out = begins_primary() ? filtered() : location();
    --depth_;
    return out;
  }
  bool begins_primary() const {
    if (sign_ == Sign::name) return next_byte() == '(' && !is_node_type(word());
    return sign_ == Sign::open || sign_ == Sign::text || sign_ == Sign::number || sign_ == Sign::dollar;
  }

  // (nodes)/step
  XPathPart filtered() {
    XPathPart out = primary();
    if (out == nullptr || (sign_ != Sign::slash && sign_ != Sign::slashes)) return out;
    if (!out->is_nodes()) return syntax();
    XPathPart path = made(XPathKind::path, std::move(out));
    return steps_behind(*path) ? grown(std::move(path)) : nullptr;
  }

  XPathPart location() {
    XPathPart out = made(XPathKind::path);
    out->from_root = sign_ == Sign::slash || sign_ == Sign::slashes;
    if (sign_ == Sign::slash) {
      advance();
      if (!begins_step()) return out;
    }
    if (sign_ != Sign::slashes && !step(*out)) return nullptr;
    return steps_behind(*out) ? grown(std::move(out)) : nullptr;
  }
  bool begins_step() const { return sign_ == Sign::name || sign_ == Sign::dot || sign_ == Sign::dots || sign_ == Sign::at || sign_ == Sign::star; }

  bool steps_behind(XPathExpression& out) {
    for (;;) {
      if (take(Sign::slashes)) {
        out.steps.push_back({XPathAxis::descendant_or_self, false, true, {}, {}});
      } else if (!take(Sign::slash)) {
        return true;
      }
      if (!step(out)) return false;
    }
  }

  bool step(XPathExpression& out) {
    XPathStep one;
    if (take(Sign::dot)) {
      one.none = true;
      out.steps.push_back(std::move(one));
      return true;
    }
    if (take(Sign::dots)) {
      out.steps.push_back({XPathAxis::parent, false, true, {}, {}});
      return true;
    }
    if (!axis(one) || !node_test(one)) return wrong();
    while (take(Sign::left)) {
      ++predicates_;
      XPathPart predicate = either();
      --predicates_;
      if (predicate == nullptr) return false;
      if (!take(Sign::right)) return wrong();
      one.predicates.push_back(std::move(predicate));
    }
    out.steps.push_back(std::move(one));
    return true;
  }

  bool axis(XPathStep& one) {
    if (take(Sign::at)) {
      one.axis = XPathAxis::attribute;
      return true;
    }
    if (sign_ != Sign::name || text_.substr(end_, 2) != "::") return true;
    const AxisName* const named = find_word(kAxes, word());
    if (named == nullptr) return false;
    one.axis = named->axis;
    advance();
    advance();
    return true;
  }

  bool node_test(XPathStep& one) {
    if (take(Sign::star)) return one.any = true;
    if (sign_ != Sign::name) return false;
    if (next_byte() == '(') {
      if (!is_node_type(word())) return false;
      advance();
      advance();
      return one.none = take(Sign::close);
    }
    one.name = word();
    const bool more = next_byte() == ':' && text_.substr(end_, 2) != "::";
    advance();
    if (!more) return true;
    advance();
    if (sign_ != Sign::name) return false;
    one.name += ":" + std::string(word());
    advance();
    return true;
  }

  // --- the rest ------------------------------------------------------------------------------------------------------------

  XPathPart primary() {
    switch (sign_) {
      case Sign::text: {
        XPathPart out = made(XPathKind::text);
        out->text = text_.substr(at_ + 1, end_ - at_ - 2);
        advance();
        return out;
      }
      case Sign::number: {
        XPathPart out = made(XPathKind::number);
        out->number = Decimal::parse(word());
        advance();
        return out;
      }
      case Sign::open: {
        advance();
        XPathPart out = either();
        if (out != nullptr && !take(Sign::close)) return syntax();
        return out;
      }
      case Sign::dollar: return variable();
      default: return function();
    }
  }

  XPathPart variable() {
    const size_t from = at_;
    advance();
    const bool of_user = take(Sign::at);
    if (sign_ != Sign::name) return syntax();
    advance();
    return of_user ? made(XPathKind::variable) : fail("Unknown XPATH variable at: " + from_here(from));
  }

  XPathPart function() {
    const FunctionName* const named = find_word(kXPathFunctions, word());
    advance();
    if (named == nullptr) return syntax();
    advance();
    XPathPart out = made(XPathKind::function);
    out->function = named->function;
    while (out->parts.size() < named->max && (sign_ != Sign::close || out->parts.size() < named->min)) {
      if (!out->parts.empty() && !take(Sign::comma)) break;
      XPathPart argument = either();
      if (argument == nullptr) return nullptr;
      if (named->of_nodes && !argument->is_nodes()) return syntax();
      out->parts.push_back(std::move(argument));
    }
    if (out->parts.size() < named->min || !take(Sign::close)) return syntax();
    if (out->parts.empty() && named->in_predicate && predicates_ == 0) return syntax();
    return grown(std::move(out));
  }

  std::string_view text_;
  size_t at_ = 0, end_ = 0;  // of the word that is looked at
  Sign sign_ = Sign::end;
  int depth_ = 0, predicates_ = 0;
  std::string message_;
};

}  // namespace

XPathPart parse_xpath(std::string_view text, std::string* message) {
  XPathParser parser(text);
  XPathPart out = parser.parse();
  if (out == nullptr) *message = parser.message();
  return out;
}

}  // namespace marmot::mysql
