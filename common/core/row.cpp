#include "common/core/row.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "common/core/wide_text.hpp"

namespace marmot {

namespace {

void append_size(std::string& out, uint64_t size) {
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
}

void append_word(std::string& out, uint64_t word) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(word >> shift));
}

// Reads a row front to back; false from any of these: the bytes are not one.
class RowReader {
 public:
  explicit RowReader(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }

  bool byte(uint8_t& out) {
    if (rest_.empty()) return false;
    out = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return true;
  }

  bool sized(std::string_view& out) {
    uint64_t size = 0;
    for (int shift = 0;; shift += 7) {
      uint8_t part = 0;
      if (shift > 28 || !byte(part)) return false;
      size |= static_cast<uint64_t>(part & 0x7f) << shift;
      if ((part & 0x80) != 0) continue;
      if (part == 0 && shift != 0) return false;  // one way to write each size
      break;
    }
    if (size > rest_.size()) return false;
    out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }

  bool word(uint64_t& out) {
    if (rest_.size() < 8) return false;
    out = 0;
    for (int i = 0; i < 8; ++i) out = out << 8 | static_cast<uint8_t>(rest_[static_cast<size_t>(i)]);
    rest_.remove_prefix(8);
    return true;
  }

  bool value(ValueView& out) {
    uint8_t type = 0;
    uint64_t raw = 0;
    if (!byte(type) || type < 1 || type > 5) return false;
    out = ValueView{};
    out.type = static_cast<ValueType>(type);
    switch (out.type) {
      case ValueType::null: return true;
      case ValueType::integer:
        if (!word(raw)) return false;
        out.integer = static_cast<int64_t>(raw);
        return true;
      case ValueType::real:
        if (!word(raw)) return false;
        std::memcpy(&out.real, &raw, sizeof raw);
        return !std::isnan(out.real);
      case ValueType::text:
      case ValueType::blob: return sized(out.bytes);
    }
    return false;
  }

 private:
  std::string_view rest_;
};

bool is_plain_text(std::string_view text) {
  while (!text.empty()) {
    const size_t length = text.front() == '\0' ? 0 : utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_hex(std::string& out, std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char byte : bytes) {
    out.push_back(kDigits[static_cast<uint8_t>(byte) >> 4]);
    out.push_back(kDigits[static_cast<uint8_t>(byte) & 15]);
  }
}

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (static_cast<uint8_t>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_wrapped(std::string& out, std::string_view name, std::string_view bytes) {
  out += "{\"" + std::string(name) + "\": \"";
  append_hex(out, bytes);
  out += "\"}";
}

void append_json(std::string& out, const ValueView& value) {
  switch (value.type) {
    case ValueType::null: out += "null"; return;
    case ValueType::integer: out += std::to_string(value.integer); return;
    case ValueType::real: {
      if (std::isinf(value.real)) {
        out += value.real > 0 ? "{\"real\": \"inf\"}" : "{\"real\": \"-inf\"}";
        return;
      }
      char text[40];
      const auto end = std::to_chars(text, text + sizeof text, value.real);  // the shortest that reads back as the same
      const std::string_view number(text, static_cast<size_t>(end.ptr - text));
      out += number;
      if (number.find_first_of(".e") == std::string_view::npos) out += ".0";
      return;
    }
    case ValueType::text:
      if (is_plain_text(value.bytes)) append_string(out, value.bytes);
      else append_wrapped(out, "text_hex", value.bytes);
      return;
    case ValueType::blob: append_wrapped(out, "hex", value.bytes); return;
  }
}

}  // namespace

void append_row_column(std::string& out, std::string_view name, const ValueView& value) {
  append_size(out, name.size());
  out += name;
  out.push_back(static_cast<char>(value.type));
  uint64_t raw = 0;
  switch (value.type) {
    case ValueType::null: return;
    case ValueType::integer: append_word(out, static_cast<uint64_t>(value.integer)); return;
    case ValueType::real:
      std::memcpy(&raw, &value.real, sizeof raw);
      append_word(out, raw);
      return;
    case ValueType::text:
    case ValueType::blob:
      append_size(out, value.bytes.size());
      out += value.bytes;
      return;
  }
}

Result<std::vector<RowColumn>> decode_row(std::string_view bytes) {
  RowReader reader(bytes);
  std::vector<RowColumn> out;
  while (!reader.empty()) {
    RowColumn column;
    if (!reader.sized(column.name) || !reader.value(column.value)) return make_error(Errc::corrupt, "these bytes are no row");
    out.push_back(column);
  }
  return out;
}

std::string row_json(const std::vector<RowColumn>& row) {
  std::string out = "{";
  for (const RowColumn& column : row) {
    if (out.size() > 1) out += ", ";
    append_string(out, column.name);
    out += ": ";
    append_json(out, column.value);
  }
  return out + "}";
}

}  // namespace marmot
