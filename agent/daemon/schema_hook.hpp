// The command of `[hooks] on_schema_change`: run when schema changes of other nodes are committed in a file, for applications
// that cache their schema. One for the whole agent, because several of its files may belong to one application. Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <string>

#include "agent/loop/process.hpp"
#include "agent/loop/uv.hpp"
#include "common/base/log.hpp"

namespace marmot::agent {

class SchemaHook {
 public:
  struct Options {
    std::string command;        // for /bin/sh -c; empty: nothing is ever run
    std::string errors;         // file that gets the command's stderr, emptied before each run
    int64_t limit_ms = 60'000;  // a run that takes longer is killed, with all that it started
    int64_t gather_ms = 200;    // a run waits so long for changes that come in one piece: a migration may be several messages
  };

  SchemaHook(uv::Loop& loop, Options options, LogSink log);
  // stop()
  ~SchemaHook();
  SchemaHook(const SchemaHook&) = delete;
  SchemaHook& operator=(const SchemaHook&) = delete;

  // Objects of these names have changed in the database `name`, whose file is `path`. The command gets these facts as
  // MARMOT_NAME, MARMOT_DATABASE and MARMOT_TABLES (one name a line, at most 64 KiB of whole lines).
  // Never two runs at once: what comes meanwhile is gathered for one further run a database. A run that fails is logged, and
  // not repeated.
  void changed(const std::string& name, const std::string& path, const std::set<std::string>& names);

  // Kills a run that goes on, drops what waits for one, and logs both.
  void stop();

 private:
  struct Arrival {
    std::string name, path;
    std::set<std::string> names;
  };

  void run_next();
  void ended(const uv::ProcessEnd& end);

  uv::Loop& loop_;
  const Options options_;
  const LogSink log_;
  uv::Timer gather_, limit_;
  std::deque<Arrival> waiting_;  // one a database
  std::unique_ptr<uv::Process> running_;
  std::string running_for_;      // name of its database
  bool killed_ = false;
};

}  // namespace marmot::agent
