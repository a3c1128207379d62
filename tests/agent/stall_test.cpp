#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "agent/control/metrics.hpp"
#include "agent/replication/stall_alarm.hpp"

using namespace marmot;
using namespace marmot::agent;

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
