// Internal to codec: MessagePack. The only place that includes msgpack-cxx.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include <msgpack.hpp>

#include "common/core/version.hpp"

namespace marmot::codec {

using Packer = msgpack::packer<msgpack::sbuffer>;

inline std::string_view view(const msgpack::sbuffer& buffer) { return {buffer.data(), buffer.size()}; }

// Sizes: SQLite holds no value of 2^31 bytes or more.
inline void pack_text(Packer& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.pack_str(size).pack_str_body(text.data(), size);
}

inline void pack_blob(Packer& out, std::string_view bytes) {
  const auto size = static_cast<uint32_t>(bytes.size());
  out.pack_bin(size).pack_bin_body(bytes.data(), size);
}

// Always a float64 with the same bits. The packer's own pack_double() writes 1.0 (and -0.0) as an integer.
inline void pack_real(msgpack::sbuffer& out, double value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  char bytes[9] = {static_cast<char>(0xcb)};
  for (int i = 0; i < 8; ++i) bytes[1 + i] = static_cast<char>(bits >> (56 - 8 * i));
  out.write(bytes, sizeof bytes);
}

// An array header of five bytes whatever the count: elements follow that were packed elsewhere.
inline void pack_array32(msgpack::sbuffer& out, uint32_t count) {
  const char bytes[5] = {static_cast<char>(0xdd), static_cast<char>(count >> 24), static_cast<char>(count >> 16),
                         static_cast<char>(count >> 8), static_cast<char>(count)};
  out.write(bytes, sizeof bytes);
}

inline void pack_version(Packer& out, const Version& version) {
  out.pack_uint64(version.hlc.value);
  out.pack_uint64(version.origin.node.value);
  out.pack_uint64(version.origin.incarnation.value);
}

inline constexpr uint64_t kMaxInt63 = static_cast<uint64_t>(INT64_MAX);
inline constexpr uint64_t kMaxHlc = Hlc::from_wall(Hlc::kEnd).value - 1;

// Field `index` (0 hlc, 1 node, 2 incarnation) of a version. False: out of range.
inline bool set_version_field(Version& version, uint32_t index, uint64_t value) {
  if (value > (index == 0 ? kMaxHlc : index == 1 ? kMaxNodeId : kMaxInt63)) return false;
  if (index == 0) version.hlc.value = value;
  else if (index == 1) version.origin.node.value = value;
  else version.origin.incarnation.value = value;
  return true;
}

// A visitor that refuses everything: a decoder derives from it and overrides what its message may hold. `false` from any
// of these stops the parser.
struct RefusingVisitor {
  bool visit_nil() { return false; }
  bool visit_boolean(bool) { return false; }
  bool visit_positive_integer(uint64_t) { return false; }
  bool visit_negative_integer(int64_t) { return false; }
  bool visit_float32(float) { return false; }
  bool visit_float64(double) { return false; }
  bool visit_str(const char*, uint32_t) { return false; }
  bool visit_bin(const char*, uint32_t) { return false; }
  bool visit_ext(const char*, uint32_t) { return false; }
  bool start_array(uint32_t) { return false; }
  bool start_array_item() { return true; }
  bool end_array_item() { return true; }
  bool end_array() { return true; }
  bool start_map(uint32_t) { return false; }
  bool start_map_key() { return false; }
  bool end_map_key() { return false; }
  bool start_map_value() { return false; }
  bool end_map_value() { return false; }
  bool end_map() { return false; }
  void parse_error(size_t, size_t) {}
  void insufficient_bytes(size_t, size_t) {}
  bool referenced() const { return true; }
  void set_referenced(bool) {}
};

// Parses the value at the start of `bytes`; true when it is whole and the visitor took all of it. `used` is its length.
template <class Visitor>
bool parse_value(std::string_view bytes, Visitor& visitor, size_t& used) {
  used = 0;
  return msgpack::parse(bytes.data(), bytes.size(), used, visitor);
}

// As parse_value, and nothing may follow.
template <class Visitor>
bool parse_whole(std::string_view bytes, Visitor& visitor) {
  size_t used = 0;
  return parse_value(bytes, visitor, used) && used == bytes.size();
}

}  // namespace marmot::codec
