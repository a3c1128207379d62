// UUIDs and network addresses (MySQL 8.0 manual, 14.23).
#include <arpa/inet.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <optional>

#include "common/mysql/functions/ascii.hpp"
#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

using Uuid = std::array<unsigned char, 16>;

// 32 digits, 8-4-4-4-12 digits, or the latter in braces.
std::optional<Uuid> read_uuid(std::string_view text) {
  if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
  const bool dashes = text.size() == 36;
  if (!dashes && text.size() != 32) return std::nullopt;
  Uuid out{};
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (dashes && (i == 8 || i == 13 || i == 18 || i == 23)) {
      if (text[i] != '-') return std::nullopt;
      continue;
    }
    const int value = hex_digit(text[i]);
    if (value < 0) return std::nullopt;
    out[digits / 2] = static_cast<unsigned char>(out[digits / 2] << 4 | value);
    ++digits;
  }
  return out;
}

void append_uuid(std::string& out, const Uuid& uuid) {
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += kHexDigits[uuid[i] >> 4];
    out += kHexDigits[uuid[i] & 15];
  }
}

// time_low(4) time_mid(2) time_hi(2) ... with the time's parts in order of weight, so that ids made one after another sort so.
Uuid swapped(const Uuid& uuid) {
  Uuid out = uuid;
  std::memcpy(out.data(), uuid.data() + 6, 2);
  std::memcpy(out.data() + 2, uuid.data() + 4, 2);
  std::memcpy(out.data() + 4, uuid.data(), 4);
  return out;
}
Uuid swapped_back(const Uuid& uuid) {
  Uuid out = uuid;
  std::memcpy(out.data(), uuid.data() + 4, 4);
  std::memcpy(out.data() + 4, uuid.data() + 2, 2);
  std::memcpy(out.data() + 6, uuid.data(), 2);
  return out;
}

void wrong_uuid(Call& call, std::string_view function) {
  call.fail(kErWrongValueForType, "Incorrect string value: '" + std::string(call.text(0).substr(0, 64)) + "' for function " + std::string(function));
}

// UUID(): version 1 (RFC 4122, 4.2): the time, and a node of random bits with the multicast bit set
void uuid(Call& call) {
  constexpr uint64_t kGregorian = 0x01B21DD213814000;  // 1582-10-15 to 1970-01-01 in units of 100 ns
  const Session::UuidState& state = call.session().next_uuid();
  const uint64_t time = state.time + kGregorian;
  Uuid out{};
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<unsigned char>(time >> (24 - 8 * i));
  out[4] = static_cast<unsigned char>(time >> 40);
  out[5] = static_cast<unsigned char>(time >> 32);
  out[6] = static_cast<unsigned char>((time >> 56 & 15) | 0x10);
  out[7] = static_cast<unsigned char>(time >> 48);
  std::memcpy(out.data() + 8, state.node.data(), 8);
  out[8] = static_cast<unsigned char>((out[8] & 0x3F) | 0x80);
  out[10] |= 1;
  append_uuid(call.buffer(), out);
  call.text_done();
}

// UUID_SHORT(): 64 bits, growing
void uuid_short(Call& call) { call.unsigned_is(call.session().environment.short_uuid()); }

// IS_UUID(str)
void is_uuid(Call& call) { call.integer_is(read_uuid(call.text(0)) ? 1 : 0); }

// UUID_TO_BIN(str [, swap])
void uuid_to_bin(Call& call) {
  const auto uuid_there = read_uuid(call.text(0));
  if (!uuid_there) return wrong_uuid(call, "uuid_to_bin");
  const Uuid out = call.count() > 1 && call.truth(1) ? swapped(*uuid_there) : *uuid_there;
  call.blob_is({reinterpret_cast<const char*>(out.data()), out.size()});
}

// BIN_TO_UUID(bytes [, swap])
void bin_to_uuid(Call& call) {
  const std::string_view bytes = call.text(0);
  Uuid in{};
  if (bytes.size() != in.size()) return wrong_uuid(call, "bin_to_uuid");
  std::memcpy(in.data(), bytes.data(), in.size());
  append_uuid(call.buffer(), call.count() > 1 && call.truth(1) ? swapped_back(in) : in);
  call.text_done();
}

// --- network -------------------------------------------------------------------------------------------------------------

// INET_ATON(str): a.b.c.d, and as MySQL has it a.b for a.0.0.b. An octet that is empty is 0, but not the last; of more than four, as MySQL's own
// tests have it, the last eight count.
void inet_aton(Call& call) {
  const std::string_view text = call.text(0);
  uint64_t out = 0;
  unsigned byte = 0, dots = 0;
  for (const char c : text) {
    if (is_digit(c)) {
      byte = byte * 10 + static_cast<unsigned>(c - '0');
      if (byte > 255) return;
    } else if (c == '.') {
      ++dots;
      out = out << 8 | byte;
      byte = 0;
    } else {
      return;
    }
  }
  if (text.empty() || text.back() == '.') return;
  if (dots == 1) out <<= 16;
  if (dots == 2) out <<= 8;
  call.unsigned_is(out << 8 | byte);
}

// INET_NTOA(number)
void inet_ntoa(Call& call) {
  const int64_t number = call.integer(0);
  if (number < 0 || number > UINT32_MAX) return;
  char text[16];
  const auto part = [&](int shift) { return static_cast<unsigned>(number >> shift & 255); };
  std::snprintf(text, sizeof text, "%u.%u.%u.%u", part(24), part(16), part(8), part(0));
  call.text_is(text);
}

// a.b.c.d, each of one to three digits: leading zeros are decimal, as in MySQL, where inet_pton() takes none.
std::optional<std::array<unsigned char, 4>> read_ipv4(std::string_view text) {
  std::array<unsigned char, 4> out{};
  for (size_t i = 0; i < out.size(); ++i) {
    if (i > 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    unsigned byte = 0;
    size_t digits = 0;
    for (; digits < 3 && digits < text.size() && is_digit(text[digits]); ++digits) byte = byte * 10 + static_cast<unsigned>(text[digits] - '0');
    if (digits == 0 || byte > 255) return std::nullopt;
    out[i] = static_cast<unsigned char>(byte);
    text.remove_prefix(digits);
  }
  return text.empty() ? std::optional(out) : std::nullopt;
}

// The 4 or 16 bytes of an address; empty: it is none. inet_pton wants an end, and takes no blanks.
std::string address_bytes(std::string_view text) {
  if (const auto four = read_ipv4(text)) return {reinterpret_cast<const char*>(four->data()), four->size()};
  std::string ended(text);
  // The last four bytes of an IPv6 address may be written as IPv4.
  if (const size_t colon = text.rfind(':'); colon != std::string_view::npos && text.find('.', colon) != std::string_view::npos) {
    const auto last = read_ipv4(text.substr(colon + 1));
    if (!last) return {};
    char groups[24];
    std::snprintf(groups, sizeof groups, "%x:%x", static_cast<unsigned>((*last)[0] << 8 | (*last)[1]), static_cast<unsigned>((*last)[2] << 8 | (*last)[3]));
    ended = std::string(text.substr(0, colon + 1)) + groups;
  }
  unsigned char bytes[16];
  if (ended.find('\0') != std::string::npos || inet_pton(AF_INET6, ended.c_str(), bytes) != 1) return {};
  return {reinterpret_cast<const char*>(bytes), 16};
}

// INET6_ATON(str) -> 4 or 16 bytes
void inet6_aton(Call& call) {
  const std::string bytes = address_bytes(call.text(0));
  if (!bytes.empty()) call.blob_is(bytes);
}

void append_ipv4(std::string& out, std::string_view bytes) {
  for (size_t i = 0; i < 4; ++i) out += (i > 0 ? "." : "") + std::to_string(static_cast<unsigned char>(bytes[i]));
}

// The longest run of groups that are 0, the first of equals, is "::", of a single group as well (RFC 5952 keeps that one; MySQL does not). What is
// behind 96 bits of zeros, or 80 and 16 of ones, is written as IPv4 where it is more than one group.
void append_ipv6(std::string& out, std::string_view bytes) {
  std::array<unsigned, 8> groups{};
  for (size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(static_cast<unsigned char>(bytes[2 * i]) << 8 | static_cast<unsigned char>(bytes[2 * i + 1]));
  size_t gap = 8, length = 0;
  for (size_t i = 0; i < 8; ++i) {
    size_t run = 0;
    while (i + run < 8 && groups[i + run] == 0) ++run;
    if (run > length) {
      gap = i;
      length = run;
    }
    i += run;
  }
  const bool mixed = gap == 0 && (length == 6 || (length == 5 && groups[5] == 0xFFFF));
  for (size_t i = 0; i < 8;) {
    if (i == gap) {
      out += "::";
      i += length;
      continue;
    }
    if (i > 0 && out.back() != ':') out += ':';
    if (mixed && i == 6) return append_ipv4(out, bytes.substr(12));
    char group[16];
    std::snprintf(group, sizeof group, "%x", groups[i]);
    out += group;
    ++i;
  }
}

// INET6_NTOA(bytes)
void inet6_ntoa(Call& call) {
  const std::string_view bytes = call.text(0);
  if (!call.is_blob(0) || (bytes.size() != 4 && bytes.size() != 16)) return;
  bytes.size() == 4 ? append_ipv4(call.buffer(), bytes) : append_ipv6(call.buffer(), bytes);
  call.text_done();
}

// IS_IPV4(str), IS_IPV6(str)
void is_ipv4(Call& call) { call.integer_is(address_bytes(call.text(0)).size() == 4 ? 1 : 0); }
void is_ipv6(Call& call) { call.integer_is(address_bytes(call.text(0)).size() == 16 ? 1 : 0); }

// 12 bytes of zeros, or ten and two of ones, before an IPv4 address.
bool has_prefix(Call& call, bool mapped) {
  const std::string_view bytes = call.text(0);
  if (!call.is_blob(0) || bytes.size() != 16) return false;
  const std::string prefix = std::string(10, '\0') + (mapped ? std::string(2, '\xff') : std::string(2, '\0'));
  return bytes.substr(0, 12) == prefix;
}
// IS_IPV4_COMPAT(bytes): ::a.b.c.d, which :: and ::1 are not
void is_ipv4_compat(Call& call) {
  const std::string_view bytes = call.text(0);
  const bool small = bytes.size() == 16 && bytes.substr(12, 3) == std::string_view("\0\0\0", 3) && static_cast<unsigned char>(bytes[15]) <= 1;
  call.integer_is(has_prefix(call, false) && !small ? 1 : 0);
}
// IS_IPV4_MAPPED(bytes): ::ffff:a.b.c.d
void is_ipv4_mapped(Call& call) { call.integer_is(has_prefix(call, true) ? 1 : 0); }

constexpr std::array kAddressFunctions = {
    Function{"BIN_TO_UUID", 1, 2, kStrict, bin_to_uuid},
    Function{"INET6_ATON", 1, 1, kStrict, inet6_aton},
    Function{"INET6_NTOA", 1, 1, kStrict, inet6_ntoa},
    Function{"INET_ATON", 1, 1, kStrict, inet_aton},
    Function{"INET_NTOA", 1, 1, kStrict, inet_ntoa},
    Function{"IS_IPV4", 1, 1, kPure, is_ipv4},
    Function{"IS_IPV4_COMPAT", 1, 1, kPure, is_ipv4_compat},
    Function{"IS_IPV4_MAPPED", 1, 1, kPure, is_ipv4_mapped},
    Function{"IS_IPV6", 1, 1, kPure, is_ipv6},
    Function{"IS_UUID", 1, 1, kStrict, is_uuid},
    Function{"UUID", 0, 0, kSession, uuid},
    Function{"UUID_SHORT", 0, 0, kSession, uuid_short},
    Function{"UUID_TO_BIN", 1, 2, kStrict, uuid_to_bin},
};

}  // namespace

std::span<const Function> address_functions() { return kAddressFunctions; }

}  // namespace marmot::mysql
