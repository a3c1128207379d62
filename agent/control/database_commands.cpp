#include "agent/control/database_commands.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/control/snapshot_commands.hpp"
#include "agent/repair/verify.hpp"
#include "common/core/hlc.hpp"

namespace marmot::agent {

namespace {

constexpr int64_t kWaitDefaultMs = 30'000;

Json snapshots_json(const SnapshotsStatus& snapshots) {
  Json json{{"taking", snapshots.taking}, {"last_error", snapshots.last_error}};
  if (snapshots.count) json["count"] = *snapshots.count;
  if (const auto& newest = snapshots.newest) json["newest"] = Json{{"id", newest->id}, {"seq", newest->seq}, {"age_ms", newest->age_ms}};
  return json;
}

Json agent_json(const AgentStatus& agent) {
  return Json{{"pid", agent.pid}, {"version", agent.version}, {"cluster", agent.cluster}, {"uptime_ms", agent.uptime_ms},
              {"nats", {{"url", agent.nats.url}, {"connected", agent.nats.connected}, {"embedded", agent.nats.embedded},
                        {"last_error", agent.nats.last_error}}}};
}

// nullptr: answered with an error.
Replicator* database_of(const std::vector<Replicator*>& databases, const Json& request, const Reply& reply) {
  const std::string path = request.value("db", std::string());
  for (Replicator* const database : databases) {
    if (database->path() == path || (path.empty() && databases.size() == 1)) return database;
  }
  reply.fail(make_error(Errc::not_found, path.empty() ? "this agent runs several databases: name one" : "this agent does not run " + path));
  return nullptr;
}

void wait(Replicator& database, const Json& request, const Reply& reply) {
  const std::string level = request.value("level", std::string("published"));
  const auto timeout_ms = request.value("timeout_ms", kWaitDefaultMs);
  if (level != "published" && level != "all" && level != "ready") {
    return reply.fail(make_error(Errc::bad_input, "level = " + level + ": it is `published`, `all` or `ready`"));
  }
  using Level = Replicator::WaitLevel;
  database.wait(level == "all" ? Level::all : level == "ready" ? Level::ready : Level::published, timeout_ms,
                [reply](const WaitOutcome& outcome) { reply.finish(Json{{"done", outcome.done}, {"pending", outcome.pending_rows}}); });
}

void verify(Replicator& database, const Json& request, const Reply& reply) {
  database.verify(
      request.value("timeout_ms", kWaitDefaultMs), request.value("repair", false),
      [reply](std::string_view what, int64_t done, int64_t total) { (void)reply.progress(what, done, total); },
      [reply](const Result<VerifyOutcome>& outcome) {
        if (!outcome) return reply.fail(outcome.error());
        reply.finish(json_of(*outcome));
      });
}

void members(Replicator& database, const Json&, const Reply& reply) {
  Json list = Json::array();
  for (const MemberStatus& member : database.members()) list.push_back(json_of(member));
  reply.finish(Json{{"members", std::move(list)}});
}

void retire_slot(Replicator& database, const Json& request, const Reply& reply) {
  database.retire_slot(request.value("slot", -1), [reply](const Status& retired) {
    if (!retired) return reply.fail(retired.error());
    reply.finish(Json::object());
  });
}

void clock(Replicator& database, const Json& request, const Reply& reply) {
  const ClockOrder order{request.value("reset", false), request.value("bound_ms", int64_t{0})};
  if (order.bound_ms < 0 || order.bound_ms > 86'400'000) return reply.fail(make_error(Errc::bad_input, "bound_ms: 1 to 86400000"));
  database.clock(order, [reply](const Result<ClockStatus>& status) {
    if (!status) return reply.fail(status.error());
    reply.finish(json_of(*status));
  });
}

void tail(Replicator& database, const Json& request, const Reply& reply) {
  TailFilter filter;
  filter.table_glob = request.value("table", std::string());
  const std::string direction = request.value("direction", std::string());
  if (!direction.empty() && direction != "in" && direction != "out") {
    return reply.fail(make_error(Errc::bad_input, "direction = " + direction + ": it is `in` or `out`"));
  }
  filter.in = direction != "out";
  filter.out = direction != "in";
  reply.on_gone(database.tails().add(std::move(filter), [reply](const replica::Change& change) { (void)reply.event(json_of(change)); }));
}

}  // namespace

namespace {

Json days(const std::optional<int64_t>& ms) { return ms ? Json(*ms / 86'400'000) : Json(nullptr); }

}  // namespace

Json json_of(const replica::IdReport& ids) {
  Json slots = Json::array(), tables = Json::array(), plain = Json::array(), collisions = Json::array();
  for (const auto& table : ids.plain) plain.push_back(Json{{"name", table.name}, {"why_not", table.why_not}});
  for (const auto& slot : ids.slots) slots.push_back(Json{{"slot", slot.slot}, {"node", slot.owner.value}, {"retired", slot.retired}});
  for (const auto& table : ids.tables) {
    tables.push_back(Json{{"name", table.name}, {"next", table.next}, {"left", table.left}, {"highest", table.highest}, {"from", table.from},
                          {"block", table.block}, {"slots", table.slots}, {"largest", table.largest}, {"days_to_31_bits", days(table.to_31_bits_ms)},
                          {"days_to_53_bits", days(table.to_53_bits_ms)}});
  }
  for (const auto& one : ids.collisions) collisions.push_back(Json{{"table", one.table}, {"rows", one.rows}, {"since_ms", one.since}});
  Json json{{"alone", ids.alone}, {"given", ids.given}, {"outside", ids.outside}, {"slots", std::move(slots)}, {"tables", std::move(tables)}, {"plain", std::move(plain)},
            {"collisions", std::move(collisions)}};
  if (ids.own) json["slot"] = *ids.own;
  return json;
}

Json json_of(const DatabaseStatus& status) {
  Json json{{"name", status.name}, {"path", status.path}, {"stream", status.stream}, {"state", name_of(status.state)}, {"ready", status.ready},
            {"last_error", status.last_error}};
  if (!status.state_text.empty()) json["state_text"] = status.state_text;
  json["node"] = status.node.value;
  json["published"] = status.published_rows;
  json["applied"] = status.applied_rows;
  if (status.file) {
    json["pending"] = status.file->pending_rows;
    json["waiting"] = status.file->waiting_units;
    json["quarantined"] = status.file->quarantined_messages;
    json["conflicts"] = status.file->conflicts;
    json["conflicts_dropped"] = status.file->conflicts_dropped;
    json["staged_parts"] = status.file->staged_parts;
    json["gone_units"] = status.file->gone_units;
    json["split_units"] = status.file->split_units;
    json["shelved"] = status.file->shelved_rows;
  }
  if (status.ids) json["ids"] = json_of(*status.ids);
  if (status.lag) {
    json["lag_messages"] = status.lag->messages;
    json["lag_ms"] = status.lag->oldest_age_ms;
  }
  json["position"] = status.position;
  json["gave_way"] = status.writes_gave_way;
  json["forced"] = status.writes_forced;
  json["read_percent"] = status.read_percent;
  json["failed_effects"] = status.failed_effects;
  json["last_failed_effect"] = status.last_failed_effect;
  json["to_know"] = status.to_know;
  json["alarm"] = status.alarm;
  json["wal_bytes"] = status.wal_bytes;
  json["divergent_ranges"] = status.repair.divergent_ranges;
  json["repair"] = Json{{"rounds", status.repair.rounds}, {"ranges", status.repair.ranges}, {"repaired", status.repair.repaired},
                        {"scrub_passes", status.scrub_passes}, {"scrub_found", status.scrub_found_rows}};
  json["members"] = status.members;
  Json& peers = json["peers"] = Json::array();
  for (const PeerStatus& peer : status.peers) {
    peers.push_back(Json{{"node", peer.node.value}, {"lag_messages", peer.lag_messages}, {"seen_ms_ago", peer.seen_ms_ago}, {"clock_off_ms", peer.clock_off_ms}});
  }
  json["clock_off_ms"] = status.clock_off_ms;
  json["snapshots"] = snapshots_json(status.snapshots);
  Json& tables = json["tables"] = Json::array();
  for (const TableStatus& table : status.tables) tables.push_back(Json{{"name", table.name}, {"stopped", table.stopped}});
  Json& objects = json["objects"] = Json::array();
  for (const TableStatus& object : status.objects) objects.push_back(Json{{"name", object.name}, {"stopped", object.stopped}});
  return json;
}

Json json_of(const MemberStatus& member) {
  return Json{{"node", member.node.value}, {"incarnation", to_hex(member.incarnation.value)}, {"seen_ms_ago", member.seen_ms_ago},
              {"applied", member.applied}, {"behind", member.behind_messages}, {"self", member.self}, {"alive", member.alive}};
}

Json json_of(const ClockStatus& clock) {
  Json others = Json::array();
  for (const auto& [node, off] : clock.others) others.push_back(Json{{"node", node.value}, {"off_ms", off}});
  return Json{{"known", clock.known}, {"off_ms", clock.off_ms}, {"others", std::move(others)}, {"bound_ms", clock.bound_ms}, {"ahead_ms", clock.ahead_ms},
              {"versions", clock.versions}, {"poisoned", clock.poisoned}};
}

Json json_of(const VerifyOutcome& outcome) {
  const VerifyReport& report = outcome.report;
  Json tables = Json::array();
  for (const TableVerdict& table : report.tables) {
    Json differs = Json::array();
    for (const TableVerdict::Difference& difference : table.differs) {
      differs.push_back(Json{{"node", difference.node}, {"keys", difference.keys}, {"more", difference.more}});
    }
    Json& one = tables.emplace_back(Json{{"name", table.name}, {"rows", table.rows}, {"identical", table.differs.empty()}, {"differs", differs}});
    if (!outcome.repaired) continue;
    const auto found = outcome.repaired->find(table.name);
    const TableRepair repair = found == outcome.repaired->end() ? TableRepair() : found->second;
    one["found"] = repair.found;
    one["repaired"] = repair.repaired;
  }
  Json full_text = Json::array();
  for (const auto& [node, fault] : report.full_text) {
    full_text.push_back(Json{{"node", node}, {"name", fault.index}, {"out_of_step", fault.out_of_step}, {"reason", fault.reason}});
  }
  Json unreachable = Json::array();
  for (const MemberStatus& member : outcome.unreachable) unreachable.push_back(Json{{"node", member.node.value}, {"seen_ms_ago", member.seen_ms_ago}});
  Json json{{"nodes", report.nodes()}, {"identical", report.identical()}, {"tables", tables}, {"full_text", full_text}, {"unreachable", unreachable}};
  if (outcome.repaired) json["repair"] = true;
  return json;
}

Json json_of(const replica::Change& change) {
  const char* op = change.op == Op::insert ? "insert" : change.op == Op::update ? "update" : "delete";
  Json json{{"direction", change.in ? "in" : "out"}, {"table", change.table}, {"op", op}, {"key", change.key},
            {"node", change.version.origin.node.value}, {"hlc", to_string(change.version.hlc)}};
  if (change.seq != 0) json["seq"] = change.seq;
  return json;
}

void DatabaseCommands::serve(ControlServer& server) {
  server.handle("status", [this](const Json& request, const Reply& reply) { status(request, reply); });
  const auto of_one = [&](const char* command, void (*answer)(Replicator&, const Json&, const Reply&)) {
    server.handle(command, [this, answer](const Json& request, const Reply& reply) {
      Replicator* const database = database_of(host_.databases(), request, reply);
      if (database != nullptr) answer(*database, request, reply);
    });
  };
  of_one("wait", wait);
  of_one("verify", verify);
  of_one("members", members);
  of_one("retire_slot", retire_slot);
  of_one("clock", clock);
  of_one("snapshot", answer_snapshot);
  of_one("tail", tail);
}

void DatabaseCommands::status(const Json& request, const Reply& reply) {
  struct Gathering {
    Json answer;
    std::vector<Json> databases;
    size_t missing = 0;
  };
  const std::string path = request.value("db", std::string());
  std::vector<Replicator*> asked;
  for (Replicator* const database : host_.databases()) {
    if (path.empty() || database->path() == path) asked.push_back(database);
  }
  if (asked.empty()) return reply.fail(make_error(Errc::not_found, "this agent does not run " + path));
  const auto gathering = std::make_shared<Gathering>();
  gathering->answer = agent_json(host_.agent());
  gathering->databases.resize(asked.size());
  gathering->missing = asked.size();
  for (size_t i = 0; i < asked.size(); ++i) {
    asked[i]->status([gathering, reply, i](const DatabaseStatus& status) {
      gathering->databases[i] = json_of(status);
      if (--gathering->missing > 0) return;
      gathering->answer["node"] = gathering->databases.front()["node"];
      gathering->answer["databases"] = std::move(gathering->databases);
      reply.finish(std::move(gathering->answer));
    });
  }
}

}  // namespace marmot::agent
