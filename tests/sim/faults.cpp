// What befalls the cluster, each at its own rate.
#include <algorithm>
#include <optional>

#include "common/replica/autoincrement.hpp"
#include "common/replica/review.hpp"
#include "tests/sim/agent.hpp"
#include "tests/sim/app.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

Node& World::any_node() {
  auto node = nodes.begin();
  std::advance(node, static_cast<std::ptrdiff_t>(random.below(nodes.size())));
  return node->second;
}

void World::every(int64_t mean_ms, std::function<void()> then) {
  if (mean_ms == 0) return;
  const int64_t next = random.between(1, 2 * mean_ms);
  after(next, [this, mean_ms, then = std::move(then)] {
    if (calm_ && mean_ms > 50) return;
    then();
    every(mean_ms, then);
  });
}

void World::schedule_faults() {
  every(profile.partition_ms, [this] { partition(); });
  every(profile.leader_ms, [this] { leader_loss(); });
  every(profile.clock_ms, [this] { clock_jump(); });
  every(profile.reset_ms, [this] {
    if (poisoned()) reset_clocks(any_node());
  });
  every(profile.restore_ms, [this] { restore(); });
  every(profile.stream_tail_ms, [this] { stream_tail(); });
  every(profile.stream_new_ms, [this] { stream_new(); });
  every(profile.trim_ms, [this] { trim(); });
  every(profile.away_ms, [this] { away(); });
  every(profile.retire_ms, [this] { retire(); });
  every(profile.adopt_ms, [this] { change_adoption(); });
  every(profile.discard_ms, [this] { discard_conflict(); });
  every(profile.untrigger_ms, [this] { lose_triggers(); });
  every(profile.damage_ms, [this] { damage(); });
  every(profile.floor_ms, [this] { announce_floor(); });
  every(profile.foreign_ms, [this] { foreign(); });
  every(profile.lose_ms, [this] { lose_message(1 + random.below(20)); });
  every(profile.copied_ms, [this] { copied(); });
  every(profile.clone_ms, [this] { clone(); });
  every(profile.join_ms, [this] {
    if (last_node_ > profile.nodes + 1) return;
    const Begin ways[] = {Begin::with_schema, Begin::empty, Begin::empty, Begin::missing};
    const Begin begin = random.pick(ways);
    say(++last_node_, begin == Begin::with_schema ? "a new node, with rows of its own" : "a new node");
    add_node(last_node_, begin);
    nodes[last_node_].agent->may_found = false;
  });
  // A spell of a bad disk: errors, or no room.
  every(profile.spell == 0 ? 0 : static_cast<int64_t>(20'000 / profile.spell), [this] {
    Node& node = any_node();
    DiskFaults& faults = disks.of(node.id).faults;
    const bool full = random.per_mille(500);
    const int64_t room = random.between(0, 60'000), lasts = random.between(20, 600);
    if (full) faults.room = room;
    else faults.error_per_mille = profile.io_errors;
    count(full ? "disk full" : "bad disk");
    say(node.id, full ? "its disk is nearly full" : "its disk is bad");
    after(lasts, [this, &node] {
      DiskFaults& over = disks.of(node.id).faults;
      over.room = -1;
      over.error_per_mille = 0;
    });
  });
}

void World::partition() {
  Node& node = any_node();
  const uint64_t way = random.below(3);
  node.link.out_blocked = way != 0;
  node.link.in_blocked = way != 1;
  say(node.id, way == 2 ? "cut off" : way == 1 ? "cannot send" : "cannot receive");
  count("partition");
  // The client notices after a while, or never, when it is over soon.
  const int64_t noticed = random.between(50, 1500), lasts = random.between(10, 3000);
  if (noticed < lasts) {
    after(noticed, [this, &node] {
      if (calm_ || !node.link.connected) return;
      node.link.connected = false;
      node.agent->on_disconnected();
    });
  }
  after(lasts, [this, &node] {
    if (calm_) return;
    say(node.id, "connected again");
    node.link = {};
    node.agent->on_connected();
  });
}

void World::leader_loss() {
  if (!server_up) return;
  server_up = false;
  say(0, "the stream has no leader");
  count("leader lost");
  const int64_t lasts = random.between(10, 1500);
  after(lasts, [this] { server_up = true; });
}

void World::clock_jump() {
  Node& node = any_node();
  const int64_t jumps[] = {3'600'000, -3'600'000, 1000, -1000, 70, -70}, far[] = {3'600'000, int64_t{150} * 365 * 86'400'000};
  if (reset_said_) return;
  const int64_t jump = profile.reset_ms != 0 ? random.pick(far) : random.pick(jumps);
  node.clock_offset = node.clock_offset == 0 ? jump : 0;
  node.clock_since = now_;
  say(node.id, "its clock is off by " + std::to_string(node.clock_offset) + " ms");
  count("clock jump");
}

int64_t World::clock_bound() const {
  constexpr int64_t kYear = int64_t{365} * 86'400'000;
  if (profile.reset_ms != 0) return ledger.was_reset() ? 500 : 300 * kYear;
  return profile.clocks ? 10'000 : 10 * kYear;
}

// All clocks were set right, and an operator says so. The second ahead is above what they differ by all the same: no stamp is lowered twice.
bool World::reset_clocks(Node& on) {
  for (auto& [id, node] : nodes) node.clock_offset = 0;
  if (!on.agent->alive() || !on.link.connected || !on.agent->reset_clocks(server_time() + 1000, 500)) return false;
  count("clock reset");
  return reset_said_ = true;
}

// An old copy of the file is taken, or put back.
void World::restore() {
  Node& node = any_node();
  if (!disks.of(node.id).exists(node.path) || !node.app->idle()) return;
  if (profile.restore_plain && node.backup.empty() && !(node.agent->alive() && node.agent->member())) return;
  if (node.backup.empty() || random.per_mille(300)) return keep_copy(node);
  const bool other_file = random.per_mille(500) && !profile.restore_plain;
  put_back(node, other_file);
  const int64_t away_for = random.between(20, 1500);
  after(away_for, [&node] { node.agent->start(); });
}

void World::keep_copy(Node& node) {
  Machine& machine = disks.of(node.id);
  const std::string wal = node.path + "-wal", backup = "n" + std::to_string(node.id) + "/backup.db";
  machine.copy(node.path, backup, true);
  machine.remove(backup + "-wal");
  if (machine.exists(wal)) machine.copy(wal, backup + "-wal", true);
  node.backup = backup;
  sqlite::Database* const db = checker(node);
  const Enter scope(disks, node.id, Process::checker);
  const auto membership = db != nullptr ? db->query_integer("SELECT value FROM __marmot_meta WHERE key = 'membership'") : Result<int64_t>(0);
  node.backup_joins = !membership || *membership != static_cast<int64_t>(replica::Membership::member);
  say(node.id, "a copy of its file is kept");
}

void World::put_back(Node& node, bool other_file) {
  Machine& machine = disks.of(node.id);
  const std::string wal = node.path + "-wal", &backup = node.backup;
  given_ids.forget(node.id);
  node.app->kill();
  node.agent->kill();
  checkers_.erase(node.id);
  machine.copy(backup, node.path, other_file);
  machine.remove(wal);
  if (machine.exists(backup + "-wal")) machine.copy(backup + "-wal", wal, true);
  say(node.id, other_file ? "an old copy becomes its file" : "its file is overwritten with an old copy");
  count("restored");
  node.older = true;
  file_lost_ = true;
  replaced_ = replaced_ || other_file;
  brought_again_ = brought_again_ || node.backup_joins;
  recover(node);
}

void World::copied() {
  Node& node = any_node();
  if (!disks.of(node.id).exists(node.path) || !node.app->idle() || node.away) return;
  {
    // Once more before the agent has looked, and nobody can tell any more which row of which log is which (docs/decisions/0028).
    sqlite::Database* const db = checker(node);
    const Enter scope(disks, node.id, Process::checker);
    const auto looked = db != nullptr ? db->query_integer("SELECT rowid = 2 FROM __marmot_copied") : Result<int64_t>(0);
    if (!looked || *looked == 0) return;
  }
  node.app->kill();
  node.agent->kill();
  make_anew(node);
  const int64_t away_for = random.between(20, 1500);
  after(away_for, [&node] { node.agent->start(); });
}

// The image of a machine's disk is started as another machine: the file is where it was, as far as it can tell. What its log held would be
// drained by both, and its rows without a key be there twice (docs/decisions/0030): it holds nothing.
void World::clone() {
  Node& node = any_node();
  if (last_node_ > profile.nodes + 1 || !node.app->idle() || !node.agent->follows()) return;
  {
    sqlite::Database* const db = checker(node);
    const Enter scope(disks, node.id, Process::checker);
    const auto logged = db != nullptr ? db->query_integer("SELECT count(*) FROM __marmot_log") : Result<int64_t>(1);
    if (!logged || *logged != 0) return;
  }
  Machine& from = disks.of(node.id);
  const uint64_t high_water = node.high_water, incarnation = node.former_incarnation;
  const std::vector<NodeId> ids = node.ids, lives = node.lives;
  const std::string file = from.files.at(node.path)->data, wal = from.exists(node.path + "-wal") ? from.files.at(node.path + "-wal")->data : std::string();
  add_node(++last_node_, Begin::clone);
  Node& twin = nodes[last_node_];
  Machine& to = disks.of(twin.id);
  to.put(twin.path, file);
  if (!wal.empty()) to.put(twin.path + "-wal", wal);
  twin.encoding = node.encoding;
  twin.agent->may_found = false;
  twin.high_water = twin.high_water_synced = high_water;
  twin.former_incarnation = incarnation;
  twin.ids = ids;
  twin.lives = lives;
  say(twin.id, "a clone of n" + std::to_string(node.id));
  count("cloned");
  cloned_ = true;
  if (sqlite::Database* const db = checker(twin); db != nullptr) {
    const Enter scope(disks, twin.id, Process::checker);
    (void)db->exec("UPDATE __marmot_meta SET value = " + std::to_string(to.files.at(twin.path)->inode) + " WHERE key = 'sim_inode'");
    std::set<Place> unversioned;
    auto rows = db->prepare("SELECT t.name, v.key FROM __marmot_version v JOIN __marmot_table t ON t.id = v.tbl WHERE v.origin = 0");
    for (auto row = rows ? rows->step() : Result<bool>(false); row && *row; row = rows->step()) {
      unversioned.insert(Place{std::string(rows->text(0)), describe_key(rows->blob(1))});
    }
    ledger.cloned(twin.id, std::move(unversioned));
  }
  recover(twin);
}

// As .dump and load, .clone and .recover --no-rowids do: what has no declared key gets the rowids 1, 2, 3, ..., and no trigger fires.
void World::make_anew(Node& node) {
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  std::vector<std::string> names = {"__marmot_copied"};
  for (const TableSpec& table : schema.tables) {
    if (table.nullable_key || table.id.key.empty()) names.push_back(table.name());
  }
  sqlite3_db_config(db->get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  Status done = db->exec("BEGIN IMMEDIATE");
  for (const std::string& name : names) {
    const auto here = db->query_integer("SELECT EXISTS(SELECT 1 FROM main.sqlite_schema WHERE name = '" + name + "')");
    if (!done || !here || *here == 0) continue;
    done = db->exec("CREATE TEMP TABLE made_anew AS SELECT * FROM main." + name + " ORDER BY rowid; DELETE FROM main." + name + "; INSERT INTO main." + name +
                    " SELECT * FROM temp.made_anew ORDER BY rowid; DROP TABLE temp.made_anew");
  }
  if (done) done = db->exec("COMMIT");
  if (!done && db->in_transaction()) (void)db->exec("ROLLBACK");
  sqlite3_db_config(db->get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, nullptr);
  say(node.id, done ? "a tool makes its file anew, without its rowids" : "a tool cannot make its file anew: " + done.error().message);
  if (done) count("made anew");
}

void World::stream_tail() {
  if (!stream.exists() || stream.last() < 2) return;
  const StreamSeq lost = 1 + random.below(std::min<uint64_t>(stream.last() - 1, 12));
  stream.lose_tail(stream.last() - lost);
  say(0, "the stream loses its last " + std::to_string(lost) + " messages");
  count("stream tail lost");
  stream_lost_ = true;
  disconnect_all();
}

// An administrator deletes one, or a server drops it. The first one is retention's.
void World::lose_message(StreamSeq from_end) {
  const StreamSeq seq = stream.last() + 1 - std::min(from_end, stream.last());
  if (!stream.exists() || seq <= stream.first() || stream.get(seq) == nullptr) return;
  say(0, "the stream loses message " + std::to_string(seq) + ", " + stream.get(seq)->msg_id);
  stream.lose(seq);
  count("message lost");
  stream_lost_ = damaged_ = harmed_ = true;
}

void World::stream_new() {
  if (!stream.exists()) return;
  stream.destroy();
  say(0, "the stream is deleted");
  count("stream deleted");
  stream_lost_ = true;
}

// Retention takes what is old, or, for the sake of runs without snapshots, what every node has seen.
void World::trim() {
  if (!stream.exists() || stream.last() < 4) return;
  StreamSeq seen = stream.last();
  for (auto& [id, node] : nodes) seen = std::min(seen, node.agent->position());
  // Never more than what the newest snapshot stands for: that is what the agents' schedule is for.
  const KeptSnapshot* const newest = choose_snapshot(0);
  if (profile.trim_beyond && newest == nullptr) return;
  const StreamSeq some = profile.trim_beyond ? newest->info.seq + 1 - random.below(std::min<uint64_t>(newest->info.seq, 3)) : seen;
  const StreamSeq first = profile.trim_all ? (profile.trim_beyond ? newest->info.seq : seen) + 1 : some;
  if (first <= stream.first()) return;
  stream.trim(first);
  if (first > stream.last()) count("trimmed whole");
  say(0, "the stream begins at " + std::to_string(stream.first()));
  count("trimmed");
}

// The lowest member that lives publishes how far every member had come a while ago; who was not heard of for the
// retention time does not count.
void World::announce_floor() {
  constexpr int64_t kRetention = 4000;
  StreamSeq seen = stream.last();
  Node* lowest = nullptr;
  for (auto& [id, node] : nodes) {
    if (node.told_at >= 0 && now_ - node.told_at < kRetention) seen = std::min(seen, node.told_position);
    if (!node.agent->alive() || !node.agent->member() || !node.link.connected) continue;
    if (lowest == nullptr) lowest = &node;
    node.told_position = node.agent->whole();
    node.told_at = now_;
  }
  if (mutated(Mutation::tombstone_early)) seen = stream.last();
  if (lowest == nullptr || seen == 0) return;
  count("floor");
  lowest->agent->announce_floor(seen);
}

std::optional<StreamAck> World::store(const std::string& msg_id, const std::string& bytes) {
  std::string sent = bytes;
  if (profile.damaged_messages != 0 && !calm_ && random.per_mille(profile.damaged_messages)) {
    const size_t where = random.below(sent.size());
    sent[where] = static_cast<char>(sent[where] ^ static_cast<char>(1U << random.below(8)));
    say(0, "message " + msg_id + " is damaged on its way");
    count("message damaged");
    harmed_ = true;
  }
  const auto ack = stream.publish(server_time(), msg_id, sent, std::nullopt);
  if (!ack) return ack;
  const Stored* const held = stream.get(ack->seq);
  if (held == nullptr || held->bytes == bytes) ledger.stored(msg_id, ack->seq, held == nullptr ? server_time() : held->at, clock_bound());
  return ack;
}

void World::foreign(Node& node, uint64_t ahead, bool copy) {
  const std::string id = ahead == 0 ? std::string() : node.agent->id_ahead(ahead);
  const Stored* const last = stream.get(stream.last());
  const std::string bytes = copy && last != nullptr ? last->bytes : "nobody's";
  say(node.id, "somebody else writes under '" + id + "'" + (copy ? ", the last message" : ""));
  count("foreign message");
  harmed_ = true;
  (void)stream.publish(server_time(), id, bytes, std::nullopt);
}

void World::foreign() {
  Node& node = any_node();
  const uint64_t ahead = random.below(4);
  const bool copy = random.per_mille(400);
  if (stream.exists() && stream.last() >= 2) foreign(node, ahead, copy);
}

void World::away() {
  Node& node = any_node();
  if (node.away) return;
  node.agent->kill();
  node.away = true;
  const int64_t lasts = random.between(500, 20'000);
  say(node.id, "its agent is away for " + std::to_string(lasts) + " ms");
  count("away");
  after(lasts, [this, &node] {
    if (calm_) return;
    node.away = false;
    node.agent->start();
  });
}

// `marmot ids adopt` or `release`, of any table that can be.
void World::change_adoption() {
  Node& node = any_node();
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  std::string said = "nothing can be adopted";
  const auto change = [&]() -> Status {
    TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(*db, sqlite::Transaction::Kind::immediate));
    TRY_ASSIGN(const std::vector<std::string> can, replica::adoptable_tables(*db));
    TRY_ASSIGN(const std::vector<std::string> have, replica::adopted_tables(*db));
    if (can.empty() && have.empty()) return ok();
    const bool adopts = have.empty() || (!can.empty() && random.per_mille(700));
    const std::string& table = adopts ? can[random.below(can.size())] : have[random.below(have.size())];
    TRY(adopts ? replica::adopt_table(*db, table) : replica::release_table(*db, table));
    said = (adopts ? "adopts " : "releases ") + table;
    return transaction.commit();
  };
  const Status done = change();
  say(node.id, done ? "an operator " + said : "an operator cannot adopt: " + done.error().message);
  if (done) count("adoption");
}

// `marmot conflicts discard`, of one that the node lists. What moving.hpp counts on stays.
void World::discard_conflict() {
  Node& node = any_node();
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  std::optional<Place> place;
  const auto discard = [&]() -> Status {
    TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(*db, sqlite::Transaction::Kind::immediate));
    TRY_ASSIGN(std::vector<replica::LostRow> lost, replica::lost_rows(*db));
    const auto kept = std::remove_if(lost.begin(), lost.end(), [](const replica::LostRow& row) { return row.shelved || row.table.front() == 'm'; });
    lost.erase(kept, lost.end());
    if (lost.empty()) return ok();
    const replica::LostRow& row = lost[random.below(lost.size())];
    TRY(replica::forget_conflict(*db, row));
    place = Place{row.table, row.key};
    return transaction.commit();
  };
  const Status done = discard();
  if (!done) return say(node.id, "an operator cannot discard: " + done.error().message);
  if (!place) return;
  discarded_.insert(*place);
  say(node.id, "an operator discards a conflict of " + place->table);
  count("discarded");
}

// An operator takes a node that is away for gone.
void World::retire() {
  Node& gone = any_node();
  Node& by = any_node();
  if (gone.agent->alive() || !by.agent->alive() || !by.agent->member() || gone.ids.empty()) return;
  say(by.id, "retires the ids of n" + std::to_string(gone.id));
  count("retire");
  gone.retired = true;
  by.agent->retire(gone.ids.back());
}

}  // namespace marmot::sim
