// XML (MySQL 8.0 manual, 14.11).
#include <array>

#include "common/mysql/functions/table.hpp"
#include "common/mysql/functions/xpath.hpp"

namespace marmot::mysql {

namespace {

struct KeptXPath final : Kept {
  XPathPart expression;
};

std::shared_ptr<KeptXPath> kept_xpath(Call& call) {
  return call.kept<KeptXPath>(1, [&]() -> std::shared_ptr<KeptXPath> {
    auto out = std::make_shared<KeptXPath>();
    std::string message;
    out->expression = parse_xpath(call.text(1), &message);
    if (out->expression != nullptr) return out;
    call.fail(kErUnknown, message);
    return nullptr;
  });
}

// nullopt: the answer is NULL with a warning, or an error.
std::optional<XPathValue> evaluated(Call& call, const XPathExpression& expression, XmlDocument& document) {
  XmlFault fault;
  std::optional<XmlDocument> parsed = XmlDocument::parse(call.text(0), &fault);
  if (!parsed) {
    call.warn(kErWrongValue, "Incorrect XML value: 'parse error at byte " + std::to_string(fault.position + 1) + ": " + fault.message + "'");
    return std::nullopt;
  }
  document = std::move(*parsed);
  XPathError error;
  std::optional<XPathValue> out = evaluate_xpath(expression, document, &error);
  if (!out) call.fail(error.code, error.message);
  return out;
}

// EXTRACTVALUE(xml, xpath) -> the texts of the nodes found, with a blank between; '' for none; NULL where `xml` is not well-formed
void extract_value(Call& call) {
  const auto xpath = kept_xpath(call);
  XmlDocument document;
  const auto found = xpath == nullptr ? std::nullopt : evaluated(call, *xpath->expression, document);
  const auto text = found ? xpath_text(*found) : std::nullopt;
  if (text) call.text_is(*text);
}

// UPDATEXML(xml, xpath, new) -> `xml` with `new` in the place of the node found; unchanged where there is none or several
void update_xml(Call& call) {
  const auto xpath = kept_xpath(call);
  XmlDocument document;
  const auto found = xpath == nullptr ? std::nullopt : evaluated(call, *xpath->expression, document);
  if (!found || found->type != XPathValue::Type::nodes) return;
  const std::string_view source = call.text(0), replacement = call.text(2);
  if (found->nodes.size() != 1) return call.text_is(source);
  const XmlNode& node = document.nodes()[found->nodes.front().node];
  if (!call.fits(source.size() - (node.to - node.from) + replacement.size())) return;
  std::string& out = call.buffer();
  out.append(source.substr(0, node.from)).append(replacement).append(source.substr(node.to));
  call.text_done();
}

constexpr std::array kXmlFunctions = {
    Function{"EXTRACTVALUE", 2, 2, kStrict, extract_value},
    Function{"UPDATEXML", 3, 3, kStrict, update_xml},
};

}  // namespace

std::span<const Function> xml_functions() { return kXmlFunctions; }

}  // namespace marmot::mysql
