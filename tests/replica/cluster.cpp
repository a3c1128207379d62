#include "tests/replica/cluster.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include <doctest/doctest.h>

#include "common/codec/message.hpp"

namespace marmot::test {

using replica::DrainResult;
using replica::Replica;

void require(const Status& status) {
  if (!status) FAIL(status.error().message);
}

void Stream::append(const std::string& msg_id, const std::string& bytes) {
  messages.push_back({messages.size() + 1, now, msg_id, bytes});
}

void Stream::append(const replica::OutUnit& unit) {
  for (size_t part = 0; part < unit.messages.size(); ++part) append(unit.msg_ids[part], unit.messages[part]);
}

void Stream::append(const std::vector<replica::OutUnit>& units) {
  for (const replica::OutUnit& unit : units) append(unit);
}

Node::Node(const std::filesystem::path& dir, uint64_t id, replica::Settings settings)
    : path(dir / ("n" + std::to_string(id) + ".db")), id_(id), settings_(std::move(settings)) {
  auto app = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  require(app.exec("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF"));
  app_ = std::make_unique<sqlite::Database>(std::move(app));
}

void Node::sql(const std::string& text) { require(app_->exec(text)); }

std::string Node::query(const std::string& text) {
  auto select = require(app_->prepare(text));
  std::string out;
  while (require(select.step())) {
    if (!out.empty()) out += '\n';
    for (int i = 0; i < select.columns(); ++i) out += (i == 0 ? "" : "|") + std::string(select.text(i));
  }
  return out;
}

void Node::restore(const std::string& from) {
  auto source = require(sqlite::Database::open(from, SQLITE_OPEN_READWRITE));
  sqlite3_backup* const backup = sqlite3_backup_init(app_->get(), "main", source.get(), "main");
  REQUIRE(backup != nullptr);
  CHECK(sqlite3_backup_step(backup, -1) == SQLITE_DONE);
  sqlite3_backup_finish(backup);
}

void Node::start(bool copied) {
  auto db = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE));
  require(db.exec("PRAGMA busy_timeout = 1000; PRAGMA synchronous = OFF"));
  replica::Environment environment;
  environment.now = [this] { return now; };
  environment.monotonic_us = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  environment.log = [this](LogLevel, std::string_view text) { log.emplace_back(text); };
  ++life_;
  const Origin self{NodeId{id_}, Incarnation{id_ * 1000 + life_}};
  lives_.push_back(life_of(self));
  engine_ = std::make_unique<Replica>(require(
      Replica::open(std::move(db), settings_, environment, {self.node, self.incarnation, high_water, hash_key, copied, former_, false, lives_})));
  while (!require(engine_->baseline())) {}
}

void Node::start_as(uint64_t id) {
  former_.push_back(NodeId{id_});
  id_ = id;
  start(true);
}

void Node::start_as_twin_of_the_former(uint64_t id) {
  id_ = id;
  start(true);
}

void Node::stop() {
  engine_.reset();
  pending_.clear();
}

void Node::found(Stream& stream) {
  start();
  const codec::Genesis genesis{stream.id, engine_->hash_key(), stream.clock_bound};
  stream.append("genesis", codec::seal(codec::Kind::genesis, engine_->origin(), 0, codec::encode_genesis(genesis), 1000, codec::genesis_format(genesis))[0]);
  stream.hash_key = engine_->hash_key();
  require(engine_->found(stream.id));
}

void Node::join(Stream& stream) {
  start();
  for (const auto& message : stream.messages) require(engine_->compare(message));
  const auto comparison = require(engine_->comparison());
  for (const auto& example : comparison.examples) MESSAGE(example);
  CHECK(comparison.accepted());
  require(engine_->join(stream.id, stream.messages.size(), 0, stream.hash_key));
}

std::vector<replica::OutUnit> Node::drain() {
  std::vector<replica::OutUnit> units = std::move(pending_);
  pending_.clear();
  for (bool more = true; more;) {
    DrainResult result = require(engine_->drain(false));
    for (auto& unit : result.units) units.push_back(std::move(unit));
    more = result.more;
  }
  for (bool more = true; more;) {
    DrainResult result = require(engine_->publish_outbox(false));
    for (auto& unit : result.units) units.push_back(std::move(unit));
    more = result.more;
  }
  return units;
}

void Node::publish(Stream& stream) {
  stream.append(drain());
}

void Node::apply(const Stream& stream) {
  std::deque<replica::Incoming> queue;
  for (const auto& message : stream.messages) {
    if (message.seq > engine_->position().seq) queue.push_back(message);
  }
  for (bool again = false; !queue.empty();) {
    auto result = engine_->apply(queue, false);
    // Once more, as the agent does.
    if (!result && result.error().code == Errc::busy && !std::exchange(again, true)) continue;
    again = false;
    for (auto& unit : require(std::move(result)).units) pending_.push_back(std::move(unit));
  }
}

void Node::redate(WallMs time) {
  require(engine_->redate(time, Incarnation{engine_->origin().incarnation.value + 500}));
  pending_.clear();
}

bool Node::merge_slice() {
  auto result = require(engine_->merge_slice(false));
  for (auto& unit : result.units) pending_.push_back(std::move(unit));
  return result.done;
}

void check_at_rest(Node& node) {
  for (const auto& stopped : node.engine().stopped()) FAIL_CHECK((stopped.name + ": " + stopped.reason));
  CHECK(node.query("PRAGMA integrity_check") == "ok");
  CHECK(require(node.engine().counters()).outbox_rows == 0);
  CHECK(require(node.engine().counters()).waiting_units == 0);
}

void announce(Node& node, Stream& stream) {
  stream.append(require(node.engine().announce_floor(stream.messages.size(), false)).units);
}

replica::SnapshotInfo take_snapshot(Node& node, const std::string& path) {
  auto copy = require(replica::SnapshotCopy::begin(node.engine(), path));
  while (!require(copy->step(3))) {}
  return copy->info();
}

void merge_snapshot(Node& node, const std::string& path) {
  require(node.engine().merge_begin(path));
  while (!node.merge_slice()) {}
}

void settle(Stream& stream, const std::vector<Node*>& nodes) {
  for (size_t before = SIZE_MAX; before != stream.messages.size();) {
    before = stream.messages.size();
    for (Node* node : nodes) {
      node->publish(stream);
      for (Node* other : nodes) other->apply(stream);
    }
  }
}

void Three::same(const std::string& query, const std::string& expected) {
  CHECK(a.query(query) == expected);
  CHECK(b.query(query) == expected);
  CHECK(c.query(query) == expected);
}

TempDir::TempDir() : path([] {
  std::string pattern = (std::filesystem::temp_directory_path() / "marmot-test-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  return pattern;
}()) {}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace marmot::test
