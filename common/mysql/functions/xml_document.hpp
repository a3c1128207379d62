// An XML text as EXTRACTVALUE and UPDATEXML see it (MySQL 8.0 manual, 14.11): elements, attributes and texts, in the order of the text.
// What is read is a fragment: texts and several elements may stand at the top. Entities are not replaced, names are compared by their bytes,
// attributes may come twice, their values without quotes. Comments, processing instructions and DOCTYPE are passed over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marmot::mysql {

struct XmlNode {
  enum class Kind : uint8_t { root, element, attribute, text };
  Kind kind = Kind::root;
  uint32_t parent = 0;
  uint32_t end = 0;        // the first node behind what belongs to this one: attributes, content, an attribute's value
  uint32_t from = 0, to = 0;  // its bytes in the source
  std::string_view name;   // of a text: the text
};

struct XmlFault {
  size_t position = 0;
  std::string message;
};

class XmlDocument {
 public:
  static constexpr size_t kMostNodes = 4'000'000;

  // nullopt: it is not well-formed. Linear. Borrows `source`.
  static std::optional<XmlDocument> parse(std::string_view source, XmlFault* fault);

  // The first node is the root; an element's attributes come before its content, an attribute's value, a text, right behind it.
  const std::vector<XmlNode>& nodes() const { return nodes_; }
  std::string_view source() const { return source_; }

 private:
  friend class XmlReader;
  std::string_view source_;
  std::vector<XmlNode> nodes_;
};

// Which bytes a name begins with, and has: letters, digits, and all beyond ASCII.
constexpr bool begins_xml_name(char c) { return ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
constexpr bool in_xml_name(char c) { return begins_xml_name(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

}  // namespace marmot::mysql
