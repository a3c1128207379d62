#include "common/core/key.hpp"

#include <algorithm>
#include <cassert>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "common/core/siphash.hpp"
#include "common/core/wide_text.hpp"

namespace marmot {

namespace {

constexpr uint8_t kBlob = 0x01;
constexpr uint8_t kText = 0x02;
constexpr uint8_t kReal = 0x21;
constexpr uint8_t kRowid = 0x30;
constexpr uint8_t kNegative = 0x3f;  // less the bytes that follow
constexpr uint8_t kSmall = 0x40;     // from here on: not negative
constexpr uint8_t kLarge = 0xf8;     // kLargeBytes bytes follow; 0xf9: one more
constexpr int kLargeBytes = 5;

constexpr std::string_view kEscape("\0\xff", 2);  // a zero byte inside text or blob

// No index of SQLite has more columns. It bounds what a decoded key takes beside its bytes.
constexpr size_t kMaxParts = 32767;

constexpr double kTwo63 = 9223372036854775808.0;

// SQLite compares integers and reals by value: 1 = 1.0, so a real that is an int64 is written as one.
bool is_exact_integer(double value) { return value >= -kTwo63 && value < kTwo63 && std::trunc(value) == value; }

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

int significant_bytes(uint64_t value) {
  int n = 0;
  for (; value != 0; value >>= 8) ++n;
  return n;
}

// Small integers share the tag's byte: `more` bytes follow it, so six bits of it are the number's, then five, four, three.
constexpr uint64_t small_limit(int more) { return uint64_t{1} << (more == 0 ? 6 : more * 7 + 7); }
constexpr uint64_t small_tag(int more) { return more == 0 ? kSmall : uint64_t{0xff00} >> more & 0xff; }

void append_integer(std::string& out, int64_t value) {
  // Two's complement makes -value of INT64_MIN well defined as unsigned.
  const uint64_t magnitude = value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  const int n = significant_bytes(magnitude);
  if (value < 0) {
    out.push_back(static_cast<char>(kNegative - n));
    append_big_endian(out, ~magnitude, n);
    return;
  }
  for (int more = 0; more < kLargeBytes; ++more) {
    if (magnitude < small_limit(more)) {
      append_big_endian(out, magnitude | small_tag(more) << (more * 8), more + 1);
      return;
    }
  }
  out.push_back(static_cast<char>(kLarge + std::max(n, kLargeBytes) - kLargeBytes));
  append_big_endian(out, magnitude, std::max(n, kLargeBytes));
}

void append_escaped(std::string& out, uint8_t tag, std::string_view bytes) {
  out.push_back(static_cast<char>(tag));
  for (;;) {
    const size_t nul = bytes.find('\0');
    if (nul == std::string_view::npos) break;
    out.append(bytes.substr(0, nul + 1));
    out.push_back('\xff');
    bytes.remove_prefix(nul + 1);
  }
  out.append(bytes);
  out.push_back('\0');
}

// Reads one key front to back.
class KeyReader {
 public:
  explicit KeyReader(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  uint8_t peek() const { return static_cast<uint8_t>(rest_.front()); }
  void skip() { rest_.remove_prefix(1); }

  bool integer(int64_t& out) {
    if (empty() || peek() < kNegative - 8 || peek() == kNegative) return false;
    return peek() < kNegative ? negative(out) : natural(out);
  }

  bool real(double& out) {
    skip();
    uint64_t bits = 0;
    if (!big_endian(8, bits)) return false;
    bits = bits >> 63 ? bits ^ (uint64_t{1} << 63) : ~bits;
    std::memcpy(&out, &bits, sizeof out);
    return !std::isnan(out) && !is_exact_integer(out);
  }

  // After the tag.
  bool rowid(RowidIdentity& out) {
    int64_t life = 0;
    if (!integer(life) || !integer(out.rowid) || !empty() || life < 0 || static_cast<uint64_t>(life) > kMaxNodeId) return false;
    out.life = NodeId{static_cast<uint64_t>(life)};
    return true;
  }

  bool skip_escaped() {
    for (size_t nul = rest_.find('\0'); nul != std::string_view::npos; nul = rest_.find('\0', nul + 2)) {
      if (nul + 1 < rest_.size() && rest_[nul + 1] == '\xff') continue;
      rest_.remove_prefix(nul + 1);
      return true;
    }
    return false;
  }

  bool escaped(DecodedKey& key, std::string_view& out) {
    skip();
    std::string unescaped;
    bool copied = false;
    for (size_t at = 0;;) {
      const size_t nul = rest_.find('\0', at);
      if (nul == std::string_view::npos) return false;
      const bool escape = nul + 1 < rest_.size() && rest_[nul + 1] == '\xff';
      if (!escape && !copied && at == 0) {  // the usual case: nothing to unescape
        out = rest_.substr(0, nul);
        rest_.remove_prefix(nul + 1);
        return true;
      }
      copied = true;
      unescaped.append(rest_.substr(at, nul - at + (escape ? 1 : 0)));
      at = nul + 1 + (escape ? 1 : 0);
      if (!escape) {
        rest_.remove_prefix(at);
        key.storage.push_back(std::move(unescaped));
        out = key.storage.back();
        return true;
      }
    }
  }

 private:
  bool negative(int64_t& out) {
    const int n = kNegative - peek();
    skip();
    uint64_t raw = 0;
    if (!big_endian(n, raw)) return false;
    const uint64_t mask = n == 8 ? ~uint64_t{0} : (uint64_t{1} << (n * 8)) - 1;
    const uint64_t magnitude = ~raw & mask;
    if (significant_bytes(magnitude) != n || magnitude > uint64_t{1} << 63) return false;
    out = static_cast<int64_t>(~magnitude + 1);
    return true;
  }

  bool natural(int64_t& out) {
    int more = 0;
    while (more < kLargeBytes - 1 && peek() >= small_tag(more + 1)) ++more;
    uint64_t raw = 0;
    uint64_t least = more == 0 ? 0 : small_limit(more - 1);
    if (peek() < kLarge) {
      if (!big_endian(more + 1, raw)) return false;
      raw &= small_limit(more) - 1;
    } else {
      const int n = peek() - kLarge + kLargeBytes;
      skip();
      if (n > 8 || !big_endian(n, raw)) return false;
      least = n == kLargeBytes ? small_limit(kLargeBytes - 1) : uint64_t{1} << ((n - 1) * 8);
    }
    if (raw < least || raw > static_cast<uint64_t>(INT64_MAX)) return false;  // not the shortest form, or no int64
    out = static_cast<int64_t>(raw);
    return true;
  }

  bool big_endian(int n, uint64_t& out) {
    if (rest_.size() < static_cast<size_t>(n)) return false;
    for (int i = 0; i < n; ++i) out = out << 8 | static_cast<uint8_t>(rest_[static_cast<size_t>(i)]);
    rest_.remove_prefix(static_cast<size_t>(n));
    return true;
  }

  std::string_view rest_;
};

Error corrupt_key() { return make_error(Errc::corrupt, "key bytes do not decode"); }

void describe_value(std::string& out, const ValueView& value) {
  char text[64];
  switch (value.type) {
    case ValueType::null: out += "NULL"; return;
    case ValueType::integer:
      std::snprintf(text, sizeof text, "%" PRId64, value.integer);
      out += text;
      return;
    case ValueType::real:
      std::snprintf(text, sizeof text, "%.17g", value.real);
      out += text;
      return;
    case ValueType::text:
      out += '\'';
      for (std::string_view left = value.bytes; !left.empty();) {
        const size_t length = utf8_length(left);
        const char c = left.front();
        if (c == '\'') out += '\'';
        const auto byte = static_cast<unsigned char>(c);
        if (length == 0 || byte < 0x20 || byte == 0x7f) {
          std::snprintf(text, sizeof text, "\\x%02x", byte);
          out += text;
        } else {
          out += left.substr(0, length);
        }
        left.remove_prefix(std::max<size_t>(length, 1));
      }
      out += '\'';
      return;
    case ValueType::blob:
      out += "x'";
      for (const char c : value.bytes) {
        std::snprintf(text, sizeof text, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += text;
      }
      out += '\'';
      return;
  }
}

}  // namespace

std::string fold_text(std::string_view text, Collation collation) {
  std::string out(text);
  if (collation == Collation::rtrim) {
    while (!out.empty() && out.back() == ' ') out.pop_back();
  } else if (collation == Collation::nocase) {
    // sqlite3StrNICmp stops at the first NUL and the lengths decide after it, so what follows a NUL does not count.
    const size_t nul = out.find('\0');
    for (size_t i = 0; i < out.size(); ++i) {
      if (i >= nul) out[i] = '\0';
      else if (out[i] >= 'A' && out[i] <= 'Z') out[i] = static_cast<char>(out[i] - 'A' + 'a');
    }
  }
  return out;
}

void append_key_part(std::string& out, const ValueView& value, Collation collation) {
  switch (value.type) {
    case ValueType::null: assert(false && "a NULL key part has no canonical form"); return;
    case ValueType::integer: append_integer(out, value.integer); return;
    case ValueType::real: {
      assert(!std::isnan(value.real) && "SQLite stores a NaN as NULL");
      if (is_exact_integer(value.real)) {
        append_integer(out, static_cast<int64_t>(value.real));
        return;
      }
      uint64_t bits = 0;
      std::memcpy(&bits, &value.real, sizeof bits);
      bits = bits >> 63 ? ~bits : bits ^ (uint64_t{1} << 63);
      out.push_back(static_cast<char>(kReal));
      append_big_endian(out, bits, 8);
      return;
    }
    case ValueType::text:
      if (collation == Collation::binary) append_escaped(out, kText, value.bytes);
      else append_escaped(out, kText, fold_text(value.bytes, collation));
      return;
    case ValueType::blob: append_escaped(out, kBlob, value.bytes); return;
  }
}

NodeId life_of(const Origin& agent) {
  const uint64_t mixed = siphash({agent.node.value, agent.incarnation.value}, 0, {});
  return NodeId{1 + mixed % kMaxNodeId};
}

NodeId RowLife::at(WallMs came) const {
  return dated ? NodeId{1 + (number.value - 1 + static_cast<uint64_t>(came)) % kMaxNodeId} : number;
}

void append_rowid_part(std::string& out, NodeId life, int64_t rowid) {
  assert(life.value <= kMaxNodeId);
  out.push_back(static_cast<char>(kRowid));
  append_integer(out, static_cast<int64_t>(life.value));
  append_integer(out, rowid);
}

Result<DecodedKey> decode_key(std::string_view bytes) {
  DecodedKey key;
  KeyReader in(bytes);
  if (in.empty()) return corrupt_key();
  if (in.peek() == kRowid) {
    in.skip();
    if (!in.rowid(key.rowid)) return corrupt_key();
    key.is_rowid = true;
    return key;
  }
  // At most one string a part that has an escape: reserving keeps the views into `storage` valid.
  size_t escapes = 0;
  for (size_t at = 0; (at = bytes.find(kEscape, at)) != std::string_view::npos; at += kEscape.size()) ++escapes;
  key.storage.reserve(std::min(escapes, kMaxParts));
  while (!in.empty()) {
    if (key.parts.size() == kMaxParts) return corrupt_key();
    ValueView value;
    const uint8_t tag = in.peek();
    if (tag == kReal) {
      value.type = ValueType::real;
      if (!in.real(value.real)) return corrupt_key();
    } else if (tag == kText || tag == kBlob) {
      value.type = tag == kText ? ValueType::text : ValueType::blob;
      if (!in.escaped(key, value.bytes)) return corrupt_key();
    } else {
      value.type = ValueType::integer;
      if (!in.integer(value.integer)) return corrupt_key();
    }
    key.parts.push_back(value);
  }
  return key;
}

bool is_key(std::string_view bytes) {
  KeyReader in(bytes);
  if (in.empty()) return false;
  if (in.peek() == kRowid) {
    RowidIdentity rowid;
    in.skip();
    return in.rowid(rowid);
  }
  for (size_t parts = 0; !in.empty(); ++parts) {
    const uint8_t tag = in.peek();
    int64_t integer = 0;
    double real = 0;
    const bool good = tag == kReal ? in.real(real) : tag == kText || tag == kBlob ? in.skip_escaped() : in.integer(integer);
    if (!good || parts == kMaxParts) return false;
  }
  return true;
}

std::string describe_key(std::string_view bytes) {
  auto key = decode_key(bytes);
  if (!key) return "(undecodable key)";
  if (key->is_rowid && key->rowid.life == kFormerKey) return "former key " + std::to_string(key->rowid.rowid);
  if (key->is_rowid) {
    return "rowid " + std::to_string(key->rowid.rowid) + " of life " + std::to_string(key->rowid.life.value);
  }
  std::string out;
  if (key->parts.size() > 1) out += '(';
  for (size_t i = 0; i < key->parts.size(); ++i) {
    if (i != 0) out += ", ";
    describe_value(out, key->parts[i]);
  }
  if (key->parts.size() > 1) out += ')';
  return out;
}

}  // namespace marmot
