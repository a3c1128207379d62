#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/nats/fixture.hpp"

using namespace marmot;
using namespace marmot::testing;
using namespace marmot::agent::nats;

namespace {

std::string random_bytes(size_t size) {
  std::mt19937_64 random(size);
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

void write_file(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string read_file(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

bool exists(const std::string& path) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0;
}

struct Store {
  RealServer server;
  Loop loop;
  Client client{loop, server};
  std::unique_ptr<ObjectStore> store;

  Store() {
    REQUIRE(client.up());
    store = client->object_store(Bucket{"MARMOT_test_app_snapshots", "of a test", 1});
  }
  Result<ObjectInfo> put(const std::string& name, const std::string& bytes, std::map<std::string, std::string> metadata = {}) {
    const std::string path = server.dir() + "/put";
    write_file(path, bytes);
    return client.wait<ObjectInfo>([&](auto done) { store->put(path, name, metadata, {}, done); }, 30'000);
  }
  Status get(const ObjectInfo& object, const std::string& path) {
    const auto got = client.wait<bool>([&](auto done) {
      store->get(object, path, {}, [done](Status status) {
        if (status) done(true);
        else done(status.error());
      });
    }, 30'000);
    if (!got) return got.error();
    return ok();
  }
  Status remove(const std::string& name) {
    const auto got = client.wait<bool>([&](auto done) {
      store->remove(name, [done](Status status) {
        if (status) done(true);
        else done(status.error());
      });
    });
    if (!got) return got.error();
    return ok();
  }
  Result<std::vector<ObjectInfo>> list() {
    return client.wait<std::vector<ObjectInfo>>([&](auto done) { store->list(done); });
  }
  uint64_t bytes() { return client.state("OBJ_MARMOT_test_app_snapshots")->bytes; }
};

}  // namespace

TEST_CASE("objects: what was put comes back byte for byte, at every size around a chunk") {
  Store s;
  const std::string out = s.server.dir() + "/out";
  for (const size_t size : {size_t{0}, size_t{1}, kObjectChunk - 1, kObjectChunk, kObjectChunk + 1, 5 * kObjectChunk + 17}) {
    CAPTURE(size);
    const std::string bytes = random_bytes(size), name = "of " + std::to_string(size);
    const auto made = s.put(name, bytes, {{"seq", "17"}, {"odd key \"", "\xc3\xa4"}});
    REQUIRE(made);
    CHECK(made->size == size);
    CHECK(made->chunks == (size + kObjectChunk - 1) / kObjectChunk);
    REQUIRE(s.get(*made, out));
    CHECK(read_file(out) == bytes);
  }
  const auto listed = s.list();
  REQUIRE(listed);
  REQUIRE(listed->size() == 6);
  CHECK((*listed)[0].name == "of 0");
  CHECK((*listed)[0].metadata == std::map<std::string, std::string>{{"seq", "17"}, {"odd key \"", "\xc3\xa4"}});
  CHECK((*listed)[0].modified_ms > 1'600'000'000'000);
}

TEST_CASE("objects: a bucket that is not there holds nothing, and reading does not make it") {
  Store s;
  const auto listed = s.list();
  REQUIRE(listed);
  CHECK(listed->empty());
  CHECK(s.client.state("OBJ_MARMOT_test_app_snapshots").error().code == Errc::not_found);
}

TEST_CASE("objects: putting a name again replaces the object and frees its chunks") {
  Store s;
  REQUIRE(s.put("name", random_bytes(3 * kObjectChunk)));
  const std::string second = random_bytes(1000);
  const auto made = s.put("name", second);
  REQUIRE(made);
  CHECK(s.loop.run_until([&] { return s.bytes() < kObjectChunk; }));
  REQUIRE(s.list());
  CHECK(s.list()->size() == 1);
  REQUIRE(s.get(*made, s.server.dir() + "/out"));
  CHECK(read_file(s.server.dir() + "/out") == second);
}

TEST_CASE("objects: a deleted object leaves a mark and no chunks; the mark can be forgotten") {
  Store s;
  const auto made = s.put("name", random_bytes(3 * kObjectChunk));
  REQUIRE(made);
  REQUIRE(s.remove("name"));
  const auto listed = s.list();
  REQUIRE(listed);
  REQUIRE(listed->size() == 1);
  CHECK((*listed)[0].deleted);
  CHECK(s.bytes() < 1000);
  const Status gone = s.get(*made, s.server.dir() + "/out");
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Errc::not_found);
  CHECK_FALSE(exists(s.server.dir() + "/out"));
  CHECK(s.remove("name").error().code == Errc::not_found);
  CHECK(s.remove("never there").error().code == Errc::not_found);
  bool forgotten = false;
  s.store->forget("name", [&](Status status) { forgotten = static_cast<bool>(status); });
  REQUIRE(s.loop.run_until([&] { return forgotten; }));
  CHECK(s.list()->empty());
}

TEST_CASE("objects: a changed, a missing and a surplus chunk are found, and no file is left") {
  Store s;
  const std::string out = s.server.dir() + "/out";
  const auto made = s.put("name", random_bytes(3 * kObjectChunk));
  REQUIRE(made);
  ObjectInfo wrong = *made;
  wrong.digest = "SHA-256=" + std::string(43, 'A') + "=";
  CHECK(s.get(wrong, out).error().code == Errc::corrupt);
  CHECK_FALSE(exists(out));
  wrong = *made;
  wrong.chunks = 2;
  CHECK(s.get(wrong, out).error().code == Errc::corrupt);
  CHECK_FALSE(exists(out));
  wrong = *made;
  wrong.size += 1;
  CHECK(s.get(wrong, out).error().code == Errc::corrupt);
  CHECK_FALSE(exists(out));
}

TEST_CASE("objects: a store that is destroyed calls nobody, and its half-written file goes") {
  Store s;
  const std::string out = s.server.dir() + "/out";
  const auto made = s.put("name", random_bytes(40 * kObjectChunk));
  REQUIRE(made);
  bool called = false;
  s.store->get(*made, out, [&](uint64_t, uint64_t) { s.store.reset(); }, [&](Status) { called = true; });
  CHECK(s.loop.run_until([&] { return s.store == nullptr; }));
  s.loop.run_for(1'500);
  CHECK_FALSE(called);
  CHECK_FALSE(exists(out));
}

TEST_CASE("objects: a server that dies under a get or a put fails it, and it works again afterwards") {
  Store s;
  const std::string out = s.server.dir() + "/out";
  const std::string bytes = random_bytes(60 * kObjectChunk);
  const auto made = s.put("name", bytes);
  REQUIRE(made);
  std::optional<Status> ended;
  bool killed = false;
  s.store->get(*made, out, [&](uint64_t, uint64_t) {
    if (!std::exchange(killed, true)) s.server.kill9();
  }, [&](Status status) { ended = status; });
  REQUIRE(s.loop.run_until([&] { return ended.has_value(); }, 20'000));
  // All of it may have been on its way already.
  if (!*ended) CHECK_FALSE(exists(out));
  s.server.start();
  REQUIRE(s.client.up(15'000));
  REQUIRE(s.get(*made, out));
  CHECK(read_file(out) == bytes);
  const std::string path = s.server.dir() + "/put";
  std::optional<Result<ObjectInfo>> put;
  killed = false;
  s.store->put(path, "other", {}, [&](uint64_t, uint64_t) {
    if (!std::exchange(killed, true)) s.server.kill9();
  }, [&](Result<ObjectInfo> result) { put = std::move(result); });
  REQUIRE(s.loop.run_until([&] { return put.has_value(); }, 30'000));
  CHECK_FALSE(*put);
  s.server.start();
  REQUIRE(s.client.up(15'000));
  REQUIRE(s.put("other", bytes));
  CHECK(s.list()->size() == 2);
}

TEST_CASE("objects: a file that is not there is an error with its name") {
  Store s;
  const auto put = s.client.wait<ObjectInfo>([&](auto done) { s.store->put("/no/such/file", "name", {}, {}, done); });
  REQUIRE_FALSE(put);
  CHECK(put.error().message.find("/no/such/file") != std::string::npos);
}

// npm's client is the reference for the layout. MARMOT_NPM_NATS names a folder with node_modules/nats in it; without it
// npm is asked once, into the system's temporary folder.
TEST_CASE("objects: npm's nats client reads what was put, and what it puts is read here") {
  Store s;
  const char* given = std::getenv("MARMOT_NPM_NATS");
  const std::string folder = given != nullptr ? given : "/tmp/marmot-npm-nats-" + std::to_string(::getuid());
  if (!exists(folder + "/node_modules/nats")) {
    const std::string install = "mkdir -p " + folder + " && cd " + folder + " && timeout 60 npm install --no-save --silent nats@2 >/dev/null 2>&1";
    if (std::system("command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1") != 0 || std::system(install.c_str()) != 0) {
      MESSAGE("skipped: npm or its nats package is not here");
      return;
    }
  }
  const std::string bytes = random_bytes(3 * kObjectChunk + 5);
  REQUIRE(s.put("00000000000000000017.zst", bytes, {{"seq", "17"}}));
  REQUIRE(s.put("a", "one letter: its name is padded"));
  REQUIRE(s.put("gone", "x"));
  REQUIRE(s.remove("gone"));
  const std::string script = s.server.dir() + "/read.js";
  write_file(script, R"(
const { connect } = require('nats'); const fs = require('fs');
(async () => {
  const [url, dir] = process.argv.slice(2);
  const nc = await connect({ servers: url });
  const os = await nc.jetstream().views.os('MARMOT_test_app_snapshots');
  const names = (await os.list()).filter(o => !o.deleted).map(o => o.name).sort();
  if (names.join() !== '00000000000000000017.zst,a') throw new Error('names: ' + names);
  const info = await os.info('00000000000000000017.zst');
  if (info.metadata.seq !== '17') throw new Error('metadata: ' + JSON.stringify(info));
  fs.writeFileSync(dir + '/read', await os.getBlob('00000000000000000017.zst'));
  if (Buffer.from(await os.getBlob('a')).toString() !== 'one letter: its name is padded') throw new Error('a');
  await os.putBlob({ name: 'from npm' }, fs.readFileSync(dir + '/read'));
  await nc.close();
})().catch(e => { console.error(e); process.exit(1); });
)");
  const std::string run = "cd " + folder + " && cp " + script + " ./read-" + std::to_string(::getpid()) + ".js && timeout 30 node ./read-" +
                          std::to_string(::getpid()) + ".js " + s.server.url() + " " + s.server.dir() + "; code=$?; rm -f ./read-" +
                          std::to_string(::getpid()) + ".js; exit $code";
  REQUIRE(std::system(run.c_str()) == 0);
  CHECK(read_file(s.server.dir() + "/read") == bytes);
  const auto listed = s.list();
  REQUIRE(listed);
  bool found = false;
  for (const ObjectInfo& object : *listed) {
    if (object.name != "from npm") continue;
    found = true;
    REQUIRE(s.get(object, s.server.dir() + "/out"));
    CHECK(read_file(s.server.dir() + "/out") == bytes);
  }
  CHECK(found);
}
