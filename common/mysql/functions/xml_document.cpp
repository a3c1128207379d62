#include "common/mysql/functions/xml_document.hpp"

#include <algorithm>
#include <utility>

namespace marmot::mysql {

namespace {

bool is_xml_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
// A colon is a letter here: namespaces are not looked up.
bool begins_tag(char c) { return begins_xml_name(c) || c == ':'; }

}  // namespace

// Reads forward once; the elements that are open are a chain of parents.
class XmlReader {
 public:
  XmlReader(XmlDocument& document, XmlFault* fault) : source_(document.source_), nodes_(document.nodes_), fault_(fault) {}

  bool read() {
    add(XmlNode::Kind::root, 0, {});
    while (at_ < source_.size()) {
      if (nodes_.size() > XmlDocument::kMostNodes) return wrong("it has too many nodes");
      if (!(source_[at_] == '<' ? markup() : text())) return false;
    }
    if (open_ != 0) return wrong("unexpected END-OF-INPUT");
    nodes_[0].to = static_cast<uint32_t>(source_.size());
    nodes_[0].end = next();
    return true;
  }

 private:
  bool wrong(std::string message) {
    *fault_ = {at_, std::move(message)};
    return false;
  }
  uint32_t next() const { return static_cast<uint32_t>(nodes_.size()); }
  char peek() const { return at_ < source_.size() ? source_[at_] : '\0'; }
  bool starts_with(std::string_view what) const { return source_.substr(at_, what.size()) == what; }
  void skip_blanks() {
    while (at_ < source_.size() && is_xml_blank(source_[at_])) ++at_;
  }
  bool take(char c) {
    if (at_ >= source_.size() || source_[at_] != c) return false;
    ++at_;
    return true;
  }

  // `parent` gets a node that begins at `from` and ends here.
  uint32_t add(XmlNode::Kind kind, size_t from, std::string_view name) {
    nodes_.push_back({kind, open_, next() + 1, static_cast<uint32_t>(from), static_cast<uint32_t>(at_), name});
    return next() - 1;
  }

  bool text() {
    const size_t from = at_;
    at_ = std::min(source_.find('<', at_), source_.size());
    add(XmlNode::Kind::text, from, source_.substr(from, at_ - from));
    return true;
  }

  bool markup() {
    if (starts_with("<!--")) {
      const size_t end = source_.find("-->", at_ + 4);
      at_ = end == std::string_view::npos ? source_.size() : end + 3;
      return true;
    }
    if (starts_with("<![CDATA[")) return cdata();
    if (starts_with("<!")) return doctype();
    if (starts_with("<?")) return instruction();
    const size_t from = at_++;
    skip_blanks();
    return take('/') ? close_tag() : open_tag(from);
  }

  bool cdata() {
    const size_t from = at_, begin = at_ + 9, end = source_.find("]]>", begin);
    if (end == std::string_view::npos) return wrong("unexpected END-OF-INPUT (']]>' wanted)");
    at_ = end + 3;
    add(XmlNode::Kind::text, from, source_.substr(begin, end - begin));
    return true;
  }

  // Its names, quoted texts and what is between [ and ] mean nothing here.
  bool doctype() {
    if (!starts_with("<!DOCTYPE")) return wrong("unknown token unexpected (ident or '/' wanted)");
    int depth = 0;
    char quote = 0;
    for (; at_ < source_.size(); ++at_) {
      const char c = source_[at_];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '<' || c == '[') {
        ++depth;
      } else if (c == ']') {
        --depth;
      } else if (c == '>' && --depth == 0) {
        ++at_;
        return true;
      }
    }
    return wrong("unexpected END-OF-INPUT ('>' wanted)");
  }

  bool instruction() {
    at_ += 2;
    if (name().empty()) return wrong("unknown token unexpected (ident wanted)");
    if (!starts_with("?>") && !is_xml_blank(peek())) return wrong("unknown token unexpected ('?' wanted)");
    const size_t end = source_.find("?>", at_);
    if (end == std::string_view::npos) return wrong("unexpected END-OF-INPUT ('?>' wanted)");
    at_ = end + 2;
    return true;
  }

  std::string_view name() {
    const size_t from = at_;
    if (at_ < source_.size() && begins_tag(source_[at_])) {
      while (at_ < source_.size() && (in_xml_name(source_[at_]) || source_[at_] == ':')) ++at_;
    }
    return source_.substr(from, at_ - from);
  }

  bool open_tag(size_t from) {
    const std::string_view tag = name();
    if (tag.empty()) return wrong("unknown token unexpected (ident or '/' wanted)");
    const uint32_t parent = open_;
    const uint32_t element = add(XmlNode::Kind::element, from, tag);
    open_ = element;
    if (!attributes()) return false;
    const bool empty = take('/');
    skip_blanks();
    if (!take('>')) return wrong("unknown token unexpected ('>' wanted)");
    if (empty) {
      close(element);
      open_ = parent;
    }
    return true;
  }

  bool close_tag() {
    skip_blanks();
    const std::string_view tag = name();
    if (tag.empty()) return wrong("unknown token unexpected (ident wanted)");
    const std::string wanted = open_ == 0 ? "END-OF-INPUT" : "'</" + std::string(nodes_[open_].name) + ">'";
    if (open_ == 0 || nodes_[open_].name != tag) return wrong("'</" + std::string(tag) + ">' unexpected (" + wanted + " wanted)");
    skip_blanks();
    if (!take('>')) return wrong("unknown token unexpected ('>' wanted)");
    close(open_);
    open_ = nodes_[open_].parent;
    return true;
  }

  void close(uint32_t element) {
    nodes_[element].to = static_cast<uint32_t>(at_);
    nodes_[element].end = next();
  }

  // One with a value is a node. Of two names in a row the first is an attribute without one; a name at the end is nothing.
  bool attributes() {
    for (;;) {
      skip_blanks();
      const size_t from = at_;
      const std::string_view key = name();
      if (key.empty()) return true;
      const size_t behind = at_;
      skip_blanks();
      if (take('=')) {
        skip_blanks();
        if (!value(from, key)) return wrong("unknown token unexpected (ident or string wanted)");
      } else if (!name().empty()) {
        nodes_[add(XmlNode::Kind::attribute, from, key)].to = static_cast<uint32_t>(behind);
      } else {
        return true;
      }
    }
  }

  bool value(size_t from, std::string_view key) {
    std::string_view bytes;
    if (const char quote = peek(); quote == '"' || quote == '\'') {
      const size_t begin = ++at_;
      at_ = std::min(source_.find(quote, at_), source_.size());
      bytes = source_.substr(begin, at_ - begin);
      take(quote);
    } else {
      bytes = name();
      if (bytes.empty()) return false;
    }
    const uint32_t attribute = add(XmlNode::Kind::attribute, from, key);
    const uint32_t owner = std::exchange(open_, attribute);
    add(XmlNode::Kind::text, from, bytes);
    open_ = owner;
    nodes_[attribute].end = next();
    return true;
  }

  std::string_view source_;
  std::vector<XmlNode>& nodes_;
  XmlFault* fault_;
  size_t at_ = 0;
  uint32_t open_ = 0;  // the innermost open element
};

std::optional<XmlDocument> XmlDocument::parse(std::string_view source, XmlFault* fault) {
  XmlDocument out;
  out.source_ = source;
  if (source.size() >= UINT32_MAX) {
    *fault = {0, "it is too long"};
    return std::nullopt;
  }
  if (!XmlReader(out, fault).read()) return std::nullopt;
  return out;
}

}  // namespace marmot::mysql
