// Messages between agents (common/codec/control.hpp): they come from the network, so any bytes must be taken.
#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/codec/control.hpp"
#include "tests/unit/control_generator.hpp"

using namespace marmot;
namespace control = codec::control;

namespace {

constexpr size_t kKinds = std::variant_size_v<control::Message>;

std::string encoded(const control::Message& message) {
  return std::visit([](const auto& one) { return control::encode(one); }, message);
}

std::string to_hex_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string head(int version, int kind, uint64_t node) {
  std::string out{static_cast<char>(version), static_cast<char>(kind)};
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(node >> shift));
  return out;
}

std::string from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  return out;
}

Error refused(std::string_view bytes) {
  const auto message = control::decode_any(bytes);
  REQUIRE_FALSE(message);
  return message.error();
}

const Version kVersion{{uint64_t{1700000000000} << 16}, {NodeId{123456789}, Incarnation{0x1122334455667788}}};
constexpr NodeId kFrom{7};

// What each kind looks like in its version (control::version_of), for ever.
const std::vector<std::pair<control::Message, std::string_view>>& golden() {
  static const std::vector<std::pair<control::Message, std::string_view>> messages{
    {control::Refusal{kFrom, true, "no such table"},
     "0101000000000000000792c3ad6e6f2073756368207461626c65"},
    {control::Beat{kFrom, {0x1122334455667788}, 300, 70000, true, "0.1.0", 2},
     "0102000000000000000796cf1122334455667788cd012cce00011170c3a5302e312e3002"},
    {control::MemberList{kFrom, {{{7}, {5}, 0, 300}, {kVersion.origin.node, kVersion.origin.incarnation, 86400000, 12}}},
     "01030000000000000007919294070500cd012c94ce075bcd15cf1122334455667788ce05265c000c"},
    {control::DigestRequest{kFrom, 300, {0x11, 0xfeedfacecafebeef}},
     "0204000000000000000792cd012c9211cffeedfacecafebeef"},
    {control::DigestAnswer{kFrom, 300, 0, {{"users", 1000, {0x11, 0xfeedfacecafebeef}}, {"empty", 0, {}}}},
     "0205000000000000000793cd012c009293a57573657273cd03e89211cffeedfacecafebeef93a5656d70747900920000"},
    {control::BucketsRequest{kFrom, "users", {0x11, 0xfeedfacecafebeef}},
     "0206000000000000000792a575736572739211cffeedfacecafebeef"},
    {control::BucketsAnswer{kFrom, {{4, {0, 0xffffffffffffffff}}, {0, {}}}},
     "02070000000000000007919292049200cfffffffffffffffff9200920000"},
    {control::KeysRequest{kFrom, "users", 255, {0x11, 0xfeedfacecafebeef}},
     "0208000000000000000793a57573657273ccff9211cffeedfacecafebeef"},
    {control::KeysAnswer{kFrom, false, {{"\x41\x01", {17, 0}}, {"", {}}}},
     "0209000000000000000792c29292c402410192110092c400920000"},
    {control::FullTextRequest{kFrom},
     "010a000000000000000790"},
    {control::FullTextAnswer{kFrom, {{"notes_fts", "rebuild it", true}}},
     "010b0000000000000007919193a96e6f7465735f667473aa72656275696c64206974c3"},
    {control::RangeDigestRequest{kFrom, {"users", "", "\x41\x01"}, {{0x11, 0xfeedfacecafebeef}, true}},
     "020c00000000000000079293a57573657273c400c4024101929211cffeedfacecafebeefc3"},
    {control::RangeDigestAnswer{kFrom, {300, 299, 12, true, false, 2000, {0x11, 0xfeedfacecafebeef}, ""}},
     "020d000000000000000797cd012ccd012b0cc3c2cd07d09211cffeedfacecafebeef"},
    {control::RangeKeysRequest{kFrom, {"users", "\x41\x01", ""}, {{0x11, 0xfeedfacecafebeef}, false}},
     "020e00000000000000079293a57573657273c4024101c400929211cffeedfacecafebeefc2"},
    {control::RangeKeysAnswer{kFrom, {300, 12, {77}, {{"\x41\x01", kVersion, 17, 0, true, {0x11, 0xfeedfacecafebeef}}}, true}},
     "020f000000000000000795cd012c0c4dc39196c402410193cf018bcfe568000000ce075bcd15cf11223344556677881100c3"
     "9211cffeedfacecafebeef"},
    {control::RepairRequest{kFrom, "users", {{RepairOp::republish, "\x41\x01", kVersion}, {RepairOp::remove, "\x41\x02", kVersion}}},
     "0110000000000000000792a57573657273929300c402410193cf018bcfe568000000ce075bcd15cf11223344556677889302c402410293cf"
     "018bcfe568000000ce075bcd15cf1122334455667788"},
    {control::RepairAnswer{kFrom, 2},
     "011100000000000000079102"},
    {control::ScrubRequest{kFrom},
     "0112000000000000000790"},
    {control::ScrubAnswer{kFrom, {{"users", 3}}},
     "01130000000000000007919192a5757365727303"},
    {control::Repaired{kFrom, 1},
     "011400000000000000079101"},
    {control::SnapshotRequest{kFrom, 300, {"NQ2ZKC7Q", "x"}},
     "0115000000000000000792cd012c92a84e51325a4b433751a178"},
    {control::Alive{kFrom, {0x1122334455667788}, {5}, false, 300, "n1", 4000, 1700000000000},
     "0116000000000000000797cf112233445566778805c2cd012ca26e31cd0fa0cf0000018bcfe56800"},
    {control::ClockState{kFrom, true, 3600000},
     "0117000000000000000792c3ce0036ee80"},
  };
  return messages;
}

}  // namespace

TEST_CASE("control: what was encoded is decoded, whatever the kind") {
  test::Random random(11);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    for (int i = 0; i < 60; ++i) {
      const control::Message message = test::random_control_message(random, kind);
      const std::string bytes = encoded(message);
      const auto read = control::decode_any(bytes);
      REQUIRE_MESSAGE(read, "kind " << kind + 1 << ": " << (read ? "" : read.error().message));
      CHECK(*read == message);
      CHECK(control::sender(bytes) == std::visit([](const auto& one) { return one.node; }, message));
    }
  }
}

TEST_CASE("control: a message that is cut anywhere, or goes on behind its end, is refused") {
  test::Random random(12);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    for (int i = 0; i < 8; ++i) {
      const std::string bytes = encoded(test::random_control_message(random, kind));
      const size_t step = 1 + bytes.size() / 2000;
      for (size_t cut = 0; cut < bytes.size(); cut += step) CHECK(refused(std::string_view(bytes).substr(0, cut)).code == Errc::corrupt);
      CHECK(refused(bytes + '\0').code == Errc::corrupt);
      CHECK(refused(bytes + bytes).code == Errc::corrupt);
    }
  }
  for (const auto& [message, hex] : golden()) {
    const std::string bytes = encoded(message);
    for (size_t cut = 0; cut < bytes.size(); ++cut) CHECK(refused(std::string_view(bytes).substr(0, cut)).code == Errc::corrupt);
  }
}

TEST_CASE("control: changed bytes give another message or an error, and one message has one encoding") {
  test::Random random(13);
  for (int i = 0; i < 20'000; ++i) {
    const size_t kind = random.below(kKinds);
    std::string bytes = encoded(test::random_control_message(random, kind));
    if (bytes.size() > 2000) continue;
    for (uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const size_t at = random.below(bytes.size());
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
    }
    const auto read = control::decode_any(bytes);
    if (read) CHECK(encoded(*read) == bytes);
    else CHECK((read.error().code == Errc::corrupt || read.error().code == Errc::newer_format));
  }
}

TEST_CASE("control: a newer version or an unknown kind says which node speaks what, and what is known here") {
  const Error version = refused(head(3, 2, 7) + "whatever it holds");
  CHECK(version.code == Errc::newer_format);
  CHECK(version.message == "node 7 speaks control format 3, this Marmot 2: upgrade it");
  CHECK(refused(head(255, 200, 7)).code == Errc::newer_format);

  const Error kind = refused(head(2, 24, 7) + '\x90');
  CHECK(kind.code == Errc::newer_format);
  CHECK(kind.message == "node 7 sends control message 24 of format 2, this Marmot knows 1 to 23: upgrade it");

  // During an upgrade: what has not changed is read, what has is told.
  const Error earlier = refused(head(1, 4, 7) + "\x91\x05");
  CHECK(earlier.code == Errc::newer_format);
  CHECK(earlier.message == "node 7 sends control message 4 of format 1, this Marmot reads format 2: upgrade that node");
  CHECK(refused(head(2, 10, 7) + '\x90').code == Errc::corrupt);  // a FullTextRequest is of format 1

  const auto answer = control::decode_answer<control::DigestAnswer>(head(3, 1, 7));
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Errc::newer_format);
  CHECK(control::sender(head(9, 99, 7)) == NodeId{7});
}

TEST_CASE("control: a message of no version, no kind or nobody is none") {
  CHECK(refused("").code == Errc::corrupt);
  CHECK(refused(head(0, 2, 7) + '\x90').code == Errc::corrupt);
  CHECK(refused(head(2, 0, 7) + '\x90').code == Errc::corrupt);
  CHECK(refused(head(1, 10, 0) + '\x90').code == Errc::corrupt);
  CHECK(refused(head(1, 10, kMaxNodeId + 1) + '\x90').code == Errc::corrupt);
  CHECK(control::decode_any(head(1, 10, kMaxNodeId) + '\x90'));
  CHECK(refused(R"({"node":7,"incarnation":"1","applied":3,"pending":0,"able":true})").code == Errc::corrupt);
}

TEST_CASE("control: another known kind than the one that is expected is refused") {
  const std::string bytes = control::encode(control::ScrubRequest{kFrom});
  const auto beat = control::decode<control::Beat>(bytes);
  REQUIRE_FALSE(beat);
  CHECK(beat.error().code == Errc::corrupt);
  CHECK(beat.error().message == "node 7: control message 18 where 2 belongs");
}

TEST_CASE("control: a refusal in place of an answer is the error that it tells") {
  const auto absent = control::decode_answer<control::RangeKeysAnswer>(control::encode(control::Refusal{kFrom, true, "no such table"}));
  REQUIRE_FALSE(absent);
  CHECK(absent.error().code == Errc::not_found);
  CHECK(absent.error().message == "node 7: no such table");
  const auto busy = control::decode_answer<control::RangeKeysAnswer>(control::encode(control::Refusal{kFrom, false, "database is locked"}));
  REQUIRE_FALSE(busy);
  CHECK(busy.error().code == Errc::unavailable);
}

TEST_CASE("control: longer forms of the same number, text or array are refused") {
  const std::string start = head(2, 4, 7);  // a DigestRequest
  CHECK(control::decode_any(start + std::string("\x92\x05\x92\x00\x00", 5)));
  CHECK(refused(start + std::string("\x92\xcc\x05\x92\x00\x00", 6)).code == Errc::corrupt);
  CHECK(refused(start + std::string("\x92\xcd\x00\xff\x92\x00\x00", 7)).code == Errc::corrupt);
  CHECK(refused(start + std::string("\xdc\x00\x02\x05\x92\x00\x00", 7)).code == Errc::corrupt);
  CHECK(refused(start + std::string("\x92\xd0\x05\x92\x00\x00", 6)).code == Errc::corrupt);  // a signed one
  CHECK(control::decode_any(head(2, 6, 7) + std::string("\x92\xa1t\x92\x00\x00", 6)));       // a BucketsRequest
  CHECK(refused(head(2, 6, 7) + std::string("\x92\xd9\x01t\x92\x00\x00", 7)).code == Errc::corrupt);
  CHECK(refused(head(2, 6, 7) + std::string("\x92\xc4\x01t\x92\x00\x00", 7)).code == Errc::corrupt);
}

TEST_CASE("control: numbers, lists and messages have limits, whatever their headers announce") {
  CHECK(control::decode_any(control::encode(control::DigestRequest{kFrom, INT64_MAX, {}})));
  CHECK(refused(control::encode(control::DigestRequest{kFrom, uint64_t{1} << 63, {}})).code == Errc::corrupt);
  CHECK(refused(control::encode(control::RepairAnswer{kFrom, -1})).code == Errc::corrupt);
  CHECK(refused(head(1, 16, 7) + "\x92\xa1t\x91\x93\x03\xc4\x01k\x93\x01\x02\x03").code == Errc::corrupt);  // there is no action 3

  const std::string many("\x91\xdd\x7f\xff\xff\xff", 6);  // 2^31 members are announced, and none comes
  CHECK(refused(head(1, 3, 7) + many).code == Errc::corrupt);
  const std::string large("\x92\xdb\x7f\xff\xff\xff", 6);  // 2^31 bytes of a name
  CHECK(refused(head(2, 6, 7) + large).code == Errc::corrupt);

  control::SnapshotRequest list{kFrom, 1, std::vector<std::string>(control::kMaxListed)};
  CHECK(control::decode_any(control::encode(list)));
  list.damaged.emplace_back();
  CHECK(refused(control::encode(list)).code == Errc::corrupt);

  const size_t rest = control::kMaxBytes - control::encode(control::BucketsRequest{kFrom, std::string(70'000, 'n'), {}}).size() + 70'000;
  CHECK(control::decode_any(control::encode(control::BucketsRequest{kFrom, std::string(rest, 'n'), {}})));
  CHECK(refused(control::encode(control::BucketsRequest{kFrom, std::string(rest + 1, 'n'), {}})).code == Errc::corrupt);
}

TEST_CASE("golden: messages between agents of control formats 1 and 2 are read, and written alike") {
  REQUIRE(golden().size() == kKinds);
  for (size_t kind = 0; kind < kKinds; ++kind) {
    const auto& [message, hex] = golden()[kind];
    CHECK(message.index() == kind);
    const auto read = control::decode_any(from_hex(hex));
    REQUIRE(read);
    CHECK(*read == message);
    CHECK(to_hex_text(encoded(message)) == hex);
  }
}
