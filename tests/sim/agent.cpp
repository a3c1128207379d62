#include "tests/sim/agent.hpp"

#include <algorithm>
#include <cstdlib>

#include "common/codec/message.hpp"
#include "common/node/former_ids.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

using replica::Membership;

namespace {
constexpr int64_t kResumeEvery = 2000, kCheckEvery = 1500;
constexpr size_t kInFlight = 8;
constexpr int64_t kAskedLately = 3000;  // a node that waits for a snapshot asks again before that
constexpr int kPoliteTries = 6;
}  // namespace

Agent::Agent(World& world, Node& node) : world_(world), node_(node), drift_(world.clock_bound()) {}
Agent::~Agent() = default;

void Agent::start() {
  if (alive_ || node_.away) return;
  alive_ = true;
  ++life_;
  ++generation_;
  state_ = State::opening;
  retry_at_ = 0;
  catch_up_ = {};
  busy_ = 0;
  anew_ = 0;
  in_flight_ = 0;
  last_unit_.reset();
  unit_lost_ = false;
  compared_gap_ = 0;
  twins_ = {};
  untold_.forget();
  twins_.connected();
  gives_up_ = false;
  schedule_.emplace(limits(), now_us());
  publisher_ = std::make_unique<node::Publisher>(publisher_host(), world_.profile.publisher_bytes);
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
  publisher_.reset();
  round_.reset();
  copy_.reset();
  engine_.reset();
  schedule_.reset();
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
  if (state_ == State::opening) {
    if (world_.now() >= retry_at_ && open()) state_ = State::preparing;
    return;
  }
  if (gives_up_) return give_up();
  look_for_twins();
  if (state_ == State::waiting && node_.link.connected && world_.now() >= retry_at_ && may_publish()) enter();
  if (state_ == State::running) follow();
  if (alive_ && engine_ && !snapshots()) turn();
}

// -- the file ---------------------------------------------------------------------------------------------------------

// A file that stands elsewhere than it remembers is a copy, and gets a new node id.
Result<replica::Identity> Agent::identify(sqlite::Database& db) {
  const uint64_t inode = world_.disks.of(node_.id).files.at(node_.path)->inode;
  replica::Identity out;
  const auto known = db.query_integer("SELECT value FROM __marmot_meta WHERE key = 'node_id'");
  const auto stood = db.query_integer("SELECT value FROM __marmot_meta WHERE key = 'sim_inode'");
  const bool kept = known && stood && static_cast<uint64_t>(*stood) == inode;
  if (!known && known.error().code != Errc::schema && known.error().code != Errc::not_found) return Error(known.error());
  if (!stood && stood.error().code != Errc::schema && stood.error().code != Errc::not_found) return Error(stood.error());
  out.node = kept ? NodeId{static_cast<uint64_t>(*known)} : NodeId{++world_.next_node_id};
  out.copied = known && !kept;
  uint64_t incarnation = (world_.random.next() >> 1) | 1;
  if (mutated(Mutation::incarnation_reused) && node_.former_incarnation != 0) incarnation = node_.former_incarnation;
  node_.former_incarnation = incarnation;
  out.incarnation = Incarnation{incarnation};
  out.high_water = Hlc{node_.high_water};
  out.older = node_.rebooted;
  const NodeId before{known ? static_cast<uint64_t>(*known) : 0};
  node_.ids = node::ids_of_path(node_.ids, before, out.node, stood && *stood == kGivenUp);
  out.former.assign(node_.ids.begin(), node_.ids.end() - 1);
  node_.lives = node::lives_of_path(node_.lives, Origin{out.node, out.incarnation}, stood && *stood == kGivenUp);
  out.lives = node_.lives;
  out.hash_key = HashKey{incarnation * 0x9e3779b97f4a7c15ULL, inode};
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
      settings.pruned_rows = world_.profile.pruned_rows;
      settings.retire_losers = !world_.profile.keep_losers;
      if (world_.profile.ids) settings.ids.mode = replica::IdMode::compact;
      replica::Environment environment;
      environment.now = [this] { return world_.wall(node_); };
      environment.monotonic_us = [this] { return monotonic_us_ += world_.random.between(0, 900); };
      environment.others_reading = [this](replica::Environment::Moment) { return world_.disks.of(node_.id).others_reading(node_.path, Process::agent); };
      environment.log = [this](LogLevel level, std::string_view text) {
        if (level != LogLevel::debug) world_.logged(node_, text);
      };
      TRY_ASSIGN(auto engine, replica::Replica::open(std::move(db), settings, environment, identity));
      engine_.emplace(std::move(engine));
      node_.rebooted = node_.older = false;
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

void Agent::retire(NodeId owner) {
  (void)inside([&] {
    const auto report = engine_->ids();
    if (!report) return;
    for (const auto& slot : report->slots) {
      if (slot.owner == owner && !slot.retired) (void)engine_->retire_slot(slot.slot);
    }
  });
}

// Every commit is looked at as a reader would see it; and the WAL is checkpointed as SQLite would do by itself.
void Agent::watch_commits() {
  const auto hook = [](void* self, sqlite3* db, const char* schema, int pages) {
    Agent& agent = *static_cast<Agent*>(self);
    if (!agent.world_.disks.of(agent.node_.id).stopped) agent.world_.check_whole(agent.node_), agent.world_.check_next_id(agent.node_);
    if (pages >= agent.world_.profile.checkpoint_pages) sqlite3_wal_checkpoint_v2(db, schema, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    return SQLITE_OK;
  };
  sqlite3_wal_hook(engine_->database().get(), hook, this);
}

// -- turns ------------------------------------------------------------------------------------------------------------

int64_t Agent::now_us() const { return world_.now() * 1000; }

node::Schedule::Limits Agent::limits() {
  node::Schedule::Limits limits;
  limits.poll_us = world_.random.between(1, 3 * world_.profile.tick_ms) * 1000;
  limits.scrub_every_us = world_.profile.scrub ? 50 * world_.profile.tick_ms * 1000 : 0;
  limits.echo_delay_us = limits.echo_quiet_us = world_.profile.echo_ms * 1000;
  limits.resume_every_us = kResumeEvery * 1000;
  return limits;
}

node::Schedule::Standing Agent::standing() const {
  return {engine_->membership(), engine_->resumes(), engine_->wants_echoes()};
}

// An application that reads is waited for, but not for ever.
bool Agent::polite() const { return busy_ < kPoliteTries && node::patience_us(schedule_->inbox().backlog(now_us())) > 0; }

node::Publisher::Host Agent::publisher_host() {
  node::Publisher::Host host;
  host.send = [this](std::string_view msg_id, std::string_view bytes, std::function<void(Result<node::PublishAck>)> then) -> Status {
    if (in_flight_ >= kInFlight) return make_error(Errc::busy, "enough is in flight");
    if (checks_clock() && std::abs(node_.clock_offset) > world_.clock_bound() && node_.clock_since < live_at_) {
      world_.fail(node_.id, "clock: publishes on a connection that it made when its clock was off by " + std::to_string(node_.clock_offset) + " ms already");
    }
    ++in_flight_;
    const auto answer = std::make_shared<std::optional<StreamAck>>();
    World& world = world_;
    world_.request(
        node_,
        [&world, answer, id = std::string(msg_id), data = std::string(bytes)] {
          if (!world.stream.exists()) return;
          *answer = world.store(id, data);
        },
        [this, answer, life = life_, then = std::move(then)](bool came) {
          if (life != life_) return;
          --in_flight_;
          if (came && *answer) then(node::PublishAck{(*answer)->seq, (*answer)->duplicate});
          else then(make_error(Errc::unavailable, "no answer"));
        });
    return ok();
  };
  host.pause = [this](int64_t ms, std::function<void()> then) { world_.after(ms, std::move(then)); };
  host.now = [this] { return world_.wall(node_); };
  host.changed = [] {};
  host.lost = [this] {
    if (!world_.may_lose_units()) world_.fail(node_.id, "a unit is taken for lost, and the stream holds what was sent");
    unit_lost_ = true;
  };
  host.suspicious = [this] { reenter("the stream was cut back"); };
  host.log = [this](LogLevel level, std::string_view text) {
    if (level == LogLevel::error && !world_.harmed()) world_.fail(node_.id, std::string(text));
  };
  return host;
}

void Agent::turn() {
  const bool running = state_ == State::running;
  schedule_->set(running && publisher_->lets_apply() ? node::Mode::apply : node::Mode::idle, running && publisher_->takes_units() && may_publish_by_clock());
  if (world_.calm()) schedule_->hasten();
  if (unit_lost_ && !send_again()) return;
  if (engine_->outbox_again()) schedule_->outbox_again();
  if (schedule_->holds()) publish({});
  node::Turn turn = schedule_->next(now_us(), standing());
  if (turn.step == node::Step::look) {
    look();
    turn = schedule_->next(now_us(), standing());
  }
  take(turn.step);
}

// False: not now, or its process died in it.
bool Agent::send_again() {
  std::optional<Status> result;
  if (!inside([&] { result = engine_->unit_lost(); })) return false;
  if (!*result) done("send again", result->error());
  else unit_lost_ = false;
  return !unit_lost_;
}

std::string Agent::id_ahead(uint64_t units) const {
  if (!engine_) return {};
  const bool known = last_unit_ && last_unit_->origin == engine_->origin();
  return codec::message_id(engine_->origin(), (known ? last_unit_->number : 0) + units, 0);
}

void Agent::take(node::Step step) {
  switch (step) {
    case node::Step::none: case node::Step::compare: case node::Step::look: return;
    case node::Step::baseline: return prepare();
    case node::Step::merge: return merge();
    case node::Step::outbox: return outbox();
    case node::Step::apply: return apply();
    case node::Step::drain: return drain();
    case node::Step::resume: return resume();
    case node::Step::scrub: return scrub();
  }
}

void Agent::look() {
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto found = engine_->has_work();
  schedule_->looked(now_us(), found && *found);
}

// In the stream: what comes from it, and what an agent does beside its turns.
void Agent::follow() {
  feed();
  if (state_ != State::running) return;
  compare_clock();
  if (state_ != State::running) return;
  note_gap();
  look_for_untold();
  compare_nodes();
  if (world_.now() >= check_at_) check_stream();
  bool spread = false;
  if (state_ == State::running && catch_up_.due(engine_->membership(), position(), &spread)) schedule_->request_outbox();
}

// A snapshot is taken on a connection of its own, between turns. True: this tick was for it.
bool Agent::snapshots() {
  const bool wanted = world_.snapshot_wanted_at >= 0 && world_.now() - world_.snapshot_wanted_at < kAskedLately && world_.choose_snapshot(0) == nullptr;
  const bool whole = !(round_ && round_->lacking()) || (wanted && round_->alone());
  const bool due = state_ == State::running && !schedule_->holds() && whole && world_.now() >= snapshot_at_ &&
                   (wanted || (world_.profile.snapshot_ms != 0 && !world_.calm()));
  if (!(copy_ || due) || !world_.random.per_mille(400)) return false;
  take_snapshot();
  return true;
}

void Agent::prepare() {
  std::optional<Result<bool>> all;
  if (!inside([&] { all = engine_->baseline(); })) return;
  if (!*all) return done("baseline", all->error());
  if (!**all) return;
  schedule_->baselined();
  note_versions();
  node_.prepared = true;
  leave(State::waiting, 0);
}

void Agent::drain() {
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->drain(polite()); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("drain", result->error());
  schedule_->drained();
  succeeded((*result)->held_us);
  publish(std::move((*result)->units));
}

void Agent::outbox() {
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->publish_outbox(polite()); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result) return done("outbox", result->error());
  schedule_->sent_outbox(**result);
  succeeded((*result)->held_us);
  publish(std::move((*result)->units));
}

void Agent::apply() {
  const StreamSeq before = engine_->position().seq;
  std::deque<replica::Incoming>& queue = schedule_->inbox().queue();
  const std::deque<replica::Incoming> queue_before = queue;
  const bool only_echoes = schedule_->echoes_only(now_us());
  std::optional<Result<replica::ApplyResult>> result;
  const bool lives = inside([&] { result = engine_->apply(queue, only_echoes || polite()); });
  if (*result) note((*result)->changes);
  if (!lives) return;
  if (!*result && only_echoes && result->error().code == Errc::busy) return schedule_->echoes_put_off(now_us());
  if (!*result) return done("apply", result->error());
  const size_t consumed = (*result)->messages;
  schedule_->applied(now_us(), **result, only_echoes);
  anew_ = (*result)->begins_anew;
  if (consumed > 0) world_.say(node_.id, "applied to " + std::to_string(engine_->position().seq) + ", " + std::to_string((*result)->rows_changed) + " rows changed");
  check_cursor(before, queue_before, consumed);
  succeeded((*result)->held_us);
  publish(std::move((*result)->units));
  const auto own_units = engine_->own_units();
  publisher_->applied(engine_->position().seq, own_units ? *own_units : 0);
  if ((*result)->misdated) stamps_right_ = false;
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
  auto select = db->prepare("SELECT t.name, v.key, v.hlc, o.node, o.incarnation FROM (SELECT tbl, key, hlc, origin, seq FROM __marmot_version"
                            " UNION ALL SELECT tbl, key, hlc, origin, seq FROM __marmot_buried) v JOIN __marmot_table t ON t.id = v.tbl"
                            " JOIN __marmot_origin o ON o.id = v.origin WHERE v.seq IS NULL AND o.node = " + std::to_string(engine_->origin().node.value));
  for (auto row = select ? select->step() : Result<bool>(false); row && *row; row = select->step()) {
    const Version version{Hlc::from_stored(select->integer(2)),
                          Origin{NodeId{static_cast<uint64_t>(select->integer(3))}, Incarnation{static_cast<uint64_t>(select->integer(4))}}};
    world_.ledger.drained(node_.id, std::string(select->text(0)), describe_key(select->blob(1)), version);
  }
}

void Agent::announce_floor(StreamSeq seen) {
  if (state_ != State::running || schedule_->holds()) return;
  std::optional<Result<replica::DrainResult>> result;
  const bool lives = inside([&] { result = engine_->announce_floor(seen, true); });
  if (*result) note((*result)->changes);
  if (!lives) return world_.processes_stopped(node_);
  if (!*result) return done("floor", result->error());
  succeeded((*result)->held_us);
  publish(std::move((*result)->units));
}

void Agent::drain_now() {
  if (engine_ && state_ != State::opening && state_ != State::preparing) drain();
}

void Agent::outbox_now() {
  if (engine_ && state_ != State::opening && state_ != State::preparing) outbox();
}

void Agent::scrub_again() {
  if (schedule_ && world_.profile.scrub) schedule_->scrubbing.ask();
  scrubbed_ = !world_.profile.scrub;
}

// What capture did not see is a change like any other.
void Agent::scrub() {
  node::Scrubbing& scrubbing = schedule_->scrubbing;
  const int64_t began = now_us();
  std::optional<Result<replica::ScrubResult>> result;
  const bool lives = inside([&] {
    if (!scrubbing.running()) {
      if (!scrubbing.begin(began, engine_->data_version())) return;
      engine_->scrub_again();
    }
    result = engine_->scrub(scrubbing.polite());
  });
  if (!result) return;
  if (*result) note((*result)->changes);
  if (!lives) return;
  const bool busy = !*result && result->error().code == Errc::busy;
  if (!*result && !busy) scrubbing.failed(began);
  if (!*result && !busy) return done("scrub", result->error());
  if (busy || (*result)->not_now) return schedule_->scrub_put_off(began, busy);
  for (const auto& found : (*result)->found) world_.say(node_.id, "scrub finds " + found.table + " " + found.key);
  if (scrubbing.done(began, now_us(), **result)) scrubbed_ = true;
  if ((*result)->held_us > 0) succeeded((*result)->held_us);
  publish(std::move((*result)->units));
}

void Agent::resume() {
  std::optional<Result<bool>> result;
  if (!inside([&] { result = engine_->resume_stopped(); })) return;
  schedule_->resumed(now_us(), *result);
  if (!*result) return done("resume", result->error());
  if (**result && world_.harmed()) world_.ledger.resumed(node_.id);  // a lost schema change stops tables
  note_versions();
}

// No version leaves before data_dir remembers its HLC.
void Agent::publish(std::vector<replica::OutUnit> units) {
  for (const auto& unit : units) {
    if (const auto id = codec::parse_message_id(unit.msg_ids.front())) last_unit_ = *id;
    world_.say(node_.id, "unit " + unit.msg_ids.front() + " of " + std::to_string(unit.rows) + " rows, " + std::to_string(unit.messages.size()) + " parts");
    if (std::string wrong = world_.ledger.published(node_.id, unit); !wrong.empty()) world_.fail(node_.id, wrong);
  }
  if (!schedule_) return;
  schedule_->hold(std::move(units));
  if (!schedule_->holds() || !engine_) return;
  if (world_.profile.spell != 0 && !world_.calm() && world_.random.per_mille(30)) return;  // data_dir cannot be written
  node_.lives = node::lives_of_path(node_.lives, engine_->origin(), false);
  const uint64_t clock = engine_->last_hlc().value;
  if (clock > node_.high_water) {
    node_.high_water = clock;
    if (node_.high_water_since < 0) node_.high_water_since = world_.now();
  }
  twins_.sent();
  publisher_->add(schedule_->release());
}

void Agent::succeeded(int64_t held_us) {
  schedule_->stay_away(now_us(), held_us, false, busy_ > 0);
  busy_ = 0;
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto found = engine_->has_work();
  schedule_->succeeded(found && *found);
  if (node_.high_water_since >= 0 && world_.now() - node_.high_water_since > 1000) {
    node_.high_water_synced = node_.high_water;
    node_.high_water_since = -1;
  }
}

// A call that failed. Locks, full disks and I/O errors pass; nothing else is expected.
void Agent::done(const char* verb, const Error& error) {
  world_.count(error.code == Errc::busy ? "busy" : "failed");
  if (schedule_) schedule_->failed(now_us(), error.code);
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
  if (node_.link.in_blocked || !node_.link.connected || !world_.server_up || schedule_->inbox().size() > 50) return;
  const Stream& stream = world_.stream;
  if (const std::string why = node::doubt(stream.created() == created_, stream.last(), next_ - 1); !why.empty()) {
    if (world_.random.per_mille(200)) reenter(why);
    return;
  }
  const uint64_t most = world_.random.below(5);
  if (next_ > 1 && world_.random.per_mille(world_.profile.redelivered)) next_ -= world_.random.below(std::min<uint64_t>(next_ - 1, 4) + 1);
  for (uint64_t i = 0; i < most && next_ <= stream.last(); ++i) {
    const Stored* const stored = stream.get(next_);
    if (stored == nullptr) {
      if (position() < next_ && node::gap_is_lost(stream.first(), next_)) return reenter("messages are gone");
      if (position() < next_) schedule_->add({{next_, world_.now(), {}, {}, true}}, engine_->origin(), now_us());
      ++next_;
      continue;
    }
    if (const auto sent = publisher_->came(stored->msg_id, stored->bytes)) drift_.observe(*sent, stored->at, world_.wall(node_));
    if (const auto id = codec::parse_message_id(stored->msg_id); id && id->origin == engine_->origin()) twins_.came(next_);
    schedule_->add({{next_, stored->at, stored->msg_id, stored->bytes}}, engine_->origin(), now_us());
    ++next_;
  }
}

void Agent::check_stream() {
  check_at_ = world_.now() + kCheckEvery;
  if (!node_.link.connected || node_.link.in_blocked || node_.link.out_blocked || !world_.server_up) return;
  const std::string why = node::doubt(world_.stream.created() == created_, world_.stream.last(), std::max(position(), next_ - 1));
  if (!why.empty()) reenter(why);
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
  if (!may_publish_by_clock()) return no("its clock is to be compared with the server's");
  if (!publisher_->empty() || schedule_->holds()) return no("its publisher is not done");
  if (schedule_->outbox_due() || catch_up_.wanted() || schedule_->logged()) return no("has something to publish");
  if (engine_->gap().last != compared_gap_ || (round_ && round_->seeking())) return no("messages are gone, and the nodes are still to be compared");
  if (!scrubbed_) return no("is still comparing its rows with their versions");
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto found = engine_->has_work();
  if (!found || *found) return no("has something to drain");
  const auto untold = engine_->untold_units();
  if (!untold || *untold != 0) return no("rows wait for a table of which nobody has told");
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

bool Agent::waits_for_floor() {
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto waits = engine_->wants_floor();
  return waits && *waits;
}

std::string Agent::trouble() {
  for (const auto& table : engine_->stopped()) return "table " + table.name + " is stopped: " + table.reason;
  const Enter scope(world_.disks, node_.id, Process::agent);
  const auto counters = engine_->counters();
  if (!counters) return counters.error().message;
  if (counters->quarantined != 0 && !world_.harmed()) return std::to_string(counters->quarantined) + " messages are quarantined";
  if (counters->waiting_units != 0) return std::to_string(counters->waiting_units) + " units wait";
  if (counters->staged_parts != 0) {
    const auto which = engine_->database().query_text("SELECT group_concat(node || '.' || unit || '.' || part || ' of message ' || seq, ', ') FROM "
                                                      "(SELECT * FROM __marmot_part WHERE kind <> 0 AND part >= 0 LIMIT 5)");
    return std::to_string(counters->staged_parts) + " parts of units are staged: " + (which ? *which : which.error().message);
  }
  return {};
}

}  // namespace marmot::sim
