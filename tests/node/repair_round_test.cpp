// A round of anti-entropy that is wanted because messages are gone (docs/decisions/0026): whom it asks, and when it has its end.
#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <set>
#include <vector>

#include "common/node/repair_round.hpp"

using namespace marmot;
using node::RepairRound;

namespace {

// Node 1 leads; all nodes hold the same. Answers come when tick() is called.
struct Cluster {
  std::set<uint64_t> others{2, 3};
  std::set<uint64_t> members{2, 3};
  std::set<uint64_t> turn_away;       // these carry out nothing: busy, or the answer is lost
  std::vector<uint64_t> told;         // they told their schema
  std::vector<bool> ends;             // of rounds: was all found equal?
  std::deque<std::function<void()>> later;
  RepairRound round{host(), {}};

  RepairRound::Host host() {
    RepairRound::Host host;
    host.self = [] { return RepairRound::Present{1, 1, 10}; };
    host.others = [this] {
      std::vector<RepairRound::Present> out;
      for (const uint64_t other : others) out.push_back({other, 1, 10});
      return out;
    };
    host.complete = [this] { return others == members; };
    host.tables = [this](auto then) { later.push_back([then] { then({"t"}); }); };
    host.digest = [this](uint64_t, const CompareBy&, const KeyRange&, int64_t, auto then) { later.push_back([then] { then(RangeDigest{}); }); };
    host.keys = [](uint64_t, const CompareBy&, const KeyRange&, auto) { FAIL("nothing differs"); };
    host.act = [this](uint64_t node, const std::string& table, std::vector<RepairAction>, auto then) {
      CHECK(table.empty());
      const bool acts = turn_away.count(node) == 0;
      if (acts) told.push_back(node);
      later.push_back([then, acts] { then(acts ? 1 : 0); });
    };
    host.pause = [this](int64_t, std::function<void()> then) { later.push_back(std::move(then)); };
    host.seed = [] { return HashKey{1, 2}; };
    host.now_ms = [] { return int64_t{0}; };
    host.over = [this](const Status& how) { ends.push_back(how && round.clean()); };
    host.log = [](LogLevel, const std::string&) {};
    host.walking = [](const std::string&, size_t, size_t) {};
    host.repaired = [](const std::string&, int64_t) {};
    return host;
  }

  // A round, until nothing is left to do.
  void tick() {
    round.due();
    while (!later.empty()) {
      const auto next = std::move(later.front());
      later.pop_front();
      next();
    }
  }
};

using Nodes = std::vector<uint64_t>;

}  // namespace

TEST_CASE("repair round: where messages are gone the others tell their schema once") {
  Cluster cluster;
  cluster.round.want();
  CHECK(cluster.round.lacking());
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3});
  CHECK(cluster.ends.size() == 1);
  CHECK_FALSE(cluster.round.wanted());
}

TEST_CASE("repair round: who did not tell its schema when it was asked is asked again") {
  Cluster cluster;
  cluster.turn_away = {3};
  cluster.round.want();
  cluster.tick();
  CHECK(cluster.told == Nodes{2});
  CHECK(cluster.ends.size() == 1);
  CHECK(cluster.round.lacking());  // equal rows do not show that a column, a view or a trigger is missing
  cluster.turn_away.clear();
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3});
  CHECK_FALSE(cluster.round.wanted());
}

TEST_CASE("repair round: who was away when the others told their schema is asked when it is back") {
  Cluster cluster;
  cluster.others = {2};
  cluster.round.want();
  cluster.tick();
  CHECK(cluster.told == Nodes{2});
  CHECK(cluster.round.wanted());
  CHECK_FALSE(cluster.round.lacking());
  cluster.others = {2, 3};
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3});
  CHECK_FALSE(cluster.round.wanted());
}

TEST_CASE("repair round: what is gone later is asked for anew") {
  Cluster cluster;
  cluster.round.want();
  cluster.tick();
  cluster.round.want();
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3, 2, 3});
}

TEST_CASE("repair round: one that was under way when messages were found gone is not the one that is wanted") {
  Cluster cluster;
  cluster.round.due();
  CHECK(cluster.round.busy());
  cluster.round.want();
  cluster.tick();  // its end
  CHECK(cluster.ends.size() == 1);
  CHECK(cluster.told.empty());
  CHECK(cluster.round.lacking());
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3});
  CHECK_FALSE(cluster.round.wanted());
}

TEST_CASE("repair round: where rows wait for a table that nobody has told of, the others tell their schema, and nothing is held up") {
  Cluster cluster;
  cluster.round.want(RepairRound::Why::untold);
  CHECK(cluster.round.seeking());
  CHECK_FALSE(cluster.round.lacking());
  cluster.tick();
  CHECK(cluster.told == Nodes{2, 3});
  CHECK_FALSE(cluster.round.seeking());
  cluster.round.want();
  cluster.round.want(RepairRound::Why::untold);
  CHECK(cluster.round.lacking());  // messages are gone all the same
  cluster.tick();
  CHECK_FALSE(cluster.round.lacking());
}
