#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agent/control/metrics.hpp"
#include "agent/replication/stall_alarm.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

// A second at a time.
struct Watched {
  StallRule rule;
  int64_t now = 1'000'000;
  StallRule::Facts facts;
  bool second(int64_t wal) {
    now += 1000;
    facts.wal_bytes = wal;
    return rule.update(now, facts);
  }
};

}  // namespace

TEST_CASE("stall: undrained for more than five seconds while the WAL grows is an alarm, and clears once it is drained") {
  Watched w;
  CHECK_FALSE(w.second(100));
  for (int i = 1; i <= 5; ++i) {
    w.facts.undrained_ms = i * 1000;
    CHECK_FALSE(w.second(100 + i));
  }
  w.facts.undrained_ms = 6000;
  CHECK(w.second(106));
  w.facts.undrained_ms = 7000;
  CHECK(w.second(106));  // until replication moves again
  w.facts.undrained_ms = 0;
  CHECK_FALSE(w.second(106));
  w.facts.undrained_ms = 900;
  CHECK_FALSE(w.second(500));
}

TEST_CASE("stall: a WAL that does not grow is no alarm, however long it takes, until it does") {
  Watched w;
  for (int i = 1; i <= 60; ++i) {
    w.facts.undrained_ms = i * 1000;
    CHECK_FALSE(w.second(4096));
  }
  w.facts.undrained_ms = 61'000;
  CHECK(w.second(8192));
}

TEST_CASE("stall: a stream that is not followed is an alarm too; one that is being caught up with is none") {
  Watched w;
  w.facts.end = 100;
  for (int i = 0; i < 30; ++i) {
    w.facts.position = static_cast<StreamSeq>(i);
    CHECK_FALSE(w.second(1000 + i));
  }
  bool on = false;
  for (int i = 0; i < 7; ++i) on = w.second(2000 + i);
  CHECK(on);
  w.facts.position = 30;
  CHECK_FALSE(w.second(3000));
  w.facts.position = 100;
  for (int i = 0; i < 20; ++i) CHECK_FALSE(w.second(4000 + i));
}

TEST_CASE("metrics: every name is in docs/operate.md, and a status that lacks much prints what there is") {
  std::ifstream file(MARMOT_SOURCE "/docs/operate.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const std::string& name : metric_names()) CHECK_MESSAGE(text.str().find("`" + name + "`") != std::string::npos, name);

  const auto status = nlohmann::json::parse(R"({"version":"1","cluster":"a\"b","node":7,"uptime_ms":61005,"nats":{"connected":true},
    "databases":[{"name":"app","state":"running","pending":3,"lag_ms":1500,"repair":{"rounds":2},"alarm":"x",
                  "tables":[{"name":"t","stopped":""},{"name":"u","stopped":"why"}],"peers":[{"node":9,"lag_messages":4,"seen_ms_ago":20}]}]})");
  const std::string out = metrics_text(status);
  for (const char* line : {"marmot_up{version=\"1\",cluster=\"a\\\"b\",node=\"7\"} 1\n", "marmot_uptime_seconds 61.005\n",
                           "marmot_nats_connected 1\n", "marmot_pending_rows{database=\"app\"} 3\n", "marmot_lag_seconds{database=\"app\"} 1.500\n",
                           "marmot_repair_rounds_total{database=\"app\"} 2\n", "marmot_stalled{database=\"app\"} 1\n",
                           "marmot_stopped_tables{database=\"app\"} 1\n", "marmot_peer_lag_messages{database=\"app\",peer=\"9\"} 4\n"}) {
    CHECK_MESSAGE(out.find(line) != std::string::npos, line);
  }
  CHECK(out.find("marmot_conflicts{") == std::string::npos);  // not told: not printed as 0
  CHECK(metrics_text(nlohmann::json::object()).find("marmot_nats_connected 0\n") != std::string::npos);
}
