#include "tests/sim/app.hpp"

#include "tests/sim/agent.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

void App::start() {
  if (started_) return;
  started_ = true;
  const int64_t first = world_.random.between(0, world_.profile.write_ms);
  world_.after(first, [this] { tick(); });
}

void App::kill() {
  world_.disks.of(node_.id).kill(Process::app);
  db_.reset();
  holding_ = reading_ = suspect_ = false;
}

bool App::open() {
  const Enter scope(world_.disks, node_.id, Process::app);
  auto db = sqlite::Database::open(node_.path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX);
  if (!db) return false;
  std::string setup = node_.encoding + "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = ";
  setup += std::to_string(world_.profile.checkpoint_pages);
  setup += world_.profile.app_full_sync ? "; PRAGMA synchronous = FULL" : "; PRAGMA synchronous = NORMAL";
  setup += world_.profile.recursive_triggers ? "; PRAGMA recursive_triggers = ON" : "; PRAGMA recursive_triggers = OFF";
  if (!db->exec(setup)) return false;
  for (const std::string& sql : world_.schema.local) {
    if (!db->exec(sql)) return false;
  }
  if (world_.wide()) {
    const auto encoding = db->query_text("PRAGMA encoding");
    if (!encoding || !db->learn_encoding()) return false;
    texts_ = *encoding == "UTF-8" ? Texts::utf8 : *encoding == "UTF-16le" ? Texts::utf16le : Texts::utf16be;
  }
  db_ = std::make_unique<sqlite::Database>(std::move(*db));
  return true;
}

// The promise: our triggers refuse nothing. What the application's own schema or the disk says is another matter.
void App::refused(const std::string& sql, int rc) {
  const std::string message = sqlite3_errmsg(db_->get());
  refusal_ = message;
  const int kind = rc & 0xff;
  const bool own = kind == SQLITE_CONSTRAINT || kind == SQLITE_MISMATCH || (kind == SQLITE_ERROR && world_.profile.moving != 0 && refused_without_us(*db_, sql));
  const bool disk = kind == SQLITE_FULL || kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN;
  const bool busy = kind == SQLITE_BUSY || kind == SQLITE_LOCKED;
  const bool bare = kind == SQLITE_ERROR && message.rfind("no such table", 0) == 0 && (!node_.prepared || !node_.agent->member());  // its file was rolled back
  if (bare) return;
  if (message.find("__marmot") == std::string::npos && (own || busy || (disk && !world_.calm()))) return;
  world_.fail(node_.id, "the application's own statement was refused: " + sql + ": " + message);
}

bool App::run(const std::string& sql) {
  const bool inside = db_->in_transaction();
  if (sql.rfind("DROP TABLE ", 0) == 0) world_.ledger.moving.drops(*db_, sql.substr(11));
  if (inside && !db_->in_transaction()) return false;  // the disk failed while it was read: the table would go without its transaction
  const int rc = sqlite3_exec(db_->get(), sql.c_str(), nullptr, nullptr, nullptr);
  replaces_ = replaces_ || sql.find("REPLACE") != std::string::npos;
  if (rc == SQLITE_OK) return true;
  if ((rc & 0xff) == SQLITE_IOERR && (world_.schema.fts || world_.profile.kinds != 0)) suspect_ = true;  // FTS5 is not right after one (engine.hpp)
  if (!world_.disks.of(node_.id).stopped) refused(sql, rc);
  return false;
}

bool App::begin() {
  if (!run("BEGIN IMMEDIATE")) return false;
  const auto counted = db_->query_integer("SELECT n FROM sim_commit");
  auto rows = read_rows(*db_, world_.tables_of(*db_));
  if (!counted || !rows) {
    (void)db_->exec("ROLLBACK");
    return false;
  }
  if (world_.scripted) {
    auto writes = read_writes(*db_);
    if (!writes) {
      refusal_ = "a table whose schema may change: " + writes.error().message;
      (void)db_->exec("ROLLBACK");
      return false;
    }
    writes_before_ = std::move(*writes);
    drops_ = false;
  }
  replaces_ = false;
  world_.ledger.recovered(node_.id, *counted);
  number_ = std::max(number_, *counted) + 1;
  before_ = std::move(*rows);
  keyless_before_ = world_.keyless_rows(node_);
  return true;
}

bool App::transaction(const std::vector<std::string>& statements, bool hold, bool strict) {
  if (!begin()) return false;
  for (const std::string& sql : statements) {
    // Refused by a constraint: the application goes on with the next one.
    if (!run(sql) && strict && db_->in_transaction()) (void)db_->exec("ROLLBACK");
    if (!db_->in_transaction()) return false;
  }
  holding_ = true;
  if (!hold) finish();
  return true;
}

void App::roll_back() {
  holding_ = false;
  writes_before_.reset();
  if (db_->in_transaction()) (void)db_->exec("ROLLBACK");
}

bool App::finish() {
  holding_ = false;
  auto after = read_rows(*db_, world_.tables_of(*db_));
  const std::optional<Writes> writes_before = std::exchange(writes_before_, std::nullopt);
  auto writes = writes_before ? read_writes(*db_) : Writes();
  const auto met = writes_before ? met_a_stream() : Result<bool>(false);
  const auto number = db_->query_integer("PRAGMA user_version");
  const bool counted = after && writes && met && number && run("UPDATE sim_commit SET n = " + std::to_string(number_));
  if (!counted) {
    (void)db_->exec("ROLLBACK");
    return false;
  }
  auto changes = Ledger::difference(before_, *after);
  const bool done = run("COMMIT");
  if (!done && db_->in_transaction()) (void)db_->exec("ROLLBACK");
  Machine& machine = world_.disks.of(node_.id);
  const bool unseen = world_.profile.untrigger_ms != 0 && !world_.untriggered(node_).empty();  // the scrub finds it, unless another node's write comes first
  const Fate fate = !node_.prepared || unseen ? Fate::early : machine.stopped || !done ? Fate::unknown : Fate::committed;
  world_.say(node_.id, "app commit " + std::to_string(number_) + " of " + std::to_string(changes.size()) + " rows" + (done ? "" : ": failed"));
  for (const Change& change : changes) {
    if (world_.ledger.print) std::printf("            %s %s of %s\n", print_id(change.id).c_str(), change.after.value_or("deleted").c_str(), change.before.value_or("none").c_str());
  }
  if (fate == Fate::committed) world_.mark_changes(node_, keyless_before_, replaces_, changes);
  if (fate == Fate::committed) world_.note_given_ids(node_, changes);
  world_.ledger.commit(node_.id, number_, fate, std::move(changes), world_.server_time());
  if (writes_before) world_.ledger.moving.commit(node_.id, number_, *met && !unseen ? fate : Fate::early, *writes_before, *writes, drops_, *number);
  if (fate != Fate::unknown) {
    ++world_.committed;
    if (world_.profile.drain_each && node_.agent->alive()) node_.agent->drain_now();
    world_.check_whole(node_);
  }
  return done;
}

// Before that, a table of the stream's wins over one of the same name that the agent has not seen here yet.
Result<bool> App::met_a_stream() {
  const auto membership = db_->query_integer("SELECT value FROM __marmot_meta WHERE key = 'membership'");
  if (!membership && (membership.error().code == Errc::not_found || membership.error().code == Errc::schema)) return false;
  TRY(membership);
  return *membership != 0;
}

void App::migrate(const Migration& migration) {
  for (const std::string& sql : migration.statements) world_.say(node_.id, "app: " + sql);
  if (migration.statements.empty()) return;
  if (migration.changes_schema) world_.count("ddl");
  for (const auto* const part : {&migration.statements, &migration.second}) {
    auto writes = read_writes(*db_);
    if (part->empty() || !writes) continue;
    writes_before_ = std::move(*writes);
    drops_ = migration.drops;
    const bool done = transaction(*part, false, migration.changes_schema);
    writes_before_.reset();
    if (!done) return;
  }
  if (migration.vacuum) (void)run("VACUUM");
}

bool App::make_room() {
  if (!db_ && !open()) return false;
  const Migration room = Migrations::make_room(*db_);
  migrate(room);
  return !room.statements.empty();
}

// A new table of this node's, whose name nobody used before; its former one goes. World::check_named_tables
std::vector<std::string> App::name_a_table() {
  const std::string own = "named_" + std::to_string(node_.id) + "_", name = std::to_string(world_.random.next());
  std::vector<std::string> out = {"CREATE TABLE IF NOT EXISTS named(node INTEGER PRIMARY KEY, name TEXT)", "CREATE TABLE " + own + name + "(x INTEGER PRIMARY KEY)"};
  const auto former = db_->query_text("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '" + own + "*' LIMIT 1");
  if (former && !former->empty()) out.push_back("DROP TABLE " + *former);
  out.push_back("INSERT OR REPLACE INTO named VALUES(" + std::to_string(node_.id) + ", '" + name + "')");
  return out;
}

void App::tick() {
  const int64_t next = world_.random.between(1, 2 * world_.profile.write_ms);
  if (!stopping_ || !idle()) world_.after(next, [this] { tick(); });
  if (suspect_) kill();
  if (!db_ && (stopping_ || !open())) return;
  const Profile& profile = world_.profile;
  Machine& machine = world_.disks.of(node_.id);
  const bool power = !world_.calm() && world_.random.per_mille(profile.power);
  const bool crash = !world_.calm() && world_.random.per_mille(profile.app_crash);
  if (power || crash) {
    machine.faults.stop_after = world_.random.between(0, 40);
    machine.faults.stops = Process::app;
    machine.faults.stop_all = power;
  }
  {
    const Enter scope(world_.disks, node_.id, Process::app);
    if (holding_ || reading_) {
      const bool on = world_.random.per_mille(600) && !stopping_;
      if (!on && holding_) finish();
      if (!on && reading_) (void)run("COMMIT");
      if (!on) reading_ = false;
    } else if (!stopping_ && world_.random.per_mille(profile.read_hold)) {
      reading_ = run("BEGIN") && run("SELECT count(*) FROM pair_a");
      if (!reading_ && db_->in_transaction()) (void)db_->exec("ROLLBACK");
    } else if (!stopping_ && world_.random.per_mille(profile.vacuum)) {
      world_.say(node_.id, "app vacuum");
      (void)run("VACUUM");
    } else if (const auto rebuild = world_.random.per_mille(stopping_ || !node_.prepared ? 0 : profile.rebuild) ? world_.workload.rebuild()
                                                                                                                : std::vector<std::string>();
               !rebuild.empty()) {
      world_.say(node_.id, "app " + rebuild.back());
      world_.count("rebuild");
      transaction(rebuild, false, true);
    } else if (!stopping_ && profile.migrate_at_start && !migrated_) {
      migrated_ = true;
      migrate(world_.migrations.at_start(*db_));
    } else if (!stopping_ && profile.moving != 0 && world_.random.per_mille(profile.moving)) {
      migrate(world_.migrations.next(*db_, profile.ddl, profile.kinds));
    } else if (!stopping_ && node_.prepared && profile.halves != 0 && world_.random.per_mille(profile.halves)) {
      transaction(name_a_table(), false);
    } else if (!stopping_) {
      const auto statements = world_.workload.transaction(world_.pairs_whole() && node_.prepared ? profile.pairs : 0, profile.between, texts_);
      const bool hold = world_.random.per_mille(profile.hold);
      transaction(statements, hold);
    }
  }
  if (machine.stopped || power || crash) {
    machine.faults.stop_after = -1;
    world_.processes_stopped(node_);
  }
}

}  // namespace marmot::sim
