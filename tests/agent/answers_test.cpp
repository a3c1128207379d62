#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "agent/control/database_commands.hpp"
#include "agent/control/metrics.hpp"
#include "agent/control/snapshot_commands.hpp"

using namespace marmot;
using namespace marmot::agent;

namespace {

// Every field another value, so that one in another's place is seen.
DatabaseStatus whole_status() {
  DatabaseStatus status;
  status.name = "app";
  status.path = "/srv/app.db";
  status.stream = "MARMOT_main_app";
  status.node = NodeId{7};
  status.state = DatabaseState::running;
  status.ready = true;
  status.state_text = "why";
  status.last_error = "disk full";
  status.alarm = "stalled";
  status.to_know = "1 table without a key";
  status.published_rows = 1;
  status.applied_rows = 2;
  status.file = FileCounts{3, 4, 5, 6, 7, 8, 31, 9, 10};
  status.ids = replica::IdReport{32, false, 33, 34, {{35, NodeId{36}, true}}, {{"t", 37, 38, 39, 40, 41, 42, 43, 180'000'000, {}}}, {{"p", "because"}},
                                  {{"c", 44, 45}}};
  status.lag = Lag{11, 12};
  status.position = 13;
  status.writes_gave_way = 14;
  status.writes_forced = 15;
  status.read_percent = 16;
  status.failed_effects = 17;
  status.last_failed_effect = "trigger t_ai";
  status.wal_bytes = 18;
  status.repair = Repair::Status{19, 20, 21, 22};
  status.scrub_passes = 23;
  status.scrub_found_rows = 24;
  status.members = 25;
  status.clock_off_ms = 47;
  status.peers = {PeerStatus{NodeId{8}, 26, 27, -46}};
  status.snapshots = SnapshotsStatus{true, "no room", 28, SnapshotsStatus::Newest{"29", 29, 30}};
  status.tables = {TableStatus{"t", ""}, TableStatus{"u", "no column x"}};
  status.objects = {TableStatus{"view v", "a table has the name v here"}};
  return status;
}

}  // namespace

TEST_CASE("status: each fact of a database stands under its name, with its number") {
  const Json expected = Json::parse(R"({
    "name":"app","path":"/srv/app.db","stream":"MARMOT_main_app","node":7,"state":"running","ready":true,"state_text":"why","last_error":"disk full",
    "alarm":"stalled","to_know":"1 table without a key","published":1,"applied":2,
    "pending":3,"waiting":4,"quarantined":5,"conflicts":6,"conflicts_dropped":7,"staged_parts":8,"gone_units":31,"split_units":9,"shelved":10,
    "ids":{"slot":32,"alone":false,"given":33,"outside":34,"slots":[{"slot":35,"node":36,"retired":true}],
      "tables":[{"name":"t","next":37,"left":38,"highest":39,"from":40,"block":41,"slots":42,"largest":43,"days_to_31_bits":2,"days_to_53_bits":null}],
      "plain":[{"name":"p","why_not":"because"}],"collisions":[{"table":"c","rows":44,"since_ms":45}]},
    "lag_messages":11,"lag_ms":12,"position":13,"gave_way":14,"forced":15,"read_percent":16,
    "failed_effects":17,"last_failed_effect":"trigger t_ai","wal_bytes":18,"divergent_ranges":19,
    "repair":{"rounds":20,"ranges":21,"repaired":22,"scrub_passes":23,"scrub_found":24},"members":25,"clock_off_ms":47,
    "peers":[{"node":8,"lag_messages":26,"seen_ms_ago":27,"clock_off_ms":-46}],
    "snapshots":{"taking":true,"last_error":"no room","count":28,"newest":{"id":"29","seq":29,"age_ms":30}},
    "tables":[{"name":"t","stopped":""},{"name":"u","stopped":"no column x"}],
    "objects":[{"name":"view v","stopped":"a table has the name v here"}]})");
  CHECK(json_of(whole_status()) == expected);
}

TEST_CASE("status: what is not known is absent, not 0") {
  const Json json = json_of(DatabaseStatus());
  CHECK(json["state"] == "opening");
  for (const char* absent : {"state_text", "pending", "waiting", "conflicts", "shelved", "lag_messages", "lag_ms"}) CHECK_MESSAGE(!json.contains(absent), absent);
  CHECK(json["snapshots"] == Json({{"taking", false}, {"last_error", ""}}));
  CHECK(json["peers"] == Json::array());
  CHECK(json["tables"] == Json::array());
}

TEST_CASE("metrics: each one finds its value in what status answers") {
  const Json answer{{"version", "1"}, {"cluster", "main"}, {"node", 7}, {"uptime_ms", 1}, {"nats", {{"connected", true}}},
                    {"databases", Json::array({json_of(whole_status())})}};
  const std::string out = metrics_text(answer);
  for (const std::string& name : metric_names()) {
    CHECK_MESSAGE((out.find("\n" + name + "{") != std::string::npos || out.find("\n" + name + " ") != std::string::npos), name);
  }
  CHECK(out.find("marmot_lag_messages{database=\"app\"} 11\n") != std::string::npos);
  CHECK(out.find("marmot_lag_seconds{database=\"app\"} 0.012\n") != std::string::npos);
}

TEST_CASE("verify: what was repaired is told of each table only where repairing was asked for") {
  VerifyOutcome outcome;
  outcome.report.answered = {8};
  outcome.unreachable = {MemberStatus{NodeId{9}, Incarnation{1}, 70, 2, 3, false, false}};
  outcome.report.tables = {TableVerdict{"t", 5, {{8, {"17", "'a'"}, 1}}}, TableVerdict{"u", 0, {}}};
  Json expected = Json::parse(R"({"nodes":2,"identical":false,"full_text":[],"unreachable":[{"node":9,"seen_ms_ago":70}],"tables":[
    {"name":"t","rows":5,"identical":false,"differs":[{"node":8,"keys":["17","'a'"],"more":1}]},
    {"name":"u","rows":0,"identical":true,"differs":[]}]})");
  CHECK(json_of(outcome) == expected);
  outcome.repaired = RepairReport{{"t", TableRepair{3, 4}}};
  expected["repair"] = true;
  expected["tables"][0].update({{"found", 3}, {"repaired", 4}});
  expected["tables"][1].update({{"found", 0}, {"repaired", 0}});
  CHECK(json_of(outcome) == expected);
}

TEST_CASE("members, tail, snapshot: the fields that control.hpp names") {
  CHECK(json_of(ClockStatus{true, 5, {{NodeId{3}, -7}}, 60'000, 9, 2, false}) ==
        Json::parse(R"({"known":true,"off_ms":5,"others":[{"node":3,"off_ms":-7}],"bound_ms":60000,"ahead_ms":9,"versions":2,"poisoned":false})"));
  CHECK(json_of(MemberStatus{NodeId{8}, Incarnation{255}, 1, 2, 3, false, true}) ==
        Json::parse(R"({"node":8,"incarnation":"ff","seen_ms_ago":1,"applied":2,"behind":3,"self":false,"alive":true})"));
  replica::Change change;
  change.in = true;
  change.table = "t";
  change.op = Op::remove;
  change.key = "17";
  change.version.origin.node = NodeId{8};
  Json event = json_of(change);
  CHECK(event == Json({{"direction", "in"}, {"table", "t"}, {"op", "delete"}, {"key", "17"}, {"node", 8}, {"hlc", to_string(Hlc{})}}));
  change.seq = 9;
  CHECK(json_of(change)["seq"] == 9);
  SnapshotRecord record;
  record.object.name = "40";
  record.object.size = 1;
  record.object.digest = "SHA-256=x";
  record.info.seq = 40;
  record.info.node = NodeId{7};
  record.info.at = 2;
  record.info.rows = 3;
  record.bytes = 4;
  record.version = "0.1.0";
  CHECK(json_of(record) == Json::parse(R"({"id":"40","seq":40,"at_ms":2,"node":7,"rows":3,"bytes":4,"stored_bytes":1,"digest":"SHA-256=x","version":"0.1.0"})"));
}
