// How fast the pieces are, measured side by side in one process on one machine: plain SQLite, SQLite with Marmot's
// triggers, SQLite with the session extension; then drain, publish (encode) and apply. Prints one JSON object.
//
//   engine_bench DIRECTORY [ROWS [REPEATS [engine]]]      `engine`: drain, publish and apply only (for a profiler)
// The session extension's declarations are optional in sqlite3.h.
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/codec/message.hpp"
#include "common/replica/replica.hpp"

namespace {

using namespace marmot;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "engine_bench: %s\n", what.c_str());
  std::exit(1);
}

void require(const Status& status) {
  if (!status) fail(status.error().message);
}

template <class T>
T require(Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}

double seconds_of(const std::function<void()>& work) {
  const auto began = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

enum class Capture { none, marmot, session };

replica::Environment environment() {
  replica::Environment out;
  out.now = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  };
  out.monotonic_us = [] {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
  };
  return out;
}

std::string fresh(const std::filesystem::path& directory, const std::string& name) {
  const std::string path = directory / (name + ".db");
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  return path;
}

// Without a key rows are named; `apart`: each by another millisecond.
enum class Keys { integer, none, none_apart };

sqlite::Database open_application(const std::string& path, Keys keys = Keys::integer) {
  auto db = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
  const std::string id = keys == Keys::integer ? "id INTEGER PRIMARY KEY" : "id INT";
  require(db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                  "CREATE TABLE IF NOT EXISTS item(" + id + ", name TEXT, price REAL, stock INT)"));
  return db;
}

replica::Replica open_engine(const std::string& path, uint64_t node, const replica::Settings& settings = {}) {
  auto db = require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX));
  require(db.exec("PRAGMA busy_timeout = 1000; PRAGMA synchronous = NORMAL"));
  auto engine = require(replica::Replica::open(std::move(db), settings, environment(), {NodeId{node}, Incarnation{node * 10}, Hlc{}, HashKey{5, 6}}));
  while (!require(engine.baseline())) {}
  return engine;
}

// Rows a second of one kind of statement, `batch` statements a transaction.
struct Rates {
  double insert = 0, update = 0, remove = 0;
};

Rates write_rates(const std::filesystem::path& directory, Capture capture, int rows, int batch) {
  const std::string path = fresh(directory, "write");
  auto db = open_application(path);
  if (capture == Capture::marmot) open_engine(path, 1);
  sqlite3_session* session = nullptr;
  if (capture == Capture::session) {
    if (sqlite3session_create(db.get(), "main", &session) != SQLITE_OK || sqlite3session_attach(session, "item") != SQLITE_OK) {
      fail("cannot make a session");
    }
  }
  const auto run = [&](const char* sql) {
    auto statement = require(db.prepare(sql, true));
    return rows / seconds_of([&] {
      for (int i = 0; i < rows; ++i) {
        if (batch > 1 && i % batch == 0) require(db.exec("BEGIN IMMEDIATE"));
        statement.bind(1, int64_t{i});
        require(statement.run());
        statement.reset();
        if (batch > 1 && (i + 1) % batch == 0) require(db.exec("COMMIT"));
      }
    });
  };
  Rates rates;
  rates.insert = run("INSERT INTO item VALUES(?1, 'item number ' || ?1, ?1 * 1.25, ?1 % 100)");
  rates.update = run("UPDATE item SET stock = stock + 1 WHERE id = ?1");
  rates.remove = run("DELETE FROM item WHERE id = ?1");
  if (session != nullptr) sqlite3session_delete(session);
  return rates;
}

const char* kFill = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1) "
                    "INSERT INTO item SELECT i, 'item number ' || i, i * 1.25, i %% 100 FROM n";

struct EngineRates {
  double drain = 0, apply_insert = 0, apply_update = 0, echo = 0, wire_bytes_a_row = 0;
};

// Units of one engine handed to another; rows a second of each step, whole transactions included.
EngineRates engine_rates(const std::filesystem::path& directory, int rows, Keys keys) {
  const std::string from_path = fresh(directory, "from");
  const std::string to_path = fresh(directory, "to");
  auto app = open_application(from_path, keys);
  { auto other = open_application(to_path, keys); }
  auto from = open_engine(from_path, 1);
  auto to = open_engine(to_path, 2);
  require(from.found(7));
  require(to.join(7, 1));
  std::vector<replica::Incoming> stream{{1, 0, "genesis", codec::seal(codec::Kind::genesis, from.origin(), 0, codec::encode_genesis({7, from.hash_key()}), 1000, codec::kFormatOfKeys)[0]}};
  size_t wire = 0;
  const auto publish = [&](const std::vector<replica::OutUnit>& units) {
    for (const auto& unit : units) {
      for (size_t part = 0; part < unit.messages.size(); ++part) {
        wire += unit.messages[part].size();
        stream.push_back({stream.size() + 1, 0, unit.msg_ids[part], unit.messages[part]});
      }
    }
  };
  const auto drain = [&] {
    std::vector<replica::OutUnit> units;
    for (bool more = true; more;) {
      auto result = require(from.drain(false));
      for (auto& unit : result.units) units.push_back(std::move(unit));
      more = result.more;
    }
    return units;
  };
  const auto apply = [&](replica::Replica& engine) {
    std::deque<replica::Incoming> queue;
    for (const auto& message : stream) {
      if (message.seq > engine.position().seq) queue.push_back(message);
    }
    return seconds_of([&] {
      while (!queue.empty()) require(engine.apply(queue, false));
    });
  };
  publish(drain());
  apply(from);
  apply(to);
  wire = 0;

  EngineRates rates;
  char fill[256];
  std::snprintf(fill, sizeof fill, kFill, rows);
  require(app.exec(fill));
  if (keys == Keys::none_apart) require(app.exec("UPDATE __marmot_log SET ts = ts + seq - (SELECT max(seq) FROM __marmot_log)"));
  std::vector<replica::OutUnit> units;
  rates.drain = rows / seconds_of([&] { units = drain(); });
  publish(units);
  rates.wire_bytes_a_row = static_cast<double>(wire) / rows;
  rates.echo = rows / apply(from);
  rates.apply_insert = rows / apply(to);
  require(app.exec("UPDATE item SET stock = stock + 1"));
  publish(drain());
  rates.apply_update = rows / apply(to);
  apply(from);
  return rates;
}

struct IdRates {
  double drain = 0, apply = 0;
};

// Transactions a second of one row each into an AUTOINCREMENT table, by two nodes in turn: each drains its own, and applies the other's, with the
// next id moved where the settings deal ids.
IdRates id_rates(const std::filesystem::path& directory, int transactions, replica::IdMode mode) {
  replica::Settings settings;
  settings.ids.mode = mode;
  std::vector<sqlite::Database> apps;
  std::vector<replica::Replica> engines;
  for (int node = 0; node < 2; ++node) {
    const std::string path = fresh(directory, "ids" + std::to_string(node));
    apps.push_back(require(sqlite::Database::open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)));
    require(apps.back().exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT)"));
    engines.push_back(open_engine(path, static_cast<uint64_t>(node) + 1, settings));
  }
  require(engines[0].found(7));
  require(engines[1].join(7, 1));
  std::vector<replica::Incoming> stream{
      {1, 0, "genesis", codec::seal(codec::Kind::genesis, engines[0].origin(), 0, codec::encode_genesis({7, engines[0].hash_key()}), 1000, codec::kFormatOfKeys)[0]}};
  IdRates spent;
  const auto turn = [&](size_t node) {
    spent.drain += seconds_of([&] {
      for (auto& unit : require(engines[node].drain(false)).units) stream.push_back({stream.size() + 1, 0, unit.msg_ids.at(0), unit.messages.at(0)});
    });
    for (auto& engine : engines) {
      std::deque<replica::Incoming> queue(stream.begin() + static_cast<std::ptrdiff_t>(engine.position().seq), stream.end());
      const double took = seconds_of([&] {
        while (!queue.empty()) require(engine.apply(queue, false));
      });
      if (&engine != &engines[node]) spent.apply += took;
    }
  };
  for (int i = 0; i < 20; ++i) turn(static_cast<size_t>(i % 2));  // until each has its slot
  if (!engines[0].ids_ready() || !engines[1].ids_ready()) fail("a node has no slot");
  spent = {};
  for (int i = 0; i < transactions; ++i) {
    require(apps[static_cast<size_t>(i % 2)].exec("INSERT INTO counted(name) VALUES('a name')"));
    turn(static_cast<size_t>(i % 2));
  }
  return {transactions / spent.drain, transactions / spent.apply};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: engine_bench DIRECTORY [ROWS [REPEATS]]");
  const std::filesystem::path directory = argv[1];
  const int rows = argc > 2 ? std::atoi(argv[2]) : 100000;
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 5;
  const bool engine_only = argc > 4 && std::string_view(argv[4]) == "engine";
  if (rows < 1000 || repeats < 1) fail("ROWS is at least 1000, REPEATS at least 1");
  std::map<std::string, std::vector<double>> samples;
  const struct {
    Capture capture;
    const char* name;
  } captures[] = {{Capture::none, "plain"}, {Capture::marmot, "marmot"}, {Capture::session, "session"}};
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (const auto& [capture, name] : captures) {  // side by side, so that the machine's moods hit all three
      if (engine_only) break;
      for (const auto& [batch, count, kind] : {std::tuple{1000, rows, "batch"}, std::tuple{1, rows / 5, "autocommit"}}) {
        const Rates rates = write_rates(directory, capture, count / batch * batch, batch);
        const std::string prefix = std::string(kind) + "." + name + ".";
        samples[prefix + "insert"].push_back(rates.insert);
        samples[prefix + "update"].push_back(rates.update);
        samples[prefix + "delete"].push_back(rates.remove);
      }
    }
    for (const auto& [keys, kind] : {std::pair{Keys::integer, ""}, std::pair{Keys::none, "keyless."}, std::pair{Keys::none_apart, "keyless_apart."}}) {
      const EngineRates rates = engine_rates(directory, rows, keys);
      const std::string prefix = std::string("engine.") + kind;
      samples[prefix + "drain_rows_s"].push_back(rates.drain);
      samples[prefix + "apply_insert_rows_s"].push_back(rates.apply_insert);
      samples[prefix + "apply_update_rows_s"].push_back(rates.apply_update);
      samples[prefix + "echo_rows_s"].push_back(rates.echo);
      samples[std::string("wire.") + kind + "bytes_a_row"].push_back(rates.wire_bytes_a_row);
    }
    for (const auto& [mode, name] : {std::pair{replica::IdMode::off, "off"}, std::pair{replica::IdMode::compact, "compact"}}) {
      const IdRates ids = id_rates(directory, rows / 5, mode);
      samples[std::string("ids.") + name + ".drain_s"].push_back(ids.drain);
      samples[std::string("ids.") + name + ".apply_s"].push_back(ids.apply);
    }
  }
  std::printf("{\n");
  bool first = true;
  for (const auto& [name, values] : samples) {
    std::printf("%s  \"%s\": %.1f", first ? "" : ",\n", name.c_str(), median(values));
    first = false;
  }
  std::printf("\n}\n");
  return 0;
}
