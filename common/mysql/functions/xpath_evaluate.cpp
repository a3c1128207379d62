#include <algorithm>
#include <charconv>
#include <cmath>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/errors.hpp"
#include "common/mysql/functions/numbers.hpp"
#include "common/mysql/functions/text.hpp"
#include "common/mysql/functions/xpath.hpp"

namespace marmot::mysql {

namespace {

using Nodes = std::vector<XPathFound>;
using Type = XPathValue::Type;

XPathValue null_value() { return {}; }
XPathValue exact_value(const Decimal& number) { return {Type::exact, number}; }
XPathValue integer_value(int64_t number) { return exact_value(Decimal(number)); }
XPathValue truth_value(bool truth) { return integer_value(truth ? 1 : 0); }
XPathValue real_value(double number) { return {Type::real, {}, number + 0.0}; }  // no -0
XPathValue text_value(std::string text) { return {Type::text, {}, 0, std::move(text)}; }

bool is_boolean(const XPathExpression& one) {
  using F = XPathFunction;
  if (one.kind == XPathKind::function) {
    return one.function == F::boolean || one.function == F::not_ || one.function == F::true_ || one.function == F::false_ || one.function == F::contains;
  }
  return one.kind == XPathKind::compare || one.kind == XPathKind::either || one.kind == XPathKind::both;
}

bool holds(XPathCompare compare, int order) {
  switch (compare) {
    case XPathCompare::equal: return order == 0;
    case XPathCompare::unequal: return order != 0;
    case XPathCompare::less: return order < 0;
    case XPathCompare::less_equal: return order <= 0;
    case XPathCompare::greater: return order > 0;
    case XPathCompare::greater_equal: return order >= 0;
  }
  return false;
}

int order_of(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }
int order_of(const Decimal& a, const Decimal& b) {
  const auto order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

// The integer that `text` begins with.
int64_t integer_prefix(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  int64_t out = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc::result_out_of_range ? (text.front() == '-' ? INT64_MIN : INT64_MAX) : out;
}

class XPathEvaluator {
 public:
  XPathEvaluator(const XmlDocument& document, XPathError* error)
      : nodes_(document.nodes()), error_(error), work_(kMostWork + kWorkOfNode * static_cast<int64_t>(document.nodes().size())) {}

  XPathValue value(const XPathExpression& one, const XPathFound* context);
  bool failed() const { return error_->code != 0; }

  // The texts that are a node's own, of each node once, in the document's order, with a blank between.
  std::string text_of(const Nodes& found);
  std::string text_of(const XPathValue& value);

 private:
  static constexpr int64_t kMostWork = 50'000'000, kWorkOfNode = 100, kWorkOfFound = 10;

  XPathValue fail(int code, std::string message) {
    if (!failed()) *error_ = {code, std::move(message)};
    return null_value();
  }
  // False: there is too much to do, or something has failed.
  bool work(int64_t units) {
    work_ -= units;
    if (work_ < 0) fail(kErUnknown, "XPATH error: the expression takes too long for this document");
    return !failed();
  }
  void add(Nodes& out, uint32_t node, uint32_t position) {
    if (work(kWorkOfFound)) out.push_back({node, position, 0});
  }

  // Calls `visit(child)` for what is right below a node.
  template <class Visit>
  void children(uint32_t node, Visit visit) {
    for (uint32_t i = node + 1; i < nodes_[node].end && work(1); i = nodes_[i].end) visit(i);
  }
  template <class Visit>
  void texts(uint32_t node, Visit visit) {
    children(node, [&](uint32_t i) {
      if (nodes_[i].kind == XmlNode::Kind::text) visit(i);
    });
  }

  Nodes found(const XPathExpression& one, const XPathFound* context);
  Nodes stepped(const Nodes& from, const XPathStep& step);
  void below(Nodes& out, uint32_t node, const XPathStep& step);
  void beside(Nodes& out, uint32_t node, const XPathStep& step, XmlNode::Kind kind);
  Nodes above(const Nodes& from, const XPathStep& step);
  Nodes filtered(const Nodes& from, const XPathExpression& predicate);

  double real_of(const XPathValue& value);
  int64_t integer_of(const XPathValue& value);
  Decimal exact_of(const XPathValue& value) { return value.type == Type::exact ? value.exact : Decimal::of_real(real_of(value)); }
  std::optional<bool> truth_of(const XPathValue& value);
  bool any_truth(const XPathExpression& one, const XPathFound* context, bool* unknown, bool wanted);

  XPathValue compared(const XPathExpression& one, const XPathFound* context);
  XPathValue compared_nodes(const Nodes& found, const XPathValue& with, XPathCompare compare, bool swapped);
  XPathValue calculated(const XPathExpression& one, const XPathFound* context);
  XPathValue exact_result(const Decimal& a, const Decimal& b, const Decimal& result);
  XPathValue function(const XPathExpression& one, const XPathFound* context);
  XPathValue rounded(const XPathExpression& one, const XPathValue& value);
  XPathValue counted(const Nodes& found);
  XPathValue summed(const Nodes& found);
  XPathValue of_strings(const XPathExpression& one, const XPathFound* context);
  XPathValue substring(const std::string& text, const XPathExpression& one, const XPathFound* context);

  const std::vector<XmlNode>& nodes_;
  XPathError* error_;
  int64_t work_;
};

bool matches(const XPathStep& step, const XmlNode& node) { return step.any || node.name == step.name; }

// --- paths ---------------------------------------------------------------------------------------------------------------

Nodes XPathEvaluator::found(const XPathExpression& one, const XPathFound* context) {
  Nodes out;
  if (one.kind == XPathKind::unite) {
    for (const XPathPart& part : one.parts) {
      const Nodes more = found(*part, context);
      out.insert(out.end(), more.begin(), more.end());
    }
    std::sort(out.begin(), out.end(), [](const XPathFound& a, const XPathFound& b) { return a.node < b.node; });
    out.erase(std::unique(out.begin(), out.end(), [](const XPathFound& a, const XPathFound& b) { return a.node == b.node; }), out.end());
    for (size_t i = 0; i < out.size(); ++i) out[i] = {out[i].node, static_cast<uint32_t>(i + 1), 0};
    return out;
  }
  if (!one.parts.empty()) {
    out = found(*one.parts.front(), context);
  } else if (one.from_root || context == nullptr) {
    out.push_back({0, 1, 0});
  } else {
    out.push_back(*context);
  }
  for (const XPathStep& step : one.steps) {
    if (!step.none) out = stepped(out, step);
    for (const XPathPart& predicate : step.predicates) out = filtered(out, *predicate);
  }
  return out;
}

Nodes XPathEvaluator::stepped(const Nodes& from, const XPathStep& step) {
  if (step.axis == XPathAxis::parent || step.axis == XPathAxis::ancestor || step.axis == XPathAxis::ancestor_or_self) return above(from, step);
  Nodes out;
  for (const XPathFound& one : from) {
    if (!work(1)) break;
    switch (step.axis) {
      case XPathAxis::self:
        if (matches(step, nodes_[one.node])) add(out, one.node, 1);
        break;
      case XPathAxis::attribute: beside(out, one.node, step, XmlNode::Kind::attribute); break;
      case XPathAxis::descendant:
      case XPathAxis::descendant_or_self: below(out, one.node, step); break;
      default: beside(out, one.node, step, XmlNode::Kind::element);
    }
  }
  return out;
}

void XPathEvaluator::beside(Nodes& out, uint32_t node, const XPathStep& step, XmlNode::Kind kind) {
  uint32_t position = 0;
  children(node, [&](uint32_t i) {
    if (nodes_[i].kind == kind && matches(step, nodes_[i])) add(out, i, ++position);
  });
}

void XPathEvaluator::below(Nodes& out, uint32_t node, const XPathStep& step) {
  uint32_t position = 0;
  if (step.axis == XPathAxis::descendant_or_self && matches(step, nodes_[node])) add(out, node, ++position);
  for (uint32_t i = node + 1; i < nodes_[node].end && work(1); ++i) {
    if (nodes_[i].kind == XmlNode::Kind::element && matches(step, nodes_[i])) add(out, i, ++position);
  }
}

// Each once; parents in the document's order, ancestors the other way round. The root is nobody's ancestor.
Nodes XPathEvaluator::above(const Nodes& from, const XPathStep& step) {
  constexpr size_t kFew = 16;  // whose common ancestors may as well be met again
  std::vector<uint32_t> reached;
  std::vector<bool> known(from.size() > kFew ? nodes_.size() : 0);
  const auto reach = [&](uint32_t node) {
    if ((!known.empty() && known[node]) || !work(1)) return false;
    if (!known.empty()) known[node] = true;
    if (matches(step, nodes_[node])) reached.push_back(node);
    return true;
  };
  if (!work(static_cast<int64_t>(known.size() / 64))) return {};
  for (const XPathFound& one : from) {
    if (step.axis == XPathAxis::parent) {
      reach(nodes_[one.node].parent);
      continue;
    }
    if (step.axis == XPathAxis::ancestor_or_self) reach(one.node);
    for (uint32_t up = nodes_[one.node].parent; up != 0 && reach(up); up = nodes_[up].parent) {}
  }
  std::sort(reached.begin(), reached.end());
  reached.erase(std::unique(reached.begin(), reached.end()), reached.end());
  if (step.axis != XPathAxis::parent) std::reverse(reached.begin(), reached.end());
  Nodes out;
  for (const uint32_t node : reached) add(out, node, static_cast<uint32_t>(out.size() + 1));
  return out;
}

Nodes XPathEvaluator::filtered(const Nodes& from, const XPathExpression& predicate) {
  Nodes out;
  for (const XPathFound& one : from) {
    if (!work(kWorkOfFound)) break;
    const XPathFound context{one.node, one.position, static_cast<uint32_t>(from.size())};
    const XPathValue result = value(predicate, &context);
    const bool by_truth = result.type == Type::nodes || result.type == Type::null || is_boolean(predicate);
    const bool kept = by_truth ? truth_of(result).value_or(false) : integer_of(result) == one.position;
    if (kept) out.push_back({one.node, static_cast<uint32_t>(out.size() + 1), 0});
  }
  return out;
}

// --- conversions ---------------------------------------------------------------------------------------------------------

std::string XPathEvaluator::text_of(const Nodes& found) {
  std::vector<uint32_t> all;
  for (const XPathFound& one : found) texts(one.node, [&](uint32_t i) { all.push_back(i); });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  std::string out;
  for (size_t i = 0; i < all.size() && work(1 + static_cast<int64_t>(nodes_[all[i]].name.size() / 16)); ++i) {
    if (i > 0) out += ' ';
    out += nodes_[all[i]].name;
  }
  return out;
}

std::string XPathEvaluator::text_of(const XPathValue& value) {
  switch (value.type) {
    case Type::null: return {};
    case Type::exact: return value.exact.print();
    case Type::real: return print_real(value.real);
    case Type::text: return value.text;
    case Type::nodes: return text_of(value.nodes);
  }
  return {};
}

double XPathEvaluator::real_of(const XPathValue& value) {
  if (value.type == Type::exact) return value.exact.real();
  if (value.type == Type::real) return value.real;
  return read_real(text_of(value));
}

int64_t XPathEvaluator::integer_of(const XPathValue& value) {
  if (value.type == Type::exact || value.type == Type::real) return exact_of(value).integer();
  return integer_prefix(text_of(value));
}

std::optional<bool> XPathEvaluator::truth_of(const XPathValue& value) {
  if (value.type == Type::null) return std::nullopt;
  return value.type == Type::nodes ? !value.nodes.empty() : real_of(value) != 0;
}

// --- expressions ---------------------------------------------------------------------------------------------------------

XPathValue XPathEvaluator::value(const XPathExpression& one, const XPathFound* context) {
  if (!work(1)) return null_value();
  switch (one.kind) {
    case XPathKind::text: return text_value(one.text);
    case XPathKind::number: return exact_value(one.number);
    case XPathKind::variable: return null_value();
    case XPathKind::path:
    case XPathKind::unite: {
      XPathValue out;
      out.type = Type::nodes;
      out.nodes = found(one, context);
      return out;
    }
    case XPathKind::either:
    case XPathKind::both: {
      bool unknown = false;
      const bool wanted = one.kind == XPathKind::either;
      if (any_truth(one, context, &unknown, wanted)) return truth_value(wanted);
      return unknown ? null_value() : truth_value(!wanted);
    }
    case XPathKind::compare: return compared(one, context);
    case XPathKind::function: return function(one, context);
    default: return calculated(one, context);
  }
}

bool XPathEvaluator::any_truth(const XPathExpression& one, const XPathFound* context, bool* unknown, bool wanted) {
  for (const XPathPart& part : one.parts) {
    const std::optional<bool> truth = truth_of(value(*part, context));
    if (truth == wanted) return true;
    *unknown |= !truth;
  }
  return false;
}

XPathValue XPathEvaluator::compared(const XPathExpression& one, const XPathFound* context) {
  const XPathValue left = value(*one.parts[0], context), right = value(*one.parts[1], context);
  if (left.type == Type::nodes) return compared_nodes(left.nodes, right, one.compare, false);
  if (right.type == Type::nodes) return compared_nodes(right.nodes, left, one.compare, true);
  if (left.type == Type::null || right.type == Type::null) return null_value();
  int order = 0;
  if (left.type == Type::text && right.type == Type::text) {
    order = compare_strings(left.text, right.text, false);
  } else if (left.type == Type::exact && right.type == Type::exact) {
    order = order_of(left.exact, right.exact);
  } else {
    order = order_of(real_of(left), real_of(right));
  }
  return truth_value(holds(one.compare, order));
}

// True if one of the nodes' texts compares so.
XPathValue XPathEvaluator::compared_nodes(const Nodes& found, const XPathValue& with, XPathCompare compare, bool swapped) {
  if (with.type == Type::null) return truth_value(false);
  const double number = with.type == Type::text ? 0 : real_of(with);
  bool out = false;
  for (const XPathFound& one : found) {
    texts(one.node, [&](uint32_t i) {
      if (out || !work(1 + static_cast<int64_t>(nodes_[i].name.size() / 16))) return;
      const int order = with.type == Type::text ? compare_strings(nodes_[i].name, with.text, false) : order_of(read_real(nodes_[i].name), number);
      out = holds(compare, swapped ? -order : order);
    });
    if (out) break;
  }
  return truth_value(out);
}

XPathValue XPathEvaluator::exact_result(const Decimal& a, const Decimal& b, const Decimal& result) {
  if (a.exact_integer() && b.exact_integer() && !result.exact_integer()) return fail(kErDataOutOfRange, "BIGINT value is out of range");
  return exact_value(result);
}

XPathValue XPathEvaluator::calculated(const XPathExpression& one, const XPathFound* context) {
  const XPathValue left = one.kind == XPathKind::negate ? integer_value(0) : value(*one.parts[0], context);
  const XPathValue right = value(*one.parts.back(), context);
  if (left.type == Type::null || right.type == Type::null) return null_value();
  const bool exact = left.type == Type::exact && right.type == Type::exact;
  const double a = exact ? 0 : real_of(left), b = exact ? 0 : real_of(right);
  double out = 0;
  switch (one.kind) {
    case XPathKind::add:
      if (exact) return exact_result(left.exact, right.exact, left.exact + right.exact);
      out = a + b;
      break;
    case XPathKind::multiply:
      if (exact) return exact_result(left.exact, right.exact, left.exact * right.exact);
      out = a * b;
      break;
    case XPathKind::divide: {
      // The quotient without its fraction.
      const Decimal dividend = exact_of(left), divisor = exact_of(right);
      const auto rest = dividend.remainder(divisor);
      if (!rest) return null_value();
      const auto quotient = (dividend - *rest).divided(divisor, 0);
      if (!quotient || !quotient->exact_integer()) return fail(kErDataOutOfRange, "BIGINT value is out of range");
      return exact_value(*quotient);
    }
    case XPathKind::modulo:
      if (exact) {
        const auto rest = left.exact.remainder(right.exact);
        return rest ? exact_value(*rest) : null_value();
      }
      if (b == 0) return null_value();
      out = std::fmod(a, b);
      break;
    default:  // subtract, negate
      if (exact) return exact_result(left.exact, right.exact, left.exact - right.exact);
      out = a - b;
  }
  return std::isfinite(out) ? real_value(out) : fail(kErDataOutOfRange, "DOUBLE value is out of range");
}

// --- functions -----------------------------------------------------------------------------------------------------------

XPathValue XPathEvaluator::function(const XPathExpression& one, const XPathFound* context) {
  using F = XPathFunction;
  switch (one.function) {
    case F::true_: return truth_value(true);
    case F::false_: return truth_value(false);
    case F::last: return integer_value(context->size);
    case F::position: return integer_value(context->position);
    case F::count: return counted(found(*one.parts[0], context));
    case F::sum: return summed(found(*one.parts[0], context));
    case F::boolean: return truth_value(truth_of(value(*one.parts[0], context)).value_or(false));
    case F::not_: {
      const std::optional<bool> truth = truth_of(value(*one.parts[0], context));
      return truth ? truth_value(!*truth) : null_value();
    }
    case F::number:
    case F::ceiling:
    case F::floor:
    case F::round: {
      const XPathValue of = one.parts.empty() ? text_value(text_of(Nodes{*context})) : value(*one.parts[0], context);
      return of.type == Type::null ? null_value() : rounded(one, of);
    }
    default: return of_strings(one, context);
  }
}

XPathValue XPathEvaluator::rounded(const XPathExpression& one, const XPathValue& value) {
  const double number = real_of(value);
  switch (one.function) {
    case XPathFunction::ceiling: return real_value(std::ceil(number));
    case XPathFunction::floor: return real_value(std::floor(number));
    case XPathFunction::round: return real_value(std::nearbyint(number));
    default: return real_value(number);
  }
}

// Of a predicate's context as it is, all that were found.
XPathValue XPathEvaluator::counted(const Nodes& found) {
  if (found.size() == 1 && found.front().size != 0) return integer_value(found.front().size);
  return integer_value(static_cast<int64_t>(found.size()));
}

XPathValue XPathEvaluator::summed(const Nodes& found) {
  double out = 0;
  for (const XPathFound& one : found) texts(one.node, [&](uint32_t i) { out += read_real(nodes_[i].name); });
  return std::isfinite(out) ? real_value(out) : fail(kErDataOutOfRange, "DOUBLE value is out of range");
}

XPathValue XPathEvaluator::of_strings(const XPathExpression& one, const XPathFound* context) {
  const XPathValue first = one.parts.empty() ? text_value(text_of(Nodes{*context})) : value(*one.parts[0], context);
  if (first.type == Type::null) return null_value();
  std::string text = text_of(first);
  if (!work(static_cast<int64_t>(text.size() / 16))) return null_value();
  if (one.function == XPathFunction::string_length) return integer_value(static_cast<int64_t>(count_characters(text, false)));
  if (one.function == XPathFunction::substring) return substring(text, one, context);
  const XPathValue second = value(*one.parts[1], context);
  if (second.type == Type::null) return null_value();
  if (one.function == XPathFunction::contains) {
    const std::string what = text_of(second);
    if (!work(static_cast<int64_t>(text.size() * (1 + what.size() / 32)))) return null_value();  // each place may nearly be one
    return truth_value(find_string(text, what, false) != std::string_view::npos);
  }
  return text_value(text + text_of(second));
}

// As SUBSTRING(): a position from 1 on, or from the end.
XPathValue XPathEvaluator::substring(const std::string& text, const XPathExpression& one, const XPathFound* context) {
  const XPathValue from = value(*one.parts[1], context);
  const XPathValue length = one.parts.size() > 2 ? value(*one.parts[2], context) : integer_value(INT64_MAX);
  if (from.type == Type::null || length.type == Type::null) return null_value();
  const auto there = static_cast<int64_t>(count_characters(text, false));
  int64_t position = integer_of(from);
  const int64_t wanted = integer_of(length);
  if (position < 0) position = position < -there ? 0 : there + position + 1;
  if (position == 0 || position > there || wanted < 1) return text_value({});
  const std::string_view rest = std::string_view(text).substr(offset_of(text, position - 1, false));
  return text_value(std::string(rest.substr(0, offset_of(rest, wanted, false))));
}

}  // namespace

std::optional<XPathValue> evaluate_xpath(const XPathExpression& expression, const XmlDocument& document, XPathError* error) {
  XPathEvaluator evaluator(document, error);
  XPathValue out = evaluator.value(expression, nullptr);
  if (!evaluator.failed() && out.type == Type::nodes) out.text = evaluator.text_of(out.nodes);
  if (evaluator.failed()) return std::nullopt;
  return out;
}

std::optional<std::string> xpath_text(const XPathValue& value) {
  switch (value.type) {
    case Type::null: return std::nullopt;
    case Type::exact: return value.exact.print();
    case Type::real: return print_real(value.real);
    default: return value.text;
  }
}

}  // namespace marmot::mysql
