#include <doctest/doctest.h>

#include <string>

#include "common/mysql/functions/errors.hpp"
#include "common/mysql/functions/xml_document.hpp"
#include "common/mysql/functions/xpath.hpp"

using namespace marmot::mysql;

namespace {

std::string fault_of_xml(std::string_view source) {
  XmlFault fault;
  return XmlDocument::parse(source, &fault) ? "" : fault.message;
}

// The nodes as kind, name and place: "element a 0-4".
std::string shown_nodes(std::string_view source) {
  constexpr const char* kKinds[] = {"root", "element", "attribute", "text"};
  XmlFault fault;
  const auto document = XmlDocument::parse(source, &fault);
  REQUIRE_MESSAGE(document, source << ": " << fault.message);
  std::string out;
  for (const XmlNode& node : document->nodes()) {
    if (node.kind == XmlNode::Kind::root) continue;
    out += (out.empty() ? "" : ", ") + std::string(kKinds[static_cast<size_t>(node.kind)]) + " " + std::string(node.name) + " " + std::to_string(node.from) + "-" +
           std::to_string(node.to);
  }
  return out;
}

std::string message_of_xpath(std::string_view xpath) {
  std::string message;
  return parse_xpath(xpath, &message) != nullptr ? "" : message;
}

std::string extracted(std::string_view source, std::string_view xpath, int* error = nullptr) {
  XmlFault fault;
  const auto document = XmlDocument::parse(source, &fault);
  REQUIRE_MESSAGE(document, fault.message);
  std::string message;
  const XPathPart expression = parse_xpath(xpath, &message);
  REQUIRE_MESSAGE(expression, xpath << ": " << message);
  XPathError wrong;
  const auto value = evaluate_xpath(*expression, *document, &wrong);
  if (error != nullptr) *error = wrong.code;
  return value ? xpath_text(*value).value_or("NULL") : wrong.message;
}

std::string repeated(std::string_view what, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += what;
  return out;
}

}  // namespace

TEST_CASE("xml: a node knows its bytes in the source, attributes come before the content") {
  CHECK(shown_nodes("<a b='c' d=e>x<f/></a>") ==
        "element a 0-22, attribute b 3-8, text c 3-8, attribute d 9-12, text e 9-12, text x 13-14, element f 14-18");
  CHECK(shown_nodes("x<a>y</a>") == "text x 0-1, element a 1-9, text y 4-5");
  CHECK(shown_nodes("<a>x<!-- c -->y<![CDATA[<z>]]></a>") == "element a 0-34, text x 3-4, text y 14-15, text <z> 15-30");
  CHECK(shown_nodes("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c]>'>]><a/>") == "element a 53-57");
  CHECK(shown_nodes("<a>&lt;</a>") == "element a 0-11, text &lt; 3-7");
}

TEST_CASE("xml: what is not well-formed is told") {
  for (const char* source : {"<a>", "<a", "<", "</", "<a><b></a></b>", "</a>", "<a></b>", "<a b=>", "<a b=c d", "<a b='c' 'd'/>", "<1/>", "<!a/>", "<?a", "<? a?>", "<a><![CDATA[x</a>", "<a b c='d'/>",
                             "<a>x</a b>"}) {
    CHECK_MESSAGE(!fault_of_xml(source).empty(), source);
  }
  CHECK(fault_of_xml("") == "");
  CHECK(fault_of_xml("text") == "");
}

TEST_CASE("xml: a document nested a hundred thousand deep is read, and its depth does not end the stack") {
  const std::string deep = repeated("<a>", 100'000) + "x" + repeated("</a>", 100'000);
  CHECK(fault_of_xml(deep) == "");
  CHECK(extracted(deep, "count(/a/a/a)") == "1");
  CHECK(extracted(deep, "//a[.='x']") == "x");
}

TEST_CASE("xpath: an error shows the rest of the expression from where it is wrong") {
  CHECK(message_of_xpath("/a/") == "XPATH syntax error: ''");
  CHECK(message_of_xpath("//b!") == "XPATH syntax error: '!'");
  CHECK(message_of_xpath("/a[@x=@y0123456789_0123456789_0123456789]") == "XPATH error: comparison of two nodesets is not supported: '=@y0123456789_0123456789_0123...'");
  CHECK(message_of_xpath("/a[$x=1]") == "Unknown XPATH variable at: '$x=1]'");
  CHECK(message_of_xpath("position()") == "XPATH syntax error: ''");
  CHECK(message_of_xpath("string(/a)") == "XPATH syntax error: '(/a)'");
}

TEST_CASE("xpath: neither a deep nor a long expression ends the stack") {
  CHECK(message_of_xpath(repeated("(", 100'000) + "1" + repeated(")", 100'000)) == "XPATH error: the expression is nested too deeply");
  CHECK(message_of_xpath("/a" + repeated("[/a", 100'000)) == "XPATH error: the expression is nested too deeply");
  CHECK(message_of_xpath("1" + repeated("+1", 100'000)) == "XPATH error: the expression is nested too deeply");
  CHECK(extracted("<a>x</a>", repeated("/b|", 10'000) + "/a") == "x");
  CHECK(extracted("<a>1</a>", "/a[" + repeated(".=2 or ", 10'000) + ".=1]") == "1");
  CHECK(extracted("<a>1</a>", repeated("-", 100'001) + "1") == "-1");
}

TEST_CASE("xpath: an expression that takes too long for its document is an error, in bounded time") {
  const std::string wide = "<r>" + repeated("<a>1</a>", 3000) + "</r>";
  int error = 0;
  extracted(wide, "count(//a[//a[//a=2]])", &error);
  CHECK(error == kErUnknown);
  const std::string deep = repeated("<a>", 10'000) + repeated("</a>", 10'000);
  extracted(deep, "count(//descendant::a/descendant::a)", &error);
  CHECK(error == kErUnknown);
}
