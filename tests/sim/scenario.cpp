#include "tests/sim/scenario.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/sim/agent.hpp"
#include "tests/sim/app.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

class Scenario {
 public:
  Scenario() : world_(1, Profile{}, false) { world_.trace_.keep_all(); }

  void command(const std::string& line) {
    std::istringstream in(line);
    std::string verb, rest;
    int n = 0;
    in >> verb >> n;
    std::getline(in >> std::ws, rest);
    world_.say(0, "> " + line);
    if (verb == "run") return run(n);
    if (verb == "settle") return settle();
    if (verb == "delete") return world_.stream.destroy();
    if (verb == "trim") return world_.stream.trim(world_.stream.last() + 1 - static_cast<StreamSeq>(n));
    if (verb == "snapshot") {
      world_.snapshot_wanted_at = world_.now();
      return;
    }
    if (verb == "tail") {
      world_.stream.lose_tail(world_.stream.last() - static_cast<StreamSeq>(n));
      return world_.disconnect_all();
    }
    if (verb == "node") {
      world_.add_node(n, World::Begin::empty);
      world_.nodes[n].agent->may_found = n == 1;
      return;
    }
    Node& node = world_.nodes.at(n);
    if (verb == "sql" || verb == "query") return say(node, rest);
    if (verb == "power") return world_.power_cut(node);
    if (verb == "start") node.away = false;
    if (verb == "stop") node.away = true;
    if (verb != "start") node.agent->kill();
    if (verb == "kill") world_.after(20, [&node] { node.agent->start(); });
    if (verb == "start") node.agent->start();
  }

  std::string trace() const {
    std::string out;
    for (const std::string& line : world_.trace_.last()) out += line + "\n";
    return out;
  }

 private:
  void run(int64_t ms) {
    const int64_t until = world_.now_ + ms;
    while (!world_.queue_.empty() && world_.queue_.begin()->first.first <= until) {
      auto next = world_.queue_.extract(world_.queue_.begin());
      world_.now_ = next.key().first;
      next.mapped()();
    }
    world_.now_ = until;
  }

  void settle() {
    std::string why;
    for (int i = 0; i < 100; ++i) {
      run(100);
      if (world_.settled(&why)) return;
    }
    world_.fail(0, "not settled: " + why);
  }

  void say(Node& node, const std::string& sql) {
    const Enter scope(world_.disks, node.id, Process::app);
    auto db = sqlite::Database::open(node.path, SQLITE_OPEN_READWRITE);
    auto select = db ? db->prepare(sql) : Result<sqlite::Statement>(db.error());
    if (!select) return world_.fail(node.id, select.error().message);
    for (;;) {
      const auto row = select->step();
      if (!row) return world_.fail(node.id, row.error().message);
      if (!*row) return;
      std::string line;
      for (int i = 0; i < select->columns(); ++i) line += (i == 0 ? "  " : " | ") + print_cell(Cell::of(select->value(i)));
      world_.say(node.id, line);
    }
  }

  World world_;
};

int run_scenario(const std::string& path, bool rewrite) {
  std::ifstream file(path);
  std::string script, expected, line;
  bool in_script = true;
  Scenario scenario;
  while (std::getline(file, line)) {
    if (!in_script) {
      expected += line + "\n";
      continue;
    }
    script += line + "\n";
    in_script = line != "---";
    if (in_script && !line.empty() && line[0] != '#') scenario.command(line);
  }
  const std::string trace = scenario.trace();
  if (rewrite) {
    std::ofstream(path) << script << (in_script ? "---\n" : "") << trace;
    return 0;
  }
  const bool same = trace == expected && !in_script;
  std::printf("%s  %s\n", same ? "passed" : "failed", path.c_str());
  if (!same) std::printf("its trace is now:\n%s(run --scenario %s --rewrite takes it over)\n", trace.c_str(), path.c_str());
  return same ? 0 : 1;
}

}  // namespace marmot::sim
