#include "tests/sim/agent.hpp"

#include <algorithm>

#include "common/codec/message.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

using replica::Membership;

namespace {
constexpr int64_t kResumeEvery = 2000, kCheckEvery = 1500;
constexpr int64_t kAskedLately = 3000;  // a node that waits for a snapshot asks again before that
constexpr int kPoliteTries = 6;
}  // namespace

Agent::Agent(World& world, Node& node) : world_(world), node_(node) {}
Agent::~Agent() = default;

void Agent::start() {
  if (alive_ || node_.away) return;
  alive_ = true;
  ++life_;
  ++generation_;
  state_ = State::opening;
  retry_at_ = 0;
  work_ = outbox_wanted_ = true;
  outbox_due_ = drained_for_outbox_ = false;
  busy_ = 0;
  anew_ = 0;
  sender_ = std::make_unique<Sender>(world_, node_, [this] { reenter("the stream was cut back"); });
  world_.say(node_.id, "agent starts");
  world_.after(1, [this, life = life_] {
    if (life == life_ && alive_) tick();
  });
}

// As kill -9: what was not committed is gone, and nothing is said to anybody.
void Agent::kill() {
  if (!alive_) return;
  alive_ = false;
  node_.waits_since = -1;
  ++life_;
  ++generation_;
  world_.disks.of(node_.id).kill(Process::agent);
  const Enter scope(world_.disks, node_.id, Process::agent);
  sender_.reset();
  round_.reset();
  copy_.reset();
  engine_.reset();
  queue_.clear();
  held_.clear();
  world_.say(node_.id, "agent dies");
}

bool Agent::inside(const std::function<void()>& call) {
  const Enter scope(world_.disks, node_.id, Process::agent);
  call();
  return !world_.disks.of(node_.id).stopped;
}

void Agent::tick() {
  const int64_t next = world_.random.between(1, 2 * world_.profile.tick_ms);
  world_.after(next, [this, life = life_] {
    if (life == life_ && alive_) tick();
  });
  Machine& machine = world_.disks.of(node_.id);
  const bool power = !world_.calm() && world_.random.per_mille(world_.profile.power);
  const bool crash = !world_.calm() && world_.random.per_mille(world_.profile.agent_crash);
  if (power || crash) {
    machine.faults.stop_after = world_.random.between(0, 60);
    machine.faults.stops = Process::agent;
    machine.faults.stop_all = power;
  }
  work();
  if (machine.stopped || power || crash) {
    machine.faults.stop_after = -1;
    world_.processes_stopped(node_);
  }
}

void Agent::work() {
  if (!held_.empty()) publish({});
  switch (state_) {
    case State::opening:
      if (world_.now() >= retry_at_ && open()) state_ = State::preparing;
      return;
    case State::preparing: return prepare();
    case State::waiting:
      if (node_.link.connected && world_.now() >= retry_at_) enter();
      return;
    case State::entering: return;
    case State::merging: return merge();
    case State::running: return run_one();
    case State::behind: return;
  }
}

// -- the file ---------------------------------------------------------------------------------------------------------

// As agent/database/file_identity.cpp: a file that stands elsewhere than it remembers is a copy, and gets a new node id.
Result<replica::Identity> Agent::identify(sqlite::Database& db) {
  const uint64_t inode = world_.disks.of(node_.id).files.at(node_.path)->inode;
  replica::Identity out;
  const auto known = db.query_integer("SELECT value FROM __marmot_meta WHERE key = 'node_id'");
  const auto stood = db.query_integer("SELECT value FROM __marmot_meta WHERE key = 'sim_inode'");
  const bool kept = known && stood && static_cast<uint64_t>(*stood) == inode;
  if (!known && known.error().code != Errc::schema && known.error().code != Errc::not_found) return Error(known.error());
  if (!stood && stood.error().code != Errc::schema && stood.error().code != Errc::not_found) return Error(stood.error());
  out.node = kept ? NodeId{static_cast<uint64_t>(*known)} : NodeId{++world_.next_node_id};
  uint64_t incarnation = (world_.random.next() >> 1) | 1;
  if (mutated(Mutation::incarnation_reused) && node_.former_incarnation != 0) incarnation = node_.former_incarnation;
  node_.former_incarnation = incarnation;
  out.incarnation = Incarnation{incarnation};
  out.high_water = Hlc{node_.high_water};
  return out;
}

Status Agent::remember(NodeId node) {
  const uint64_t inode = world_.disks.of(node_.id).files.at(node_.path)->inode;
  const auto put = [](const char* key, uint64_t value) {
    return "INSERT INTO __marmot_meta(key, value) VALUES('" + std::string(key) + "', " + std::to_string(value) +
           ") ON CONFLICT(key) DO UPDATE SET value = excluded.value;";
  };
  sqlite::Database& db = engine_->database();
  TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  TRY(db.exec(put("node_id", node.value) + put("sim_inode", inode)));
  return transaction.commit();
}

bool Agent::open() {
  engine_.reset();
  retry_at_ = world_.now() + 50;
  std::optional<Error> error;
  replica::Identity identity;
  const bool lives = inside([&] {
    const auto attempt = [&]() -> Status {
      if (!world_.disks.of(node_.id).exists(node_.path)) TRY(adopt_snapshot());
      TRY_ASSIGN(auto db, sqlite::Database::open(node_.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX));
      TRY_ASSIGN(const std::string mode, db.query_text("PRAGMA journal_mode = WAL"));
      if (mode != "wal") return make_error(Errc::busy, "not in WAL mode");
      TRY(db.exec("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY"));
      TRY_ASSIGN(identity, identify(db));
      replica::Settings settings;
      settings.exclude = {"sim_*"};
      settings.atomic_rows = world_.profile.atomic_rows;
      settings.max_message = world_.profile.max_message;
      settings.slice_us = world_.profile.slice_us;
      settings.retire_losers = !world_.profile.keep_losers;
      replica::Environment environment;
      environment.now = [this] { return world_.wall(node_); };
      environment.monotonic_us = [this] { return monotonic_us_ += world_.random.between(0, 900); };
      environment.others_reading = [this](replica::Environment::Moment) { return world_.disks.of(node_.id).others_reading(node_.path, Process::agent); };
      environment.log = [this](LogLevel level, std::string_view text) {
        if (level != LogLevel::debug) world_.say(node_.id, "log: " + std::string(text));
      };
      TRY_ASSIGN(auto engine, replica::Replica::open(std::move(db), settings, environment, identity));
      engine_.emplace(std::move(engine));
      engine_->trace(true);
      return remember(identity.node);
    };
    if (Status done = attempt(); !done) error = std::move(done).error();
    else watch_commits();
  });
  if (!lives) return false;
  if (error) {
    const Enter scope(world_.disks, node_.id, Process::agent);
    engine_.reset();
    done("open", *error);
    return false;
  }
  note_versions();  // a rebuilt table's rows are compared while it opens
  world_.say(node_.id, "opened as node " + std::to_string(identity.node.value) + " at " + std::to_string(engine_->position().seq));
  return true;
}

// Every commit is looked at as a reader would see it; and the WAL is checkpointed as SQLite would do by itself.
void Agent::watch_commits() {
  const auto hook = [](void* self, sqlite3* db, const char* schema, int pages) {
    Agent& agent = *static_cast<Agent*>(self);
    if (!agent.world_.disks.of(agent.node_.id).stopped) agent.world_.check_whole(agent.node_);
    if (pages >= agent.world_.profile.checkpoint_pages) sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(engine_->database().get(), hook, this);
}

void Agent::prepare() {
  std::optional<Result<bool>> all;
  if (!inside([&] { all = engine_->baseline(); })) return;
  if (!*all) return done("baseline", all->error());
  if (!**all) return;
  note_versions();
  node_.prepared = true;
  leave(State::waiting, 0);
}

// -- running ----------------------------------------------------------------------------------------------------------

void Agent::run_one() {
  feed();
  if (state_ != State::running) return;
  compare_nodes();
  if (world_.now() >= check_at_) {
    check_stream();
    if (state_ != State::running) return;
  }
  const bool held = !held_.empty();
  if (engine_->membership() == Membership::member && outbox_wanted_ && engine_->position().seq >= end_) {
    outbox_wanted_ = false;
    outbox_due_ = true;
    drained_for_outbox_ = false;
  }
  if (engine_->outbox_again()) outbox_due_ = true;
  std::vector<int> due;
  if (!queue_.empty() && !echoes_wait()) due.insert(due.end(), {0, 0});
  if (!held && (work_ || (outbox_due_ && !drained_for_outbox_) || world_.random.per_mille(50))) due.push_back(1);
  if (!held && outbox_due_ && drained_for_outbox_) due.push_back(2);
  if (world_.now() >= resume_at_ && !engine_->stopped().empty()) due.push_back(3);
  const bool scrubs = world_.profile.scrub && (world_.calm() ? !scrubbed_ && due.empty() : world_.random.per_mille(20));
  if (!held && scrubs) due.push_back(4);
  const bool wanted = world_.snapshot_wanted_at >= 0 && world_.now() - world_.snapshot_wanted_at < kAskedLately && world_.choose_snapshot(0) == nullptr;
  const bool snapshots = !held && world_.now() >= snapshot_at_ && (wanted || (world_.profile.snapshot_ms != 0 && !world_.calm()));
  if (copy_ || (snapshots && due.empty())) due.push_back(5);
  if (due.empty()) {
    const Enter scope(world_.disks, node_.id, Process::agent);
    const auto found = engine_->has_work();
    work_ = found && *found;
    return;
  }
  switch (world_.random.pick(due)) {
    case 0: return apply();
    case 1: return drain();
    case 2: return outbox();
    case 4: return scrub();
    case 5: return take_snapshot();
    default: return resume();
  }
}

// As DatabaseThread::Worker::echoes_due: its own messages only mark what they acknowledge, and wait for a drain to ride along with.
bool Agent::echoes_wait() const {
  if (world_.profile.echo_ms == 0 || world_.calm() || work_ || engine_->wants_echoes()) return false;
  const Origin self = engine_->origin();
  const auto own = [&](const replica::Incoming& message) {
    const auto id = codec::parse_message_id(message.msg_id);
    return id && id->origin == self;
  };
  return std::all_of(queue_.begin(), queue_.end(), own) && world_.now() - fed_at_ < world_.profile.echo_ms;
}

void Agent::drain() {
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->drain(busy_ < kPoliteTries); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("drain", result->error());
  drained_for_outbox_ = true;
  succeeded();
  publish(std::move((*result)->units));
}

void Agent::outbox() {
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->publish_outbox(busy_ < kPoliteTries); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("outbox", result->error());
  const bool nothing = (*result)->units.empty() && !(*result)->more;
  succeeded();
  publish(std::move((*result)->units));
  if (nothing) outbox_due_ = false;
}

void Agent::apply() {
  const StreamSeq before = engine_->position().seq;
  const std::deque<replica::Incoming> queue_before = queue_;
  std::optional<Result<replica::ApplyResult>> result;
  const bool lives = inside([&] { result = engine_->apply(queue_, busy_ < kPoliteTries); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("apply", result->error());
  drained_for_outbox_ = true;
  const size_t consumed = (*result)->messages;
  if ((*result)->refused) outbox_due_ = true;
  anew_ = (*result)->begins_anew;
  if (consumed > 0) world_.say(node_.id, "applied to " + std::to_string(engine_->position().seq) + ", " + std::to_string((*result)->rows_changed) + " rows changed");
  check_cursor(before, queue_before, consumed);
  succeeded();
  publish(std::move((*result)->units));
  sender_->applied(engine_->position().seq);
  if (anew_ != 0) reenter("it begins anew");
}

// The cursor moves over what was applied, and over nothing else.
void Agent::check_cursor(StreamSeq before, const std::deque<replica::Incoming>& queue_before, size_t consumed) {
  StreamSeq expected = before;
  for (size_t i = 0; i < consumed && i < queue_before.size(); ++i) expected = std::max(expected, queue_before[i].seq);
  const StreamSeq now = engine_->position().seq;
  if (now != expected) {
    world_.fail(node_.id, "cursor: at " + std::to_string(now) + " after message " + std::to_string(expected) + " was the last one applied");
  }
  sqlite::Database* const db = world_.checker(node_);
  const auto kept = db != nullptr ? db->query_integer("SELECT value FROM __marmot_meta WHERE key = 'cursor_seq'") : Result<int64_t>(0);
  if (consumed > 0 && (!kept || static_cast<StreamSeq>(*kept) != now)) {
    world_.fail(node_.id, "cursor: the file says " + (kept ? std::to_string(*kept) : kept.error().message) + ", the engine " + std::to_string(now));
  }
}

void Agent::note(const std::vector<replica::Change>& changes) {
  for (const replica::Change& change : changes) {
    if (!change.in) {
      world_.ledger.drained(node_.id, change.table, change.key, change.version);
    } else if (std::string wrong = world_.ledger.applied(node_.id, change.table, change.key, change.version); !wrong.empty()) {
      world_.fail(node_.id, wrong);
    }
  }
}

// The versions of what is not acknowledged, for drains whose changes nobody is told.
void Agent::note_versions() {
  sqlite::Database* const db = world_.checker(node_);
  if (db == nullptr) return;
  const Enter scope(world_.disks, node_.id, Process::checker);
  auto select = db->prepare("SELECT t.name, v.key, v.hlc, o.node, o.incarnation FROM __marmot_version v JOIN __marmot_table t ON t.id = v.tbl"
                            " JOIN __marmot_origin o ON o.id = v.origin WHERE v.seq IS NULL AND o.node = " + std::to_string(engine_->origin().node.value));
  for (auto row = select ? select->step() : Result<bool>(false); row && *row; row = select->step()) {
    const Version version{Hlc::from_stored(select->integer(2)),
                          Origin{NodeId{static_cast<uint64_t>(select->integer(3))}, Incarnation{static_cast<uint64_t>(select->integer(4))}}};
    world_.ledger.drained(node_.id, std::string(select->text(0)), describe_key(select->blob(1)), version);
  }
}

void Agent::announce_floor(StreamSeq seen) {
  if (state_ != State::running || !held_.empty()) return;
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->announce_floor(seen, true); });
  if (*result) note((*result)->changes);
  if (!lives) return world_.processes_stopped(node_);
  if (!*result) return done("floor", result->error());
  succeeded();
  publish(std::move((*result)->units));
}

void Agent::drain_now() {
  if (engine_ && state_ != State::opening && state_ != State::preparing) drain();
}

void Agent::outbox_now() {
  if (engine_ && state_ != State::opening && state_ != State::preparing) outbox();
}

void Agent::scrub_again() {
  if (engine_) engine_->scrub_again();
  scrubbed_ = !world_.profile.scrub;
}

// What capture did not see is a change like any other.
void Agent::scrub() {
  std::optional<Result<replica::ScrubResult>> result;
  const bool lives = inside([&] { result = engine_->scrub(busy_ < kPoliteTries); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("scrub", result->error());
  for (const auto& found : (*result)->found) world_.say(node_.id, "scrub finds " + found.table + " " + found.key);
  if ((*result)->done) scrubbed_ = true;
  succeeded();
  publish(std::move((*result)->units));
}

void Agent::resume() {
  resume_at_ = world_.now() + kResumeEvery;
  std::optional<Result<bool>> result;
  if (!inside([&] { result = engine_->resume_stopped(); })) return;
  if (!*result) return done("resume", result->error());
  note_versions();
  if (**result) {
    work_ = outbox_due_ = true;
    drained_for_outbox_ = false;
  }
}

// No version leaves before data_dir remembers its HLC.
void Agent::publish(std::vector<replica::OutUnit> units) {
  for (auto& unit : units) {
    world_.say(node_.id, "unit " + unit.msg_ids.front() + " of " + std::to_string(unit.rows) + " rows, " + std::to_string(unit.messages.size()) + " parts");
    if (std::string wrong = world_.ledger.published(node_.id, unit); !wrong.empty()) world_.fail(node_.id, wrong);
    held_.push_back(std::move(unit));
  }
  if (held_.empty() || !engine_) return;
  const uint64_t clock = engine_->last_hlc().value;
  if (clock > node_.high_water) {
    node_.high_water = clock;
    if (node_.high_water_since < 0) node_.high_water_since = world_.now();
  }
  sender_->add(std::exchange(held_, {}));
}

void Agent::succeeded() {
  busy_ = 0;
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto found = engine_->has_work();
  work_ = found && *found;
  if (node_.high_water_since >= 0 && world_.now() - node_.high_water_since > 1000) {
    node_.high_water_synced = node_.high_water;
    node_.high_water_since = -1;
  }
}

// A call that failed. Locks, full disks and I/O errors pass; nothing else is expected.
void Agent::done(const char* verb, const Error& error) {
  world_.count(error.code == Errc::busy ? "busy" : "failed");
  if (error.code == Errc::busy) {
    ++busy_;
    return;
  }
  world_.say(node_.id, std::string(verb) + ": " + error.message);
  if (error.code == Errc::stale) {  // its file is another one now: it ends, and is started again
    world_.disks.of(node_.id).faults.stops = Process::agent;
    return world_.processes_stopped(node_);
  }
  const bool disk = error.code == Errc::io || error.code == Errc::full;
  const DiskFaults& faults = world_.disks.of(node_.id).faults;
  if (disk && faults.bad()) return;
  if (error.code == Errc::schema && (faults.error_per_mille > 0 || faults.fail_after != DiskFaults::kNever)) return;  // SQLite could not read its schema
  sqlite::Database* const db = world_.checker(node_);
  const Enter scope(world_.disks, node_.id, Process::checker);
  world_.fail(node_.id, std::string(verb) + ": " + error.message + (db != nullptr ? "; " + check_file(*db, world_.schema.fts) : ""));
}

// What the subscription delivers: in order, some of it twice.
void Agent::feed() {
  if (node_.link.in_blocked || !node_.link.connected || !world_.server_up || queue_.size() > 50) return;
  const Stream& stream = world_.stream;
  if (stream.created() != created_ || stream.last() + 1 < next_) {
    const bool noticed = world_.random.per_mille(200);
    if (noticed) reenter(stream.created() != created_ ? "it is another stream" : "the stream ends before what was delivered");
    return;
  }
  const uint64_t most = world_.random.below(5);
  if (next_ > 1 && world_.random.per_mille(world_.profile.redelivered)) next_ -= world_.random.below(std::min<uint64_t>(next_ - 1, 4) + 1);
  for (uint64_t i = 0; i < most && next_ <= stream.last(); ++i) {
    const Stored* const stored = stream.get(next_);
    if (stored == nullptr) {
      if (stream.first() > next_ && engine_->position().seq + 1 <= next_ && !mutated(Mutation::gap_skipped)) return reenter("messages are gone");
      ++next_;
      continue;
    }
    queue_.push_back({next_, stored->at, stored->msg_id, stored->bytes});
    fed_at_ = world_.now();
    ++next_;
  }
}

void Agent::check_stream() {
  check_at_ = world_.now() + kCheckEvery;
  if (!node_.link.connected || node_.link.in_blocked || node_.link.out_blocked || !world_.server_up) return;
  if (world_.stream.created() != created_) return reenter("it was made anew");
  if (world_.stream.last() < std::max(engine_->position().seq, next_ - 1)) reenter("it ends before what this file has seen");
}

bool Agent::settled(std::string* why) {
  const auto no = [&](const std::string& text) {
    *why = "n" + std::to_string(node_.id) + ": " + text;
    return false;
  };
  if (!alive_) return node_.away ? true : no("its agent is down");
  if (state_ != State::running) return no("its agent is not in the stream, state " + std::to_string(static_cast<int>(state_)));
  if (!member()) return no("is no member");
  if (engine_->position().seq != world_.stream.last()) return no("at " + std::to_string(position()) + " of " + std::to_string(world_.stream.last()));
  if (!sender_->empty() || !held_.empty()) return no("its sender is not done");
  if (outbox_due_ || outbox_wanted_ || work_) return no("has something to publish");
  if (!scrubbed_) return no("is still comparing its rows with their versions");
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto found = engine_->has_work();
  if (!found || *found) return no("has something to drain");
  const auto counters = engine_->counters();
  if (!counters) return no(counters.error().message);
  if (counters->outbox_rows != 0) {
    const auto which = engine_->database().query_text("SELECT t.name || ' ' || hex(v.key) || ', state ' || v.state || ', origin ' || v.origin"
                                                      " FROM __marmot_version v JOIN __marmot_table t ON t.id = v.tbl WHERE v.seq IS NULL");
    return no(std::to_string(counters->outbox_rows) + " rows are unacknowledged, of " + (which ? *which : which.error().message));
  }
  if (counters->log_rows != 0) return no(std::to_string(counters->log_rows) + " keys are in the log");
  return true;
}

bool Agent::stages() {
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto counters = engine_->counters();
  return counters && counters->staged_parts != 0;
}

std::string Agent::trouble() {
  for (const auto& table : engine_->stopped()) return "table " + table.name + " is stopped: " + table.reason;
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto counters = engine_->counters();
  if (!counters) return counters.error().message;
  if (counters->quarantined != 0) return std::to_string(counters->quarantined) + " messages are quarantined";
  if (counters->waiting_units != 0) return std::to_string(counters->waiting_units) + " units wait";
  if (counters->staged_parts != 0) return std::to_string(counters->staged_parts) + " parts of units are staged";
  return {};
}

}  // namespace marmot::sim
