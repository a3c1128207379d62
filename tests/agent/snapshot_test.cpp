#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "agent/loop/pool_job.hpp"
#include "agent/snapshot/snapshot_store.hpp"
#include "agent/snapshot/zstd_file.hpp"
#include "tests/agent/support.hpp"

using namespace marmot;
using namespace marmot::agent;
using namespace std::chrono_literals;
using test::run_until;

namespace {

constexpr WallMs kNow = 1'700'000'000'000;
constexpr WallMs kHour = 3'600'000;

nats::StreamState stream(StreamSeq first, StreamSeq last, uint64_t bytes = 1000, WallMs created = kNow - 100 * kHour) {
  nats::StreamState state;
  state.first_seq = first;
  state.last_seq = last;
  state.messages = last - first + 1;
  state.bytes = bytes;
  state.created_ms = created;
  return state;
}

std::string bytes_of(size_t size, bool random) {
  std::mt19937_64 engine(size);
  std::string out(size, 'a');
  if (random) {
    for (char& c : out) c = static_cast<char>(engine());
  }
  return out;
}

}  // namespace

TEST_CASE("snapshot records: metadata comes back; what is deleted, foreign or damaged is none") {
  nats::ObjectInfo object;
  object.name = "00000000000000000017.db.zst";
  object.metadata = {{"stream_id", "ff"}, {"seq", "17"}, {"msg_id", "1.2.3"}, {"msg_at_ms", "8"}, {"node", "4"}, {"at_ms", "5"}, {"rows", "6"},
                     {"bytes", "7"},      {"marmot", "0.1.0"}, {"compression", "zstd"}};
  const auto record = read_record(object);
  REQUIRE(record);
  CHECK(record->info.stream_id == 255);
  CHECK(record->info.seq == 17);
  CHECK(record->info.msg_id == "1.2.3");
  CHECK(record->info.msg_at == 8);
  CHECK(record->info.node.value == 4);
  CHECK(record->info.at == 5);
  CHECK(record->bytes == 7);
  nats::ObjectInfo deleted = object, foreign, damaged = object, other = object;
  deleted.deleted = true;
  damaged.metadata["seq"] = "17x";
  other.metadata["compression"] = "brotli";
  for (const nats::ObjectInfo& none : {deleted, foreign, damaged, other}) CHECK_FALSE(read_record(none));
}

TEST_CASE("snapshot records: a stream goes on from a snapshot that ends just before its first message, not earlier, nor beyond it") {
  SnapshotRecord record;
  record.info.at = kNow;
  const auto fits = [&](StreamSeq seq, const nats::StreamState& state) {
    record.info.seq = seq;
    return bridges(record, state);
  };
  CHECK_FALSE(fits(8, stream(10, 20)));
  CHECK(fits(9, stream(10, 20)));
  CHECK(fits(20, stream(10, 20)));
  CHECK_FALSE(fits(21, stream(10, 20)));
  CHECK(fits(20, stream(21, 20, 0)));
  CHECK_FALSE(fits(9, stream(10, 20, 1000, kNow + kHour)));  // of a stream that was there before
}

TEST_CASE("zstd files: what was compressed comes back, at every size; what is cut short or no zstd is corrupt and leaves nothing") {
  const test::TempDir dir;
  const std::string plain = dir.file("plain"), packed = dir.file("packed"), back = dir.file("back");
  const std::atomic<bool> cancelled{false};
  for (const size_t size : {size_t{0}, size_t{1}, size_t{131'072}, size_t{131'073}, size_t{3'000'000}}) {
    for (const bool random : {false, true}) {
      CAPTURE(size);
      const std::string bytes = bytes_of(size, random);
      test::write(plain, bytes);
      std::atomic<uint64_t> in{0}, out{0};
      REQUIRE(compress_file(plain, packed, cancelled, in));
      CHECK(in == size);
      REQUIRE(decompress_file(packed, back, cancelled, out));
      CHECK(test::read(back) == bytes);
      ::unlink(back.c_str());
      const std::string whole = test::read(packed);
      for (const size_t cut : {size_t{0}, size_t{1}, whole.size() / 2, whole.size() - 1}) {
        test::write(packed, whole.substr(0, cut));
        const Status status = decompress_file(packed, back, cancelled, out);
        REQUIRE_FALSE(status);
        CHECK(status.error().code == Errc::corrupt);
        CHECK(::access(back.c_str(), F_OK) != 0);
      }
      test::write(packed, whole + "more");
      CHECK(decompress_file(packed, back, cancelled, out).error().code == Errc::corrupt);
    }
  }
}

TEST_CASE("zstd files: a job that nobody wants any more ends, and leaves nothing") {
  const test::TempDir dir;
  test::write(dir.file("plain"), bytes_of(1000, true));
  const std::atomic<bool> cancelled{true};
  std::atomic<uint64_t> done{0};
  CHECK(compress_file(dir.file("plain"), dir.file("packed"), cancelled, done).error().code == Errc::busy);
  CHECK(::access(dir.file("packed").c_str(), F_OK) != 0);
}

TEST_CASE("work: the job runs on another thread, and then `done` on the loop") {
  uv::Loop loop;
  const auto loop_thread = std::this_thread::get_id();
  std::atomic<bool> elsewhere{false};
  bool done = false;
  const uv::PoolJob work(loop, [&](const uv::PoolJob::Cancelled&) { elsewhere = std::this_thread::get_id() != loop_thread; },
                      [&] { done = std::this_thread::get_id() == loop_thread && elsewhere; });
  CHECK(run_until(loop, [&] { return done; }));
}

TEST_CASE("work: destroyed, its job is told and `done` is not called; what the two hold goes before the loop does") {
  const auto held = std::make_shared<int>(0);
  bool done = false;
  {
    uv::Loop loop;
    const auto started = std::make_shared<std::atomic<bool>>(false);
    auto work = std::make_unique<uv::PoolJob>(
        loop,
        [started, held](const uv::PoolJob::Cancelled& cancelled) {
          *started = true;
          while (!cancelled) std::this_thread::sleep_for(1ms);
        },
        [&done, held] { done = true; });
    CHECK(run_until(loop, [&] { return started->load(); }));
    work.reset();
  }
  CHECK_FALSE(done);
  CHECK(held.use_count() == 1);
}

// A save that began while the last one's Work was still held had its copy removed under it.
TEST_CASE("work: what its functions hold goes when it is done, not when it is destroyed") {
  uv::Loop loop;
  auto held = std::make_shared<int>(0);
  const std::weak_ptr<int> seen = held;
  bool done = false;
  const uv::PoolJob work(loop, [held](const uv::PoolJob::Cancelled&) {}, [held, &done] { done = true; });
  held.reset();
  CHECK(run_until(loop, [&] { return done && seen.expired(); }));
}

TEST_CASE("a file is put in its place whole, under its own name only, and never over another one") {
  const test::TempDir dir;
  test::write(dir.file("from"), "new");
  REQUIRE(place_file(dir.file("from"), dir.file("to")));
  CHECK(test::read(dir.file("to")) == "new");
  ::unlink(dir.file("from").c_str());
  test::write(dir.file("from"), "another");
  const Status again = place_file(dir.file("from"), dir.file("to"));
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Errc::refused);
  CHECK(test::read(dir.file("to")) == "new");
  CHECK(::access(dir.file("to.marmot-new").c_str(), F_OK) != 0);
  CHECK(place_file(dir.file("from"), dir.file("no/such/folder/to")).error().code == Errc::io);
}
