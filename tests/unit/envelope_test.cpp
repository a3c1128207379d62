#include <doctest/doctest.h>

#include "common/codec/message.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;
using namespace std::string_literals;

namespace {

const Origin kOrigin{NodeId{kMaxNodeId}, Incarnation{static_cast<uint64_t>(INT64_MAX)}};

Errc code_of(std::string_view message) {
  const auto opened = codec::open(message);
  return opened ? Errc::internal : opened.error().code;
}

}  // namespace

TEST_CASE("envelope: parts joined in order are the payload, whatever the message size") {
  test::Random random(20);
  for (int i = 0; i < 300; ++i) {
    const std::string payload = test::random_bytes(random, 3000);
    const size_t max_message = 256 + random.below(1000);
    const uint64_t number = random.next();
    const auto messages = codec::seal(codec::Kind::rows, kOrigin, number, payload, max_message);
    REQUIRE_FALSE(messages.empty());
    std::string joined;
    for (size_t part = 0; part < messages.size(); ++part) {
      CHECK(messages[part].size() <= max_message);
      const auto envelope = codec::open(messages[part]);
      REQUIRE(envelope);
      CHECK(envelope->kind == codec::Kind::rows);
      CHECK(envelope->origin == kOrigin);
      CHECK(envelope->number == number);
      CHECK(envelope->part == part);
      CHECK(envelope->last == (part + 1 == messages.size()));
      joined += envelope->slice;
    }
    CHECK(joined == payload);
  }
}

TEST_CASE("envelope: a payload that just fills a message takes one, one byte more takes two") {
  const Origin origin{NodeId{1}, Incarnation{1}};
  const std::string payload(1000, 'x');
  size_t max_message = 1000;
  while (codec::seal(codec::Kind::rows, origin, 1, payload, max_message).size() != 1) ++max_message;
  CHECK(max_message < 1000 + 60);
  CHECK(codec::seal(codec::Kind::rows, origin, 1, payload + "y", max_message).size() == 2);
}

TEST_CASE("envelope: an empty payload is one message") {
  const auto messages = codec::seal(codec::Kind::genesis, kOrigin, 0, "", 256);
  REQUIRE(messages.size() == 1);
  const auto envelope = codec::open(messages[0]);
  REQUIRE(envelope);
  CHECK(envelope->slice.empty());
  CHECK(envelope->last);
}

TEST_CASE("envelope: sealing twice gives the same bytes") {
  const std::string payload(5000, 'x');
  CHECK(codec::seal(codec::Kind::schema, kOrigin, 7, payload, 700) == codec::seal(codec::Kind::schema, kOrigin, 7, payload, 700));
}

TEST_CASE("envelope: a message cut anywhere is corrupt") {
  const std::string message = codec::seal(codec::Kind::rows, kOrigin, 300, "some payload", 4096)[0];
  for (size_t length = 0; length < message.size(); ++length) {
    CHECK(code_of(std::string_view(message).substr(0, length)) == Errc::corrupt);
  }
  CHECK(code_of(message + "x") == Errc::corrupt);
}

TEST_CASE("envelope: a flipped bit is found wherever it is, in the header too") {
  for (const uint64_t number : {uint64_t{1}, uint64_t{300}, uint64_t{1} << 40}) {
    std::string message = codec::seal(codec::Kind::rows, {NodeId{12345}, Incarnation{99}}, number, "some payload", 4096)[0];
    for (size_t bit = 0; bit < message.size() * 8; ++bit) {
      const char before = message[bit / 8];
      message[bit / 8] = static_cast<char>(before ^ (1 << (bit % 8)));
      if (codec::open(message)) FAIL_CHECK("bit " << bit << " was not missed");
      message[bit / 8] = before;
    }
    CHECK(codec::open(message));
  }
}

TEST_CASE("envelope: a later format is told apart from damage") {
  std::string message = codec::seal(codec::Kind::rows, kOrigin, 1, "payload", 4096, 5)[0];
  const auto newer = codec::open(message);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Errc::newer_format);
  CHECK(newer.error().message == "message format 5 from node " + std::to_string(kOrigin.node.value) + ": this Marmot reads up to 4, upgrade it");
  for (const int format : {0, 1, 2, 3, 4, 6, 255}) {  // a message whose format byte came to harm stops nobody
    message[3] = static_cast<char>(format);
    CHECK(code_of(message) == Errc::corrupt);
  }
  CHECK(code_of("MMT\xff\xff") == Errc::corrupt);
  const auto none = codec::open(codec::seal(codec::Kind::rows, kOrigin, 1, "payload", 4096, 0)[0]);
  REQUIRE_FALSE(none);
  CHECK(none.error().message == "message format 0");
}

TEST_CASE("envelope: a kind that a later Marmot brought is told apart from damage") {
  const std::string message = codec::seal(static_cast<codec::Kind>(8), kOrigin, 1, "payload", 4096)[0];
  const auto newer = codec::open(message);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().code == Errc::newer_format);
  CHECK(newer.error().message == "message of kind 8 from node " + std::to_string(kOrigin.node.value) + ": this Marmot knows kinds up to 7, upgrade it");
  std::string damaged = codec::seal(codec::Kind::rows, kOrigin, 1, "payload", 4096)[0];
  damaged[4] = 8;
  CHECK(code_of(damaged) == Errc::corrupt);
}

TEST_CASE("envelope: what is no message of ours is corrupt") {
  CHECK(code_of("") == Errc::corrupt);
  CHECK(code_of("hello, world: a message by somebody else") == Errc::corrupt);
  CHECK(code_of("MMT\x01\x00"s) == Errc::corrupt);
  CHECK(code_of("MMT\x01\x04\x96") == Errc::corrupt);
  CHECK(code_of("MMT\x01\x03\xdd\xff\xff\xff\xff") == Errc::corrupt);
}

TEST_CASE("message id: it reads back what was written") {
  test::Random random(21);
  for (int i = 0; i < 2000; ++i) {
    const Origin origin = test::random_version(random).origin;
    const uint64_t number = random.next() >> random.below(64);
    const auto part = static_cast<uint32_t>(random.next() >> (32 + random.below(32)));
    const auto id = codec::parse_message_id(codec::message_id(origin, number, part));
    REQUIRE(id);
    CHECK(id->origin == origin);
    CHECK(id->number == number);
    CHECK(id->part == part);
  }
  CHECK(codec::message_id({NodeId{255}, Incarnation{16}}, 1, 0) == "ff.10.1.0");
}

TEST_CASE("message id: there is one way to write it") {
  CHECK(codec::parse_message_id("ff.10.1.0"));
  for (const char* text : {"", ".", "...", "ff.10.1", "ff.10.1.", "ff.10.1.0.", "ff.10.1.0.0", "FF.10.1.0", "0ff.10.1.0",
                           " ff.10.1.0", "ff.10.1.0 ", "ff.-1.1.0", "+ff.10.1.0", "0xff.10.1.0", "g.10.1.0",
                           "20000000000000.1.1.0", "1.8000000000000000.1.0", "1.1.10000000000000000.0", "1.1.1.100000000"}) {
    const auto id = codec::parse_message_id(text);
    CHECK_MESSAGE(!id, text);
    CHECK(id.error().code == Errc::corrupt);
  }
}
