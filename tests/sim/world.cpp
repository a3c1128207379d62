#include "tests/sim/world.hpp"

#include <algorithm>

#include "tests/sim/agent.hpp"
#include "tests/sim/app.hpp"

namespace marmot::sim {

namespace {
constexpr WallMs kEpoch = 1'700'000'000'000;
constexpr int64_t kTimeout = 500;          // of a request
constexpr int64_t kSettleWithin = 180'000; // after the faults have stopped
constexpr int64_t kLongest = 600'000;      // of a run's first part
}  // namespace

World::World(uint64_t seed, const Profile& chosen, bool print)
    : profile(chosen), random(mix64(seed)), schema([&] {
        Random of_schema(mix64(seed ^ 0x5c4e3a));
        return random_schema(of_schema, chosen.unique, chosen.failing_effects, chosen.reuse, chosen.ids);
      }()),
      workload(schema, mix64(seed ^ 0x77)), migrations(mix64(seed ^ 0xdd1)), ledger(schema), encodings_(mix64(seed ^ 0x16)) {
  trace_.print = ledger.print = print;
  ledger.moving.watch_drops = chosen.watch_drops;
  migrations.shapes = chosen.shapes;
  migrations.rekeys = chosen.rekeys;
  migrations.nulls = chosen.nulls;
}

World::~World() {
  for (auto& [id, node] : nodes) {
    const Enter scope(disks, id, Process::agent);
    node.agent.reset();
    node.app.reset();
  }
  checkers_.clear();
}

WallMs World::wall(const Node& node) const {
  const WallMs exact = kEpoch + now_ + node.clock_offset + now_ * profile.drift_ppm * node.id / 1'000'000;
  return exact - exact % profile.clock_grain_ms;
}

WallMs World::server_time() const { return kEpoch + now_; }

void World::after(int64_t ms, std::function<void()> then) { queue_.emplace(std::make_pair(now_ + ms, ++number_), std::move(then)); }

void World::fail(int node, const std::string& text) {
  if (!failure_.empty()) return;
  failure_ = (node == 0 ? "" : "n" + std::to_string(node) + ": ") + text;
  say(node, "FAILED: " + text);
}

// -- the network ------------------------------------------------------------------------------------------------------

void World::request(Node& node, std::function<void()> at_server, std::function<void(bool)> reply) {
  const int64_t there = random.between(0, profile.delay_ms), back = random.between(0, profile.delay_ms);
  const bool lost = !calm_ && random.per_mille(profile.lost_acks);
  const bool leaves = !node.link.out_blocked && node.link.connected;
  const auto arrive = [this, &node, leaves, lost, back, at_server = std::move(at_server), reply = std::move(reply)](bool ever) {
    const bool arrives = ever && leaves && !node.link.out_blocked && server_up;
    if (arrives) at_server();
    const bool answered = arrives && !lost && !node.link.in_blocked;
    after(answered ? back : kTimeout, [answered, reply, &node] { reply(answered && !node.link.in_blocked); });
  };
  after(there, [&node, arrive] {
    if (node.held) node.on_its_way.push_back(arrive);
    else arrive(true);
  });
}

void World::disconnect_all() {
  for (auto& [id, node] : nodes) {
    node.agent->on_disconnected();
    node.agent->on_connected();
  }
}

// -- processes --------------------------------------------------------------------------------------------------------

// It struck in the middle of something, or it did not, and strikes now, between two pieces of work.
void World::processes_stopped(Node& node) {
  Machine& machine = disks.of(node.id);
  const bool all = machine.faults.stop_all;
  machine.faults.stop_all = false;
  machine.stopped = false;
  if (all) return power_cut(node);
  const int64_t away_for = random.between(5, 800);
  if (machine.faults.stops == Process::app) {
    say(node.id, "app dies");
    count("app dies");
    return node.app->kill();
  }
  count("agent dies");
  node.agent->kill();
  after(away_for, [&node] { node.agent->start(); });
}

void World::power_cut(Node& node) {
  say(node.id, "power cut");
  count("power cut");
  file_lost_ = true;
  given_ids.forget(node.id);
  node.app->kill();
  node.agent->kill();
  checkers_.erase(node.id);
  disks.of(node.id).kill(Process::agent);  // it may have been struck while it was away
  disks.of(node.id).power_cut();
  node.rebooted = node.older = true;
  if (random.per_mille(500)) {
    node.high_water = node.high_water_synced;
    node.high_water_since = -1;
  }
  recover(node);
  const int64_t away_for = random.between(20, 1500);
  after(away_for, [&node] { node.agent->start(); });
}

sqlite::Database* World::checker(Node& node) {
  auto& open = checkers_[node.id];
  const Enter scope(disks, node.id, Process::checker);
  if (!open) {
    auto db = sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX);
    if (!db) return nullptr;
    open = std::make_unique<sqlite::Database>(std::move(*db));
  }
  if (wide()) (void)open->learn_encoding();  // each time: it may have been opened before the file held anything
  return open.get();
}

void World::recover(Node& node) {
  sqlite::Database* const db = checker(node);
  const Enter scope(disks, node.id, Process::checker);
  const auto counted = db != nullptr ? db->query_integer("SELECT n FROM sim_commit") : Result<int64_t>(make_error(Errc::not_found, "no file"));
  if (!counted && counted.error().code != Errc::schema && counted.error().code != Errc::not_found) {
    fail(node.id, "after a power cut: " + counted.error().message);
  }
  ledger.recovered(node.id, counted ? *counted : 0);
  const auto bare = db != nullptr ? db->query_integer("SELECT count(*) = 0 OR min(baseline) = 0 FROM __marmot_table") : Result<int64_t>(1);
  node.prepared = bare && *bare == 0;
}

std::vector<TableKey> World::tables_of(sqlite::Database& db) {
  std::vector<TableKey> out = schema.keys();
  if (!scripted) return out;
  if (const Status learned = learn_tables(db, schema); !learned) fail(0, learned.error().message);
  out = schema.keys();
  std::erase_if(out, [&](const TableKey& table) { return !db.query_integer("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = '" + table.table + "'"); });
  return out;
}

void World::check_whole(Node& node) {
  if (!pairs_whole() || node.merged || failed()) return;
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  const auto broken = db->query_integer(
      "SELECT (SELECT count(*) FROM (SELECT p, tx FROM pair_a EXCEPT SELECT p, tx FROM pair_b)) +"
      " (SELECT count(*) FROM (SELECT p, tx FROM pair_b EXCEPT SELECT p, tx FROM pair_a))");
  if (broken && *broken != 0) fail(node.id, "a transaction is there in part: pair_a and pair_b differ at a commit that every reader sees");
  check_named_tables(node, *db);
}

// App::name_a_table
void World::check_named_tables(Node& node, sqlite::Database& db) {
  if (profile.halves == 0) return;
  const auto absent = db.query_text("SELECT min('named_' || node || '_' || name) FROM named WHERE 'named_' || node || '_' || name NOT IN (SELECT name FROM sqlite_schema)");
  if (absent && !absent->empty()) fail(node.id, "a transaction is there in part: the row names table " + *absent + ", which is not there");
}

void World::check_next_id(Node& node) {
  if (!profile.ids || failed()) return;
  sqlite::Database* const db = checker(node);
  if (db == nullptr) return;
  const Enter scope(disks, node.id, Process::checker);
  const auto wrong = given_ids.check_next(*db, node.id, node.ids, profile.watch_ids && ids_are_dealt() && !node.retired);
  if (node.retired) given_ids.forget(node.id);
  if (wrong && !wrong->empty()) fail(node.id, *wrong);
}

void World::note_given_ids(Node& node, const std::vector<Change>& changes) {
  sqlite::Database* const db = profile.ids && !node.older ? checker(node) : nullptr;
  const Enter scope(disks, node.id, Process::checker);
  if (const Status noted = db == nullptr ? ok() : given_ids.commit(*db, changes); !noted) fail(node.id, "ids that were given: " + noted.error().message);
}

// "table t3: which former rows 3 of its rows are cannot be told" (decision 0028).
void World::logged(const Node& node, std::string_view text) {
  say(node.id, "log: " + std::string(text));
  const size_t end = text.find(": which former rows ");
  if (text.rfind("table ", 0) == 0 && end != std::string_view::npos) untold_.emplace(text.substr(6, end - 6));
}

Keyless World::keyless_rows(Node& node) {
  sqlite::Database* const db = node.prepared ? checker(node) : nullptr;
  const Enter scope(disks, node.id, Process::checker);
  if (db == nullptr) return {};
  auto rows = read_keyless(*db, schema);
  if (!rows) fail(node.id, "rows without a key: " + rows.error().message);
  return rows ? std::move(*rows) : Keyless();
}

void World::mark_changes(Node& node, const Keyless& before, bool replaces, std::vector<Change>& changes) {
  sqlite::Database* const db = checker(node);
  const Enter scope(disks, node.id, Process::checker);
  const Status marked = db == nullptr ? ok() : sim::mark_changes(*db, schema, before, replaces, changes);
  if (!marked) fail(node.id, "what a transaction did: " + marked.error().message);
}

// -- the run ----------------------------------------------------------------------------------------------------------

const KeptSnapshot* World::choose_snapshot(uint64_t stream_id) const {
  for (auto kept = snapshots.rbegin(); kept != snapshots.rend(); ++kept) {
    if (kept->info.seq > stream.last() || kept->info.seq + 1 < stream.first()) continue;
    const Stored* const at = stream.get(kept->info.seq);
    if (at != nullptr ? !kept->info.position().is(at->msg_id, at->at) : kept->created != stream.created()) continue;
    if (stream_id == 0 || kept->info.stream_id == stream_id) return &*kept;
  }
  return nullptr;
}

void World::add_node(int id, Begin begin) {
  const bool with_schema = begin == Begin::with_schema;
  Node& node = nodes[id];
  node.id = id;
  node.path = "n" + std::to_string(id) + "/app.db";
  if (encodings_.per_mille(profile.wide)) node.encoding = encodings_.per_mille(500) ? "PRAGMA encoding = 'UTF-16le'; " : "PRAGMA encoding = 'UTF-16be'; ";
  Machine& machine = disks.add(id, random.next());
  machine.now_ms = [this, &node] { return wall(node); };
  node.agent = std::make_unique<Agent>(*this, node);
  node.app = std::make_unique<App>(*this, node);
  const int64_t first = random.between(0, 300);
  after(first, [&node] { node.agent->start(); });
  if (begin == Begin::missing || begin == Begin::clone) return;
  sqlite::Database* const db = [&] {
    const Enter scope(disks, id, Process::app);
    // Made by the application, before any fault.
    auto made = sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
    if (made && made->exec(node.encoding + "PRAGMA journal_mode = WAL; CREATE TABLE sim_commit(n INT); INSERT INTO sim_commit VALUES(0)")) {
      for (const std::string& sql : schema.local) {
        if (Status done = made->exec(sql); !done) fail(id, sql + ": " + done.error().message);
      }
      if (!with_schema) return checker(node);
      for (const std::string& sql : schema.sql) {
        if (Status done = made->exec(sql); !done) fail(id, sql + ": " + done.error().message);
      }
    }
    return checker(node);
  }();
  if (db == nullptr) return fail(id, "no file");
  if (with_schema) {
    // Rows from before any agent ran.
    const uint64_t transactions = random.below(8);
    for (uint64_t i = 0; i < transactions && node.app->open(); ++i) {
      const Enter scope(disks, id, Process::app);
      const auto statements = workload.transaction(0, 0, node.app->texts());
      node.app->transaction(statements, false);
    }
    node.app->start();
  }
}

void World::start() {
  const bool all_found = random.per_mille(300);
  for (int id = 1; id <= profile.nodes; ++id) {
    const bool with_schema = id == 1 || random.per_mille(300);
    add_node(id, with_schema ? Begin::with_schema : Begin::empty);
    nodes[id].agent->may_found = id == 1 || all_found;
  }
  last_node_ = profile.nodes;
  schedule_faults();
  // Applications of machines that began with an empty file start once the tables have come.
  every(50, [this] {
    for (auto& [id, node] : nodes) {
      if (node.app->started() || !node.agent->alive() || !node.agent->member()) continue;
      sqlite::Database* const db = checker(node);
      const Enter scope(disks, id, Process::checker);
      if (db == nullptr || !read_rows(*db, schema.keys())) continue;
      node.app->start();
    }
  });
}

Outcome World::run() {
  start();
  int64_t calm_since = 0;
  int64_t look = 0;
  std::string why;
  while (!failed() && !queue_.empty()) {
    auto next = queue_.extract(queue_.begin());
    now_ = next.key().first;
    next.mapped()();
    if (!calm_ && (committed >= profile.transactions || now_ > kLongest)) {
      calm_down();
      calm_since = now_;
    }
    if (!calm_ || now_ < look) continue;
    look = now_ + 100;
    if (settled(&why)) break;
    if (now_ - calm_since > kSettleWithin) fail(0, "not settled " + std::to_string(kSettleWithin / 1000) + " s after the faults stopped: " + why);
  }
  if (!failed()) check_end();
  Outcome out;
  out.failure = failure_;
  out.digest = trace_.digest();
  out.events = trace_.events();
  out.last.assign(trace_.last().begin(), trace_.last().end());
  out.profile = profile.print();
  out.commits = ledger.size();
  out.messages = stream.last();
  out.counts = counts_;
  return out;
}

void World::calm_down() {
  calm_ = true;
  server_up = true;
  say(0, "the faults stop");
  for (auto& [id, node] : nodes) {
    node.away = false;
    node.link = {};
    node.clock_offset = 0;
    disks.of(id).faults = {};
    node.app->stop();
    node.agent->on_connected();
    node.agent->start();
    node.agent->scrub_again();
  }
}

bool World::settled(std::string* why) {
  if (makes_room(why)) return false;
  for (auto& [id, node] : nodes) {
    if (!node.app->idle()) {
      *why = "n" + std::to_string(id) + ": its application has a transaction open";
      return false;
    }
    if (!node.agent->settled(why)) {
      quiet_since_ = -1;
      return false;
    }
  }
  std::map<uint64_t, int> named;
  for (auto& [id, node] : nodes) {
    const auto [other, alone] = named.emplace(node.agent->name().value, id);
    if (alone || !node.agent->alive()) continue;
    *why = "n" + std::to_string(id) + ": its agent is node " + std::to_string(other->first) + ", as the one of n" + std::to_string(other->second) + " is";
    return false;
  }
  // Whoever reset clocks before had not seen all that was ahead: `marmot clock` says so, and the operator says it once more.
  for (auto& [id, node] : nodes) {
    if (profile.reset_ms == 0 || !reset_clocks(node)) continue;
    *why = "n" + std::to_string(id) + ": clocks were reset";
    return false;
  }
  // What a node that is gone for good left behind waits until a floor says so.
  for (auto& [id, node] : nodes) {
    if (!node.agent->alive() || !node.agent->waits_for_floor()) continue;
    *why = "n" + std::to_string(id) + ": " + node.agent->trouble();
    node.agent->announce_floor(stream.last());
    return false;
  }
  // Tables that objects of other kinds are in the way of, or whose schema was gone or damaged: they are tried again by and by.
  const bool tries_again = profile.kinds != 0 || profile.lose_ms != 0 || profile.damaged_messages != 0;
  for (auto& [id, node] : nodes) {
    if (!tries_again || !node.agent->alive() || node.agent->trouble().empty()) continue;
    *why = "n" + std::to_string(id) + ": " + node.agent->trouble();
    return false;
  }
  if (profile.repair_ms == 0) return true;
  if (quiet_since_ < 0 || quiet_at_ != stream.last()) {
    quiet_since_ = now_;
    quiet_at_ = stream.last();
  }
  *why = "the nodes have not found one another equal";
  return equal_since_ >= quiet_since_;
}

// As operators do who read `status`: of two objects that want one name, the one goes that is no table. Then each node makes what it could
// not make until now, and takes what waited for it.
bool World::makes_room(std::string* why) {
  if (profile.kinds == 0) return false;
  for (auto& [id, node] : nodes) {
    if (!node.agent->alive() || !node.app->idle()) continue;
    const Enter scope(disks, id, Process::app);
    *why = "n" + std::to_string(id) + ": its application makes room for tables";
    if (node.app->make_room()) return true;
  }
  return false;
}

// For the one who reads the trace: each file's schema, rows and registers.
void World::tell_moving() {
  for (auto& [id, node] : nodes) {
    sqlite::Database& db = *checker(node);
    const Enter scope(disks, id, Process::checker);
    const auto schema_now = print_schema(db), rows = Moving::print_rows(db);
    std::string all = (schema_now ? *schema_now : std::string()) + (rows ? *rows : std::string());
    auto registers = db.prepare("SELECT kind || ' ' || tbl || ' ' || id || ': ' || printf('%x.%d', hlc, node) || iif(dropped, ' dropped ', ' ') || name || ' ' || body"
                                " || ' ' || position || iif(here IS NULL, '', ' here') || iif(seq IS NULL, ' to be sent', '') FROM __marmot_schema ORDER BY kind, tbl, id");
    for (auto more = registers ? registers->step() : Result<bool>(false); more && *more; more = registers->step()) all += std::string(registers->text(0)) + "\n";
    for (size_t at = 0; at < all.size();) {
      const size_t end = all.find('\n', at);
      say(id, all.substr(at, end - at));
      at = end + 1;
    }
  }
}

// What moving.hpp says of the end.
std::string World::check_moving() {
  std::vector<sqlite::Database*> files;
  std::string first;
  for (auto& [id, node] : nodes) {
    if (node.away) continue;
    sqlite::Database& db = *files.emplace_back(checker(node));
    const Enter scope(disks, id, Process::checker);
    // The word AUTOINCREMENT in a moving table is ours, and stands nowhere where it is not known for that.
    const auto strange = db.query_text("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name GLOB 'm[0-9]*' AND sql LIKE '%AUTOINCREMENT%' AND name NOT IN"
                                       " (SELECT t.name FROM __marmot_adopted a JOIN __marmot_table t ON t.id = a.tbl)");
    if (strange) return "n" + std::to_string(id) + ": " + *strange + " is AUTOINCREMENT, and was not adopted";
    const auto schema_now = print_schema(db), rows = Moving::print_rows(db);
    if (!schema_now || !rows) return "n" + std::to_string(id) + ": " + (schema_now ? rows.error().message : schema_now.error().message);
    const std::string whole = *schema_now + *rows;
    if (files.size() == 1) first = whole;
    else if (const std::string differs = first_difference(first, whole); !differs.empty()) return "n" + std::to_string(id) + " differs from n1: " + differs;
  }
  const Enter scope(disks, nodes.begin()->first, Process::checker);
  return ledger.moving.check(files, migrations, !(stream_lost_ && file_lost_));
}

// A conflict that some node knows to be handled is listed on none (decision 0040).
std::string World::check_handled() {
  std::set<std::string> handled;
  std::map<std::string, int> listed;
  const auto read = [](sqlite::Database& db, const char* table, const auto& put) -> Status {
    TRY_ASSIGN(auto rows, db.prepare(std::string("SELECT tbl || ' ' || hex(key) || ' ' || loser_hlc || ' ' || loser_node || ' ' || loser_incarnation FROM ") + table +
                                     " WHERE loser_hlc <> 0 AND tbl NOT GLOB 'm*'"));
    for (;;) {
      TRY_ASSIGN(const bool more, rows.step());
      if (!more) return ok();
      put(std::string(rows.text(0)));
    }
  };
  for (auto& [id, node] : nodes) {
    if (node.away) continue;
    sqlite::Database& db = *checker(node);
    const Enter scope(disks, id, Process::checker);
    Status done = read(db, "__marmot_handled", [&](std::string row) { handled.insert(std::move(row)); });
    if (done) done = read(db, "__marmot_conflict", [&, id = id](std::string row) { listed.emplace(std::move(row), id); });
    if (!done) return done.error().message;
  }
  for (const auto& [conflict, id] : listed) {
    if (handled.count(conflict) != 0) return "n" + std::to_string(id) + " lists " + conflict + ", which was discarded";
  }
  return {};
}

// A clone names what it writes before its agent looks as its original does (decision 0030), and so does a file that is put back in the same
// reading of the clock. What went and came unseen, and what a tool
// has numbered anew, may be taken for one row.
bool World::may_share_names() const {
  const bool unseen = profile.damage_ms != 0 || profile.untrigger_ms != 0 || profile.copied_ms != 0 || untold_.count("bare") != 0;
  return !profile.watch_names || cloned_ || unseen || (profile.clock_grain_ms > 1 && file_lost_);
}

// No stamp is ahead once clocks were reset, and of two writes further apart in true time than the bound the later one wins (decision 0032).
std::string World::check_stamps() {
  if (profile.reset_ms == 0) return {};
  for (auto& [id, node] : nodes) {
    if (node.away) continue;
    sqlite::Database& db = *checker(node);
    const Enter scope(disks, id, Process::checker);
    const auto highest = db.query_integer("SELECT coalesce(max(hlc & 0xffffffffffff), 0) FROM (SELECT hlc FROM __marmot_version UNION ALL SELECT hlc FROM __marmot_buried"
                                          " UNION ALL SELECT hlc FROM __marmot_pruned UNION ALL SELECT hlc >> 16 FROM __marmot_schema)");
    if (!highest) return highest.error().message;
    if (*highest > server_time() + 3000) return "n" + std::to_string(id) + " holds a stamp that is " + std::to_string(*highest - server_time()) + " ms ahead";
  }
  return ledger.earlier_winner(3000);
}

void World::check_end() {
  std::map<int, Rows> rows;
  std::set<Place> conflicts = discarded_;
  for (auto& [id, node] : nodes) {
    if (node.away) continue;
    if (std::string wrong = node.agent->trouble(); !wrong.empty()) return fail(id, wrong);
    if (std::string names = untriggered(node); !names.empty()) return fail(id, "triggers of Marmot's are missing on " + names);
    check_whole(node);
    recover(node);
    sqlite::Database* const db = checker(node);
    const Enter scope(disks, id, Process::checker);
    auto read = read_rows(*db, schema.keys());
    if (!read) return fail(id, read.error().message);
    rows[id] = std::move(*read);
    auto listed = db->prepare("SELECT tbl, key FROM __marmot_conflict");
    for (auto more = listed ? listed->step() : Result<bool>(false); more && *more; more = listed->step()) {
      conflicts.insert(Place{std::string(listed->text(0)), std::string(listed->blob(1))});
    }
    if (std::string wrong = check_file(*db, schema.fts); !wrong.empty()) return fail(id, wrong);
  }
  const Rows& judged = rows.begin()->second;
  std::set<std::string> twice = untold_;
  for (const TableSpec& table : schema.tables) {
    if (cloned_ || brought_again_) twice.insert(table.name());
  }
  for (const auto& [name, check] : std::map<std::string, std::function<std::string()>>{
           {"identical", [&] { return check_identical(rows); }},
           {"invented", [&] { return check_nothing_invented(ledger, judged, twice); }},
           {"ids", [&] { return ids_are_dealt() ? given_ids.check(ledger) : std::string(); }},
           {"names", [&] { return may_share_names() ? std::string() : ledger.name_of_two(); }},
           {"lost", [&] { return check_nothing_lost(ledger, judged, conflicts, twice); }},
           {"winners", [&] { return stream_lost_ && file_lost_ ? std::string() : check_winners(ledger, schema, judged); }}}) {
    if (std::string wrong = check(); !wrong.empty()) return fail(0, name + ": " + wrong);
  }
  if (std::string wrong = check_stamps(); !wrong.empty()) return fail(0, "clock reset: " + wrong);
  if (std::string wrong = check_handled(); !wrong.empty()) return fail(0, "handled: " + wrong);
  if (std::string wrong = check_moving(); !wrong.empty()) {
    tell_moving();
    return fail(0, "moving tables: " + wrong);
  }
  say(0, "settled: " + std::to_string(rows.begin()->second.size()) + " rows on " + std::to_string(rows.size()) + " nodes");
}

}  // namespace marmot::sim
