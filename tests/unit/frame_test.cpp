#include <doctest/doctest.h>

#include <zstd.h>

#include "common/codec/frame.hpp"
#include "tests/unit/allocations.hpp"
#include "tests/unit/generator.hpp"

using namespace marmot;

namespace {

constexpr size_t kLimit = size_t{1} << 30;

// A frame as some other program may write it.
std::string foreign_frame(std::string_view raw, int level, bool with_size) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, with_size ? 1 : 0);
  std::string out(ZSTD_compressBound(raw.size()), '\0');
  out.resize(ZSTD_compress2(context, out.data(), out.size(), raw.data(), raw.size()));
  ZSTD_freeCCtx(context);
  return out;
}

Errc code_of(std::string_view frame, size_t limit = kLimit) {
  const auto raw = codec::decompress(frame, limit);
  return raw ? Errc::internal : raw.error().code;
}

}  // namespace

TEST_CASE("frame: what goes in comes out, in pieces, empty, incompressible or large") {
  test::Random random(30);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{200000}, size_t{3000000}}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random.next());
    const std::string zeros(size, '\0');
    for (const std::string& raw : {noise, zeros}) {
      const std::string_view all = raw;
      const auto frame = codec::compress({all.substr(0, size / 3), "", all.substr(size / 3)});
      REQUIRE(frame);
      const auto back = codec::decompress(*frame, kLimit);
      REQUIRE(back);
      CHECK(back->view() == raw);
    }
  }
}

TEST_CASE("frame: the same pieces give the same bytes") {
  const std::string raw(100000, 'x');
  CHECK(*codec::compress({raw, "tail"}) == *codec::compress({raw, "tail"}));
}

TEST_CASE("frame: a frame cut anywhere is corrupt, and so is one with bytes behind it") {
  const std::string frame = *codec::compress({"some text, some text, some more text"});
  for (size_t length = 0; length < frame.size(); ++length) CHECK(code_of(frame.substr(0, length)) == Errc::corrupt);
  CHECK(code_of(frame + "x") == Errc::corrupt);
  CHECK(code_of(frame + frame) == Errc::corrupt);
}

TEST_CASE("frame: its content checksum finds a flipped bit in the content") {
  std::string raw(4000, '\0');
  test::Random random(31);
  for (char& c : raw) c = static_cast<char>(random.next());  // stored as it is: a flip there passes every other check
  std::string frame = *codec::compress({raw});
  frame[2000] = static_cast<char>(frame[2000] ^ 1);
  CHECK(code_of(frame) == Errc::corrupt);
}

TEST_CASE("frame: a bomb is refused by the size it states, before anything is unpacked") {
  const std::string bomb = *codec::compress({std::string(size_t{64} << 20, '\0')});
  CHECK(bomb.size() < 10000);
  test::reset_allocations();
  const auto refused = codec::decompress(bomb, size_t{1} << 20);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::corrupt);
  CHECK(refused.error().message == "payload: unpacks to 67108864 bytes, more than 1048576");
  CHECK(test::allocations().largest < 1000);
  CHECK(codec::decompress(bomb, size_t{64} << 20));
}

TEST_CASE("frame: one that states no size is refused") {
  CHECK(code_of(foreign_frame("text text text", 1, false)) == Errc::corrupt);
  CHECK(codec::decompress(foreign_frame("text text text", 1, true), kLimit));
}

TEST_CASE("frame: one that states less than it holds is refused") {
  const std::string raw(100000, 'x');
  std::string frame = foreign_frame(raw, 1, true);
  const size_t stated_at = 5;  // magic, descriptor; a single-segment frame has its size next
  REQUIRE(ZSTD_getFrameContentSize(frame.data(), frame.size()) == raw.size());
  for (size_t i = 0; i < 4; ++i) frame[stated_at + i] = static_cast<char>(i == 0 ? 100 : 0);
  CHECK(code_of(frame) == Errc::corrupt);
}

TEST_CASE("frame: what is reserved follows what comes out, not what the header states") {
  // A single-segment frame that states 900 MiB and then holds a raw block of one byte.
  const unsigned char lie[] = {0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x58, 0x00, 0x00, 0x40, 0x38, 0x09, 0x00, 0x00, 'x'};
  const std::string_view frame(reinterpret_cast<const char*>(lie), sizeof lie);
  REQUIRE(ZSTD_getFrameContentSize(frame.data(), frame.size()) == size_t{900} << 20);
  test::reset_allocations();
  CHECK(code_of(frame) == Errc::corrupt);
  CHECK(test::allocations().largest <= (size_t{1} << 20) + 1);
}

TEST_CASE("frame: a window beyond 8 MiB is refused") {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 25);
  std::string raw(size_t{40} << 20, 'x');
  std::string frame(ZSTD_compressBound(raw.size()), '\0');
  frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), raw.data(), raw.size()));
  ZSTD_freeCCtx(context);
  CHECK(code_of(frame) == Errc::corrupt);
}

TEST_CASE("frame: skippable and empty frames are no payload") {
  CHECK(code_of("") == Errc::corrupt);
  const auto skipped = codec::decompress(std::string_view("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8), kLimit);
  CHECK((!skipped || skipped->size == 0));
}
