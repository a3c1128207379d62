// XPath 1.0 as far as MySQL has it (manual 14.11), parsed once and evaluated for each document:
//
//   /a/b  //b  .  ..  @x  *  a | b  [predicate]   child:: self:: parent:: descendant:: ancestor:: attribute:: and their -or-self
//   or and = != < <= > >= + - * div mod           "text" 'text' 1.5 $@variable (NULL: SQLite has no user variables)
//   boolean ceiling concat contains count false floor last not number position round string-length substring sum true
//
// MySQL's own ways are kept: a node's text is its own texts with a blank between each, not those of its descendants; text(), node() and
// their like are no step at all; other axes are child::; div is integer; concat() joins two; last() is of all that a step has found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/mysql/functions/decimal.hpp"
#include "common/mysql/functions/xml_document.hpp"

namespace marmot::mysql {

struct XPathExpression;
using XPathPart = std::unique_ptr<XPathExpression>;

enum class XPathAxis : uint8_t { child, self, parent, ancestor, ancestor_or_self, descendant, descendant_or_self, attribute };

struct XPathStep {
  XPathAxis axis = XPathAxis::child;
  bool none = false;  // text(), node(), '.': what is there already
  bool any = false;   // *
  std::string name;
  std::vector<XPathPart> predicates;
};

enum class XPathKind : uint8_t {
  text, number, variable, path, unite, either, both, compare, add, subtract, multiply, divide, modulo, negate, function
};
enum class XPathCompare : uint8_t { equal, unequal, less, less_equal, greater, greater_equal };
enum class XPathFunction : uint8_t {
  boolean, ceiling, concat, contains, count, false_, floor, last, not_, number, position, round, string_length, substring, sum, true_
};

struct XPathExpression {
  XPathKind kind = XPathKind::text;
  std::vector<XPathPart> parts;  // operands, arguments; of a path: what it begins at, where that is neither the root nor the context
  std::string text = {};
  Decimal number = {};
  XPathCompare compare = {};
  XPathFunction function = {};
  bool from_root = false;  // of a path
  std::vector<XPathStep> steps = {};
  int depth = 1;  // of all that it is made of

  bool is_nodes() const { return kind == XPathKind::path || kind == XPathKind::unite; }
};

// nullptr: error 1105, `*message`.
XPathPart parse_xpath(std::string_view text, std::string* message);

// A node that a step found; it is the `position`th there. `size`: of all that were found, where it is a predicate's context.
struct XPathFound {
  uint32_t node = 0;
  uint32_t position = 1;
  uint32_t size = 0;
};

struct XPathValue {
  enum class Type : uint8_t { null, exact, real, text, nodes };  // a boolean is exact: 1 or 0
  Type type = Type::null;
  Decimal exact = {};
  double real = 0;
  std::string text = {};  // of evaluate_xpath()'s nodes as well
  std::vector<XPathFound> nodes = {};
};

struct XPathError {
  int code = 0;
  std::string message;
};

// nullopt: `*error`. Takes time by a bound, whatever the expression.
std::optional<XPathValue> evaluate_xpath(const XPathExpression& expression, const XmlDocument& document, XPathError* error);

// As EXTRACTVALUE() prints it. nullopt: NULL.
std::optional<std::string> xpath_text(const XPathValue& value);

}  // namespace marmot::mysql
