#include <algorithm>
#include <cassert>
#include <charconv>
#include <cstdio>

#include "common/codec/envelope.hpp"
#include "common/codec/wire.hpp"
#include "common/core/row_hash.hpp"

namespace marmot::codec {

namespace {

constexpr std::string_view kMagic = "MMT";
constexpr size_t kPrefixSize = 5;    // magic, format, kind
constexpr size_t kChecksumSize = 9;  // MessagePack uint64, always in its long form
constexpr size_t kMaxHeader = kPrefixSize + 1 + 3 * 9 + 5 + 1 + kChecksumSize;

uint64_t checksum(std::string_view header, std::string_view slice) { return bytes_hash(slice, bytes_hash(header)); }

struct HeaderVisitor : RefusingVisitor {
  Envelope envelope;
  uint64_t sum = 0;
  int at = -1;

  bool start_array(uint32_t count) { return at++ == -1 && count == 6; }

  bool visit_positive_integer(uint64_t value) {
    switch (at++) {
      case 0: envelope.origin.node.value = value; return value <= kMaxNodeId;
      case 1: envelope.origin.incarnation.value = value; return value <= kMaxInt63;
      case 2: envelope.number = value; return true;
      case 3: envelope.part = static_cast<uint32_t>(value); return value <= UINT32_MAX;
      case 5: sum = value; return true;
      default: return false;
    }
  }

  bool visit_boolean(bool value) {
    envelope.last = value;
    return at++ == 4;
  }
};

Error corrupt(const char* what) { return make_error(Errc::corrupt, what); }

Error newer(const std::string& what, NodeId sender, const char* bound, int limit) {
  return make_error(Errc::newer_format, what + " from node " + std::to_string(sender.value) + ": this Marmot " + bound + " " +
                                            std::to_string(limit) + ", upgrade it");
}

// Reads one hexadecimal field as to_hex() writes it: lower case, no leading zero.
bool take_hex(std::string_view& text, uint64_t& value) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.empty() || !is_digit(text[0])) return false;
  if (text[0] == '0' && text.size() > 1 && is_digit(text[1])) return false;
  size_t length = 1;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (std::from_chars(text.data(), text.data() + length, value, 16).ec != std::errc{}) return false;
  text.remove_prefix(length);
  return true;
}

bool take_dot(std::string_view& text) {
  if (text.empty() || text[0] != '.') return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::vector<std::string> seal(Kind kind, Origin origin, uint64_t number, std::string_view payload, size_t max_message,
                              uint8_t format) {
  assert(max_message >= 256);
  const size_t slice_size = max_message - kMaxHeader;
  std::vector<std::string> messages;
  messages.reserve(payload.size() / slice_size + 1);
  msgpack::sbuffer header;
  do {
    const std::string_view slice = payload.substr(0, slice_size);
    payload.remove_prefix(slice.size());

    header.clear();
    header.write(kMagic.data(), kMagic.size());
    const char prefix[2] = {static_cast<char>(format), static_cast<char>(kind)};
    header.write(prefix, sizeof prefix);
    Packer out(header);
    out.pack_array(6);
    out.pack_uint64(origin.node.value);
    out.pack_uint64(origin.incarnation.value);
    out.pack_uint64(number);
    out.pack_uint64(messages.size());
    payload.empty() ? out.pack_true() : out.pack_false();
    out.pack_fix_uint64(checksum(view(header), slice));

    std::string message;
    message.reserve(header.size() + slice.size());
    message.append(view(header)).append(slice);
    messages.push_back(std::move(message));
  } while (!payload.empty());
  return messages;
}

Result<Envelope> open(std::string_view message) {
  if (message.size() < kPrefixSize || message.substr(0, kMagic.size()) != kMagic) return corrupt("not a Marmot message");
  const auto format = static_cast<uint8_t>(message[3]);
  const auto kind = static_cast<uint8_t>(message[4]);
  HeaderVisitor header;
  size_t used = 0;
  if (!parse_value(message.substr(kPrefixSize), header, used)) return corrupt("message header does not decode");
  const size_t end = kPrefixSize + used;
  if (static_cast<uint8_t>(message[end - kChecksumSize]) != 0xcf) return corrupt("message header does not decode");
  header.envelope.kind = static_cast<Kind>(kind);
  header.envelope.slice = message.substr(end);
  if (header.sum != checksum(message.substr(0, end - kChecksumSize), header.envelope.slice)) {
    return corrupt("message does not match its checksum");
  }
  // The envelope is that of every format: only bytes that somebody meant so are a later Marmot's.
  if (format == 0) return corrupt("message format 0");
  if (kind == 0) return corrupt("message of kind 0");
  if (format > kFormat) return newer("message format " + std::to_string(format), header.envelope.origin.node, "reads up to", kFormat);
  constexpr auto kLast = static_cast<uint8_t>(Kind::clock);
  if (kind > kLast) return newer("message of kind " + std::to_string(kind), header.envelope.origin.node, "knows kinds up to", kLast);
  return header.envelope;
}

std::string message_id(Origin origin, uint64_t number, uint32_t part) {
  return to_hex(origin.node.value) + '.' + to_hex(origin.incarnation.value) + '.' + to_hex(number) + '.' + to_hex(part);
}

Result<MessageId> parse_message_id(std::string_view text) {
  MessageId id;
  uint64_t part = 0;
  std::string_view rest = text;
  const bool whole = take_hex(rest, id.origin.node.value) && take_dot(rest) &&
                     take_hex(rest, id.origin.incarnation.value) && take_dot(rest) && take_hex(rest, id.number) &&
                     take_dot(rest) && take_hex(rest, part) && rest.empty();
  if (!whole || id.origin.node.value > kMaxNodeId || id.origin.incarnation.value > kMaxInt63 || part > UINT32_MAX) {
    return make_error(Errc::corrupt, "not a message id: '" + std::string(text.substr(0, 80)) + "'");
  }
  id.part = static_cast<uint32_t>(part);
  return id;
}

}  // namespace marmot::codec
