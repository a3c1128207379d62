#include "agent/replication/replicator.hpp"

#include <sys/stat.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "agent/check/check_file.hpp"
#include "agent/loop/clock.hpp"
#include "common/base/long_work.hpp"
#include "common/codec/envelope.hpp"
#include "common/replica/schema_objects.hpp"

namespace marmot::agent {

namespace {

constexpr int64_t kIdsMs = 100;            // between looks whether something may be said of ids
constexpr int64_t kIdsAloneMs = 1500;      // for a beat of nodes that nobody told of, if there are any
constexpr int64_t kIdsAwayMs = 5000;       // without having heard every member
constexpr int64_t kCheckMs = 5000;         // the stream is looked at
constexpr int64_t kLostAgainMs = 2000;     // noting that a unit was lost failed
constexpr int64_t kBeatSoonMs = 50;        // after something was applied
constexpr int64_t kBehindMs = 30'000;      // waiting for a snapshot for longer is an error
constexpr int64_t kSpreadMs = 2000;        // after lost history, nodes publish at different times
constexpr size_t kMaxArrivals = 65'536;
constexpr size_t kServerDefault = size_t{1} << 20;  // max_payload of a server that was told nothing

DatabaseSetup setup_of(const Config& config, const DatabaseConfig& database, const LogSink& log) {
  DatabaseSetup setup;
  setup.path = database.path;
  setup.name = database.name;
  setup.extensions = config.extensions;
  setup.settings.include = database.tables;
  setup.settings.exclude = database.exclude;
  setup.settings.atomic_rows = config.atomic_rows;
  setup.settings.retire_losers = config.unique_losers == UniqueLosers::retire;
  setup.settings.conflict_log_rows = config.conflict_log_rows;
  setup.settings.ids.mode = config.ids.mode == IdsMode::off        ? replica::IdMode::off
                            : config.ids.mode == IdsMode::extended ? replica::IdMode::extended
                                                                   : replica::IdMode::compact;
  setup.settings.ids.narrow = config.ids.narrow;
  setup.settings.ids.adopt = config.ids.adopt == IdsAdopt::automatic;
  setup.settings.ids.held = true;
  setup.node_id = config.node_id;
  setup.high_water_path = config.data_dir + "/" + database.name + ".hlc";
  setup.poll_interval_ms = config.poll_interval_ms;
  setup.scrub_interval_ms = config.anti_entropy_interval_s * 1000;
  setup.log = log;
  return setup;
}

EntryPlan plan_of(const Config& config, const DatabaseConfig& database) {
  EntryPlan plan;
  plan.stream.name = "MARMOT_" + config.cluster + "_" + database.name;
  plan.stream.subject = "marmot." + config.cluster + "." + database.name + ".log";
  plan.stream.replicas = config.log.replicas;
  plan.stream.max_age_ms = config.log.max_age_ms;
  plan.stream.max_bytes = config.log.max_bytes;
  plan.stream.update_existing = config.log.update_existing;
  plan.stream.may_create = !config.nats.join;
  plan.may_found = !config.nats.join;
  // Wider than the default only where agents here publish with clocks that are further off.
  if (2 * config.max_clock_drift_ms > codec::kClockBoundMs) plan.clock_bound_ms = 2 * config.max_clock_drift_ms;
  plan.adopt = database.adopt;
  plan.name = database.name;
  plan.path = database.path;
  return plan;
}

// No file, or one without a byte: a snapshot may become it.
bool nothing_there(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return errno == ENOENT;
  return S_ISREG(facts.st_mode) && facts.st_size == 0 && ::access((path + "-wal").c_str(), F_OK) != 0;
}

bool same_file(const std::string& path, uint64_t device, uint64_t inode) {
  struct stat facts {};
  return ::stat(path.c_str(), &facts) == 0 && facts.st_dev == device && facts.st_ino == inode;
}

}  // namespace

Replicator::Replicator(uv::Loop& loop, uv::Mailbox::Sender sender, const Config& config, const DatabaseConfig& database,
                       LogSink log, Events events)
    : loop_(loop),
      config_(config),
      database_(database),
      log_(std::move(log)),
      events_(std::move(events)),
      plan_(plan_of(config, database)),
      prefix_("marmot." + config.cluster + ".ctl." + database.name + "."),
      publisher_host_(loop, plan_.stream.name, plan_.stream.subject),
      publisher_(publisher_host_.host(
          database.name, log_,
          [this] {
            update_flow();
            announce_ready();
            poke();
          },
          [this] { send_again(); }, [this] { reenter("the stream was cut back", 0); })),
      clock_(loop, plan_.stream.name, plan_.stream.subject, config.max_clock_drift_ms, [this] { on_clock(); }),
      alarm_(loop, database.name, database.path + "-wal", log_,
             [this] { return node::StallRule::Facts{thread_->stalled_ms(), followed(), stream_end(), 0}; }, [this] { return trouble(); }),
      wal_(loop, [this](std::string_view, int rc) {
        if (rc != 0) wal_watched_ = false;  // the check timer watches it again; polling goes on meanwhile
        thread_->wake();
      }),
      retry_(loop, [this] {
        if (file_held_) first_file();
        else enter();
      }),
      check_(loop, [this] { check_stream(); }),
      outbox_delay_(loop, [this] { thread_->publish_outbox(); }),
      beat_soon_(loop, [this] { peers_->beat(); }),
      lost_again_(loop, [this] { send_again(); }),
      ids_soon_(loop, [this] { release_ids(); }),
      retry_stamps_(loop, [this] { look_at_stamps(); }),
      waiters_(loop) {
  DatabaseEvents handlers;
  handlers.opened = [this](Result<DatabaseOpened> opened) { on_opened(std::move(opened)); };
  handlers.units = [this](std::vector<replica::OutUnit> units) {
    if (!units.empty()) twins_->sent();
    publisher_.add(std::move(units));
  };
  handlers.progress = [this](const DatabaseProgress& progress) { on_progress(progress); };
  handlers.changes = [this](const std::vector<replica::Change>& changes) { tails_->tell(changes); };
  handlers.schema_changed = [this](const std::set<std::string>& names) { events_.schema_changed(names); };
  handlers.misdated = [this] {
    stamps_right_ = false;
    on_clock();
  };
  handlers.room = [this] {
    if (subscription_ && !in_gap_) subscription_->resume();
    if (entry_) entry_->on_room();
  };
  DatabaseSetup setup = setup_of(config, database, log_);
  setup.hold = file_held_ = nothing_there(database.path);
  thread_ = std::make_unique<DatabaseThread>(std::move(setup), std::move(handlers), std::move(sender));
  tails_ = std::make_unique<Tails>(*thread_);
  twins_ = std::make_unique<TwinWatch>(loop, prefix_,
                                       TwinWatch::Events{[this] { return progress_.origin; }, [this] { enter(); },
                                                         [this](const std::string& twin) { give_way(twin); },
                                                         [this](std::string_view bytes, const Error& error) { peers_->not_understood(bytes, error); }});
  clocks_ = std::make_unique<Clocks>(loop, prefix_,
                                     Clocks::Events{[this] { return progress_.origin.node; }, [this] { return clock_.off_ms(); }, [this] { on_clock(); },
                                                    [this](std::string_view bytes, const Error& error) { peers_->not_understood(bytes, error); }});
  peers_ = std::make_unique<Peers>(loop, prefix_, database.name, *thread_, log_,
                                   Peers::Events{[this] { return self(); }, [this] { poke(); },
                                                 [this](StreamSeq) { thread_->hasten(); }, [this] { twins_->suspect(); }});
  repair_ = std::make_unique<Repair>(PeersHost{loop, *thread_, *peers_, prefix_, database.name, log_, [this] { return self(); }},
                                     config.anti_entropy_interval_s * 1000, [this] { return all_there(); });
  members_ = std::make_unique<Members>(PeersHost{loop, *thread_, *peers_, prefix_, database.name, log_, [this] { return self(); }},
                                       config.retention_ms);
  snapshots_ = std::make_unique<Snapshots>(
      loop, *thread_,
      Snapshots::Setup{config.cluster, database.name, plan_.stream.name, prefix_, config.data_dir, config.log.replicas,
                       static_cast<size_t>(config.snapshot.keep),
                       node::SnapshotPolicy{config.snapshot.interval_ms, config.log.max_age_ms, config.log.max_bytes}},
      Snapshots::Host{[this] { return snapshot_rank(); },
                      [this](std::string_view bytes, const Error& error) { peers_->not_understood(bytes, error); }},
      log_);
  plan_.company = [this] { return company(); };
  if (file_held_) state_text_ = "waiting for NATS: " + database.path + " does not exist or is empty, and may be built from a snapshot";
}

Replicator::~Replicator() {
  // Before the objects that its events and questions call.
  alive_.reset();
  verify_.reset();
  repair_.reset();
  members_.reset();
  first_file_.reset();
  entry_.reset();
  snapshots_.reset();
  subscription_.reset();
  publisher_.pause();
  thread_->close();
}

// -- the file ---------------------------------------------------------------------------------------------------------

void Replicator::on_opened(Result<DatabaseOpened> opened) {
  if (!opened) {
    state_ = State::stopped;
    state_text_ = opened.error().message;
    return events_.failed(opened.error());
  }
  opened_ = *std::move(opened);
  plan_.installed_now = opened_->installed;
  progress_.origin = opened_->origin;
  progress_.membership = opened_->membership;
  progress_.position = opened_->position;
  if (opened_->created) log_(LogLevel::info, name() + ": " + path() + " did not exist: an empty database was made");
  state_ = State::preparing;
  watch_wal();
  alarm_.start();
  check_.start(uv::Milliseconds(kCheckMs), uv::Milliseconds(kCheckMs));
  events_.opened(opened_->origin.node);
  if (from_snapshot_) tell_whole_schema();
}

// All of it came from other nodes, by a file.
void Replicator::tell_whole_schema() {
  using Names = std::set<std::string>;
  (void)thread_->ask<Names>(
      [](replica::Replica& replica) -> Result<Names> {
        TRY_ASSIGN(const replica::SchemaObjects objects, replica::read_schema_objects(replica.database()));
        return replica::changed_names({}, objects);
      },
      [this](const Result<Names>& names) {
        if (names && !names->empty()) events_.schema_changed(*names);
      });
}

void Replicator::watch_wal() {
  if (wal_watched_ || !opened_) return;
  wal_watched_ = static_cast<bool>(wal_.start(path() + "-wal"));
}

void Replicator::on_progress(const DatabaseProgress& progress) {
  const bool prepared = progress.baseline_done && !progress_.baseline_done;
  const bool moved = progress.position.seq != progress_.position.seq;
  progress_ = progress;
  while (!arrivals_.empty() && arrivals_.front().first <= progress_.position.seq) arrivals_.pop_front();
  if (progress.stale && state_ != State::stopped) return replaced(progress.halted);
  if (!progress.halted.empty() && state_ != State::stopped) {
    leave(State::stopped);
    state_text_ = progress.halted;
    return;
  }
  note_gap();
  if (state_ == State::running) {
    publisher_.applied(progress_.position.seq, progress_.own_units);
    peers_->on_applied();
    if (moved && !beat_soon_.active()) beat_soon_.start(uv::Milliseconds(kBeatSoonMs));
    caught_up();
    if (progress.begins_anew != 0) {
      reenter("the stream begins anew with message " + std::to_string(progress.begins_anew), 0);
    }
  }
  if (entry_) entry_->on_progress(progress_);
  if (prepared) {
    state_ = State::waiting;
    if (connected_) enter();
    else log_(LogLevel::info, name() + ": waiting for NATS; the application is not affected");
  }
  poke();
}

// -- the stream -------------------------------------------------------------------------------------------------------

void Replicator::on_up(nats::Connection& connection) {
  connection_ = &connection;
  connected_ = true;
  const size_t largest = std::min(connection.max_payload(), kServerDefault) / 8 * 7;
  if (largest != 0) thread_->set_max_message(largest);
  snapshots_->start(connection);
  peers_->listen(connection);
  twins_->listen(connection);
  clocks_->listen(connection);
  if (file_held_) first_file();
  else if (state_ == State::waiting || state_ == State::behind) enter();
}

// A snapshot becomes the file, where there is one that the stream goes on from; else it is made empty, and entered so.
void Replicator::first_file() {
  if (first_file_ || !connected_) return;
  first_file_ = std::make_unique<SnapshotJoin>(loop_, *connection_, *snapshots_->store(), plan_.stream.name, path(), name(), log_,
                                               [this](Result<bool> adopted) {
    first_file_.reset();
    if (!adopted) {
      state_text_ = last_error_ = "build the file from a snapshot: " + adopted.error().message;
      report(LogLevel::error, state_text_);
      return retry_.start(uv::Milliseconds(2000));
    }
    state_text_.clear();
    last_error_.clear();
    file_held_ = false;
    from_snapshot_ = *adopted;
    thread_->go();
  });
}

void Replicator::on_down(const std::string& reason) {
  connected_ = false;
  twins_->on_down();
  behind_since_ms_ = 0;
  if (file_held_) {
    first_file_.reset();
    retry_.stop();
  }
  if (state_ == State::running || state_ == State::entering) {
    leave(State::waiting);
    state_text_ = "waiting for NATS: " + reason;
  } else if (state_ == State::waiting) {
    retry_.stop();
    state_text_ = "waiting for NATS: " + reason;
  }
}

// Out of the stream: nothing of it is listened to any more; what the thread has not applied is dropped, and read again.
void Replicator::leave(State state) {
  ++generation_;
  entry_.reset();
  subscription_.reset();
  publisher_.pause();
  clock_.stop();
  peers_->stop();
  repair_->stop();
  members_->stop();
  retry_.stop();
  outbox_delay_.stop();
  arrivals_.clear();
  state_ = state;
  state_text_.clear();
  update_flow();
  poke();
}

void Replicator::reenter(const std::string& why, int64_t delay_ms) {
  if (state_ != State::running && state_ != State::entering) return;
  log_(LogLevel::warn, name() + ": checking the stream again: " + why);
  leave(State::waiting);
  state_text_ = why;
  if (connected_) retry_.start(uv::Milliseconds(delay_ms));
}

void Replicator::enter() {
  if ((state_ != State::waiting && state_ != State::behind) || !connected_ || redating_ || !twins_->may_publish()) return;
  state_ = State::entering;
  // Where the file stands is known once the thread has let go of what it was applying.
  thread_->reset_queue([this, generation = generation_](const DatabaseProgress& progress) {
    if (generation != generation_ || state_ != State::entering) return;
    mode_ = DatabaseThread::Mode::idle;
    entry_ = std::make_unique<StreamEntry>(loop_, *connection_, *thread_, *snapshots_, plan_, progress, log_,
                                           [this](EntryOutcome outcome) { on_entry(std::move(outcome)); });
  });
}

void Replicator::on_entry(EntryOutcome outcome) {
  // It is inside its own callback: destroyed later, by leave(), or here on the next turn through the thread.
  switch (outcome.kind) {
    case EntryOutcome::Kind::enter:
      thread_->reset_queue([this, generation = generation_, outcome](const DatabaseProgress& progress) {
        if (generation != generation_ || state_ != State::entering) return;
        entry_.reset();
        go_live(progress, outcome);
      });
      return;
    case EntryOutcome::Kind::wait:
      report(outcome.error ? LogLevel::error : LogLevel::info, outcome.text);
      leave(State::waiting);
      state_text_ = outcome.text;
      if (outcome.error) last_error_ = outcome.text;
      retry_.start(uv::Milliseconds(outcome.retry_ms));
      return;
    case EntryOutcome::Kind::behind:
      report(LogLevel::error, outcome.text);
      leave(State::behind);
      state_text_ = outcome.text;
      members_->load();
      if (behind_since_ms_ == 0) behind_since_ms_ = monotonic_ms();
      if (monotonic_ms() - behind_since_ms_ > kBehindMs) {
        state_text_ += "; none has come for " + std::to_string((monotonic_ms() - behind_since_ms_) / 1000) + " s: is another node running?";
        last_error_ = state_text_;
      }
      retry_.start(uv::Milliseconds(outcome.retry_ms));
      return;
    case EntryOutcome::Kind::merged:
      catch_up_.merged(outcome.history_lost);
      behind_since_ms_ = 0;
      if (outcome.history_lost) publisher_.clear();
      leave(State::waiting);
      state_text_ = outcome.text;
      retry_.start(uv::Milliseconds(0));
      return;
    case EntryOutcome::Kind::refused:
      leave(State::stopped);
      state_text_ = last_error_ = outcome.text;
      events_.failed(make_error(Errc::refused, outcome.text));
      return;
  }
}

void Replicator::go_live(const DatabaseProgress& progress, const EntryOutcome& outcome) {
  const std::string stream = plan_.stream.name;
  state_ = State::running;
  state_text_.clear();
  last_error_.clear();
  reported_.clear();
  progress_ = progress;
  delivered_ = progress.position;
  changes_.restart();
  known_end_ = std::max(outcome.end, progress.position.seq);
  created_.clear();
  checked_seq_ = 0;
  stuck_at_.reset();
  in_gap_ = false;
  behind_since_ms_ = 0;
  if (outcome.history_lost) publisher_.clear();
  catch_up_.entered(outcome.end, outcome.founded, outcome.history_lost);
  thread_->set_follows_to(outcome.end);
  clock_.start(*connection_, progress.origin.node);
  publisher_host_.connect(*connection_);
  stamps_right_ = false;
  publisher_.hold(true);
  publisher_.start(progress.position.seq, progress.own_units);
  nats::LogHandlers handlers;
  handlers.on_message = [this](nats::Delivered message) { on_delivered(std::move(message)); };
  handlers.on_made = [this](WallMs asked, WallMs made, WallMs known) { clock_.observe(asked, made, known); };
  handlers.on_problem = [this](const nats::LogProblem& problem) { on_problem(problem); };
  subscription_ = connection_->subscribe_log(stream, progress.position.seq + 1, std::move(handlers));
  peers_->start(*connection_);
  repair_->start(*connection_);
  members_->start(*connection_);
  update_flow();
  live_since_ms_ = monotonic_ms();
  founded_ = outcome.founded;
  release_ids();
  if (ids_held_) ids_soon_.start(uv::Milliseconds(kIdsMs), uv::Milliseconds(kIdsMs));
  check_stream();
  caught_up();
  poke();
}

// A node with an earlier Marmot would follow the stream no further than to what is said of ids: that waits until every member was heard, or
// is away, and none is of an earlier one.
void Replicator::release_ids() {
  if (state_ != State::running || !ids_held_) return;
  const std::vector<Peer> peers = peers_->alive();
  const auto is_earlier = [](const Peer& peer) { return peer.data_format < codec::kFormatOfIds; };
  const auto earlier = std::find_if(peers.begin(), peers.end(), is_earlier);
  if (earlier != peers.end()) {
    if (!std::exchange(earlier_peer_, true)) {
      report(LogLevel::warn, "ids are not dealt yet, for node " + std::to_string(earlier->node.value) + " runs Marmot " + earlier->marmot +
                                 ", which knows nothing of that: nodes that insert at the same moment give out the same ids until it is upgraded");
      announce_ready();
    }
    return;
  }
  const bool all_heard = founded_ || (!peers.empty() && all_there());
  const int64_t waits_ms = all_heard ? 0 : members_->all().size() <= 1 && peers.empty() ? kIdsAloneMs : kIdsAwayMs;
  if (monotonic_ms() - live_since_ms_ < waits_ms) return;
  ids_held_ = earlier_peer_ = false;  // from here on it is ready with a slot only
  ids_soon_.stop();
  thread_->set_hold_ids(false);
}

void Replicator::on_delivered(nats::Delivered message) {
  delivered_.seq = message.seq;
  delivered_.msg_id = message.msg_id;
  delivered_.at = message.time_ms;
  changes_.delivered(message.seq, message.data);
  if (const auto sent = publisher_.came(message.msg_id, message.data)) clock_.observe(*sent, message.time_ms, wall_now());
  const auto id = codec::parse_message_id(message.msg_id);
  const bool own = id && id->origin == progress_.origin;
  if (own) twins_->came(message.seq);
  if (!own && arrivals_.size() < kMaxArrivals) arrivals_.emplace_back(message.seq, message.time_ms);
  const bool room = thread_->feed(replica::Incoming{message.seq, message.time_ms, std::move(message.msg_id), std::move(message.data)});
  if (!room) subscription_->pause();
}

// Has the stream lost its end, or become another one, without a word?
void Replicator::check_stream() {
  look_for_untold();
  watch_wal();
  if (opened_ && state_ != State::stopped && !same_file(path(), opened_->device, opened_->inode)) {
    return replaced("it was removed or replaced under the running agent");
  }
  if (state_ != State::running || !connected_) return;
  // Our own messages are marked later than they are delivered: what was delivered counts.
  const StreamSeq seen = std::max(progress_.position.seq, delivered_.seq);
  connection_->stream_state(plan_.stream.name, [this, seen, generation = generation_,
                                                alive = std::weak_ptr<int>(alive_)](Result<nats::StreamState> state) {
    if (alive.expired() || generation != generation_) return;
    if (!state) {
      if (state.error().code == Errc::not_found) reenter(state.error().message, 0);
      return;  // away: the connection says so
    }
    if (created_.empty()) created_ = state->created;
    if (const std::string why = node::doubt(created_ == state->created, state->last_seq, seen); !why.empty()) return reenter(why, 0);
    known_end_ = std::max(known_end_, state->last_seq);
    check_position();
    check_delivery(state->last_seq);
  });
}

// A server that hangs, or whose copy of the stream stands still, goes on telling that all is well. Two looks at which the same
// message is the last one delivered while there are more, which exist: another consumer, and with luck on another server.
void Replicator::check_delivery(StreamSeq end) {
  const StreamSeq here = subscription_->last_seq();
  const bool waits = end > here && progress_.waiting == 0 && !in_gap_;
  if (!waits || std::exchange(stuck_at_, here) != here) {
    if (!waits) stuck_at_.reset();
    return;
  }
  connection_->get_message(plan_.stream.name, end, [this, here, end, generation = generation_,
                                                    alive = std::weak_ptr<int>(alive_)](const Result<nats::StoredMessage>& message) {
    if (alive.expired() || generation != generation_ || !message || subscription_->last_seq() != here) return;
    reenter("messages up to " + std::to_string(end) + " are there, and nothing came after " + std::to_string(here), 0);
  });
}

// Any server of a cluster may be the one that delivers, and after a crash of several at once nats-server's copies of a stream
// were seen to differ by a message for ever: whoever reads such a copy lacks it. The stream's leader answers this question,
// and the entry, where it finds another message, reads the stream anew.
void Replicator::check_position() {
  replica::Position position = progress_.position;
  if (delivered_.seq > position.seq) position = delivered_;
  if (position.seq == 0 || position.seq == checked_seq_) return;
  connection_->get_message(plan_.stream.name, position.seq, [this, position, generation = generation_,
                                                             alive = std::weak_ptr<int>(alive_)](Result<nats::StoredMessage> message) {
    if (alive.expired() || generation != generation_ || !message) return;  // deleted meanwhile, or away
    if (!position.is(message->msg_id, message->time_ms)) {
      return reenter("message " + std::to_string(position.seq) + " is another one there than was delivered here", 0);
    }
    checked_seq_ = position.seq;
  });
}

// SQLite goes on with what no new connection of the application sees, or the engine with what is no longer so.
void Replicator::replaced(const std::string& why) {
  log_(LogLevel::warn, name() + ": " + path() + ": " + why + ": opening what is there now");
  leave(State::stopped);
  state_text_ = why + ": opening it again";
  events_.reopen();
}

void Replicator::update_flow() {
  if (!thread_) return;
  const bool running = state_ == State::running;
  const bool publish = running && may_publish() && publisher_.takes_units();
  if (publish != publishing_) thread_->set_publishing(publishing_ = publish);
  // While an entry compares, the mode is its own.
  if (state_ == State::entering) return;
  const auto mode = running && publisher_.lets_apply() ? DatabaseThread::Mode::apply : DatabaseThread::Mode::idle;
  if (mode != mode_) thread_->set_mode(mode_ = mode);
}

// The stream is in the file up to here; where its last messages were deleted that is further than the file's position.
StreamSeq Replicator::applied() const {
  const StreamSeq position = progress_.position.seq;
  if (state_ != State::running || !subscription_ || in_gap_ || position < delivered_.seq) return position;
  return std::max(position, subscription_->last_seq());
}

// As applied(), where our own messages that came round count, which only wait to be marked.
StreamSeq Replicator::followed() const {
  const StreamSeq here = applied();
  if (state_ != State::running || in_gap_) return here;
  return std::max(here, arrivals_.empty() ? delivered_.seq : arrivals_.front().first - 1);
}

bool Replicator::outbox_complete() const {
  return !catch_up_.wanted() && !outbox_delay_.active() && progress_.outbox_done;
}

// Once everything was applied that stood in the stream when it was entered: what it still lacks of ours goes out.
void Replicator::caught_up() {
  if (state_ != State::running || !catch_up_.caught_up(progress_.membership, applied())) return;
  bool spread = false;
  if (catch_up_.due(progress_.membership, applied(), &spread)) {
    progress_.outbox_done = false;
    if (spread) {
      std::random_device device;
      const auto delay = std::uniform_int_distribution<int64_t>(0, kSpreadMs)(device);
      outbox_delay_.start(uv::Milliseconds(delay));
    } else {
      thread_->publish_outbox();
    }
  }
  announce_ready();
}

// A unit is lost in the stream: its rows go out in another one, once the database thread finds the outbox due again.
void Replicator::send_again() {
  const auto done = [this](const Status& noted) {
    if (noted) return;
    report(LogLevel::error, "send again what a lost unit held: " + noted.error().message + " (trying again)");
    lost_again_.start(uv::Milliseconds(kLostAgainMs));
  };
  if (const Status asked = thread_->change([](replica::Replica& replica) { return replica.unit_lost(); }, done); !asked) done(asked);
}

// What was in the stream is here, and what was here is in the stream: another node that joins now finds it all.
void Replicator::announce_ready() {
  if (ready_ || !ready() || !outbox_complete() || !publisher_.all_stored()) return;
  ready_ = true;
  const Status asked = thread_->ask<ReadyFacts>(
      [](replica::Replica& replica) -> Result<ReadyFacts> {
        ReadyFacts facts{replica.watched(), {}, {}};
        if (!replica.deals_ids()) return facts;
        TRY_ASSIGN(const replica::IdReport ids, replica.ids());
        for (const auto& table : ids.plain) facts.plain_ids.push_back({table.name, table.why_not});
        return facts;
      },
      [this](Result<ReadyFacts> facts) {
        watched_ = facts->watched;
        check_file(*std::move(facts));
      });
  if (!asked) ready_ = false;
}

// On a connection of its own, off the loop: it reads the schema only. What cannot be read is told by others.
void Replicator::check_file(ReadyFacts facts) {
  const auto found = std::make_shared<std::string>();
  CheckRequest request{path(), database_.tables, database_.exclude, config_.extensions};
  check_work_ = std::make_unique<uv::PoolJob>(
      loop_,
      [request = std::move(request), found](const uv::PoolJob::Cancelled&) {
        if (const auto report = agent::check_file(request)) *found = short_form(report->findings);
      },
      [this, found, facts = std::move(facts)]() mutable {
        facts.to_know = to_know_ = *found;
        events_.ready(facts);
      });
}

// Says a thing once until something else is to be said.
void Replicator::report(LogLevel level, const std::string& text) {
  if (text == reported_) return;
  reported_ = text;
  log_(level, name() + ": " + text);
}

LongWork Replicator::work() const {
  if (first_file_) return first_file_->work();
  if (!snapshots_->work().what.empty()) return snapshots_->work();
  if (progress_.to_merge > 0) {
    return {"merge a snapshot into " + name(), static_cast<uint64_t>(progress_.merged), static_cast<uint64_t>(progress_.to_merge)};
  }
  if (state_ == State::preparing) return {"first versions of " + name(), 0, 0};
  if (entry_) {
    if (const LongWork work = entry_->work(); !work.what.empty()) return work;
  }
  if (state_ == State::running && progress_.membership == replica::Membership::joining) {
    return {"join " + name(), progress_.position.seq, catch_up_.end()};
  }
  if (state_ == State::running && !progress_.outbox_done && progress_.rows_out > 0) {
    return {"publish " + name(), progress_.rows_out, 0};
  }
  return {};
}

}  // namespace marmot::agent
