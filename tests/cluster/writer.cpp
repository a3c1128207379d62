// An application in C++ that knows nothing of Marmot: writes to a Chinook database, on rows of its own and on rows that
// others write to, and prints as JSON what must stand in its own rows at the end.
//
//   cluster_writer DB SEED BASE TRANSACTIONS PAUSE_US
//
// It owns the keys from BASE on. Each transaction is BEGIN IMMEDIATE under a busy timeout. Any error ends it with 1.
#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace {

class Application {
 public:
  Application(const char* path, uint64_t seed, int64_t base) : random_(seed), base_(base), next_(base) {
    if (sqlite3_open_v2(path, &db_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK) fail("open");
    sqlite3_busy_timeout(db_, 15000);
    insert_ = prepare("INSERT INTO Artist(ArtistId, Name) VALUES(?1, ?2)");
    update_ = prepare("UPDATE Artist SET Name = ?2 WHERE ArtistId = ?1");
    remove_ = prepare("DELETE FROM Artist WHERE ArtistId = ?1");
    replace_ = prepare("REPLACE INTO Artist(ArtistId, Name) VALUES(?1, ?2)");
    move_ = prepare("UPDATE Artist SET ArtistId = ?2 WHERE ArtistId = ?1");
    line_ = prepare("INSERT OR IGNORE INTO PlaylistTrack(PlaylistId, TrackId) VALUES(?1, ?2)");
    shared_update_ = prepare("UPDATE Track SET Composer = ?2, Milliseconds = ?1 * 1000 WHERE TrackId = ?1");
    shared_replace_ = prepare("INSERT OR REPLACE INTO Genre(GenreId, Name) VALUES(?1 % 40 + 1, ?2)");
    shared_remove_ = prepare("DELETE FROM PlaylistTrack WHERE PlaylistId = 1 AND TrackId = ?1");
    shared_line_ = prepare("INSERT OR IGNORE INTO PlaylistTrack(PlaylistId, TrackId) VALUES(1, ?1)");
    shared_move_ = prepare("UPDATE OR REPLACE PlaylistTrack SET TrackId = ?2 WHERE PlaylistId = 1 AND TrackId = ?1");
  }
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;
  ~Application() {
    for (sqlite3_stmt* statement : {insert_, update_, remove_, replace_, move_, line_, shared_update_, shared_replace_,
                                    shared_remove_, shared_line_, shared_move_}) {
      sqlite3_finalize(statement);
    }
    sqlite3_close(db_);
  }

  void transaction() {
    execute("BEGIN IMMEDIATE");
    const uint64_t statements = 1 + draw(10);
    for (uint64_t i = 0; i < statements; ++i) {
      if (draw(10) < 6) own();
      else shared();
      ++statements_;
    }
    execute("COMMIT");
  }

  void print_ledger() const {
    std::printf("{\"statements\": %llu, \"artists\": {", static_cast<unsigned long long>(statements_));
    const char* comma = "";
    for (const auto& [id, name] : artists_) {
      std::printf("%s\"%lld\": \"%s\"", comma, static_cast<long long>(id), name.c_str());
      comma = ", ";
    }
    std::printf("}, \"lines\": [");
    comma = "";
    for (const auto& [playlist, track] : lines_) {
      std::printf("%s[%lld, %lld]", comma, static_cast<long long>(playlist), static_cast<long long>(track));
      comma = ", ";
    }
    std::printf("]}\n");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    std::fprintf(stderr, "%s: %s\n", what, sqlite3_errmsg(db_));
    std::exit(1);
  }

  sqlite3_stmt* prepare(const char* sql) const {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) fail(sql);
    return statement;
  }

  void execute(const char* sql) const {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
  }

  uint64_t draw(uint64_t below) { return random_() % below; }

  void run(sqlite3_stmt* statement, int64_t first) const {
    sqlite3_bind_int64(statement, 1, first);
    if (sqlite3_step(statement) != SQLITE_DONE) fail(sqlite3_sql(statement));
    sqlite3_reset(statement);
  }
  void run(sqlite3_stmt* statement, int64_t first, int64_t second) const {
    sqlite3_bind_int64(statement, 2, second);
    run(statement, first);
  }
  void run(sqlite3_stmt* statement, int64_t first, const std::string& second) const {
    sqlite3_bind_text(statement, 2, second.data(), static_cast<int>(second.size()), SQLITE_TRANSIENT);
    run(statement, first);
  }

  std::string new_name(const char* kind) { return "cpp " + std::string(kind) + " " + std::to_string(++count_); }

  int64_t some_artist() {
    auto at = artists_.lower_bound(base_ + static_cast<int64_t>(draw(static_cast<uint64_t>(next_ - base_))));
    return at == artists_.end() ? artists_.begin()->first : at->first;
  }

  void own() {
    const uint64_t kind = draw(20);
    const std::string name = new_name("own");
    if (kind < 8 || artists_.size() < 10) {
      const int64_t id = next_++;
      run(insert_, id, name);
      artists_[id] = name;
    } else if (kind < 12) {
      const int64_t id = some_artist();
      run(update_, id, name);
      artists_[id] = name;
    } else if (kind < 14) {
      const int64_t id = some_artist();
      run(remove_, id);
      artists_.erase(id);
    } else if (kind < 16) {
      const int64_t id = some_artist();
      run(replace_, id, name);
      artists_[id] = name;
    } else if (kind < 18) {
      const int64_t from = some_artist();
      const int64_t to = next_++;
      run(move_, from, to);
      artists_[to] = artists_[from];
      artists_.erase(from);
    } else {
      const int64_t playlist = base_ + static_cast<int64_t>(draw(20));
      const int64_t track = 1 + static_cast<int64_t>(draw(3503));
      run(line_, playlist, track);
      lines_.emplace(playlist, track);
    }
  }

  void shared() {
    const int64_t row = 1 + static_cast<int64_t>(draw(300));
    const int64_t other = 1 + static_cast<int64_t>(draw(300));
    switch (draw(5)) {
      case 0: run(shared_update_, row, new_name("shared")); break;
      case 1: run(shared_replace_, row, new_name("shared")); break;
      case 2: run(shared_remove_, row); break;
      case 3: run(shared_line_, row); break;
      default: run(shared_move_, row, other); break;
    }
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt *insert_ = nullptr, *update_ = nullptr, *remove_ = nullptr, *replace_ = nullptr, *move_ = nullptr,
               *line_ = nullptr, *shared_update_ = nullptr, *shared_replace_ = nullptr, *shared_remove_ = nullptr,
               *shared_line_ = nullptr, *shared_move_ = nullptr;
  std::mt19937_64 random_;
  int64_t base_;
  int64_t next_;
  uint64_t count_ = 0;
  uint64_t statements_ = 0;
  std::map<int64_t, std::string> artists_;
  std::set<std::pair<int64_t, int64_t>> lines_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: cluster_writer DB SEED BASE TRANSACTIONS PAUSE_US\n");
    return 2;
  }
  Application application(argv[1], std::strtoull(argv[2], nullptr, 10), std::strtoll(argv[3], nullptr, 10));
  const long transactions = std::strtol(argv[4], nullptr, 10);
  const std::chrono::microseconds pause(std::strtol(argv[5], nullptr, 10));
  for (long i = 0; i < transactions; ++i) {
    application.transaction();
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
  }
  application.print_ledger();
  return 0;
}
