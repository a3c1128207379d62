#include "agent/control/snapshot_commands.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace marmot::agent {

Json json_of(const SnapshotRecord& record) {
  return Json{{"id", record.object.name},           {"seq", record.info.seq},   {"at_ms", record.info.at},
              {"node", record.info.node.value},     {"rows", record.info.rows}, {"bytes", record.bytes},
              {"stored_bytes", record.object.size}, {"digest", record.object.digest}, {"version", record.version}};
}

void answer_snapshot(Replicator& database, const Json& request, const Reply& reply) {
  const std::string action = request.value("action", std::string());
  const auto progress = [reply](const char* what, uint64_t done, uint64_t total) {
    (void)reply.progress(what, static_cast<int64_t>(done), static_cast<int64_t>(total));
  };
  const auto finish = [reply](const Result<SnapshotRecord>& record) {
    if (!record) return reply.fail(record.error());
    reply.finish(Json{{"snapshot", json_of(*record)}});
  };
  if (action == "save") return database.snapshots().save(progress, finish);
  if (action == "list") {
    return database.snapshots().list([reply](const Result<std::vector<SnapshotRecord>>& records) {
      if (!records) return reply.fail(records.error());
      Json list = Json::array();
      for (const SnapshotRecord& record : *records) list.push_back(json_of(record));
      reply.finish(Json{{"snapshots", std::move(list)}});
    });
  }
  if (action == "restore") {
    RestoreOrder order{request.value("id", std::string()), request.value("to", std::string()), request.value("keep", false)};
    if (order.to.empty() || order.to.front() != '/') {
      return reply.fail(make_error(Errc::bad_input, "to = " + order.to + ": it is an absolute path"));
    }
    return database.snapshots().restore(std::move(order), progress, finish);
  }
  reply.fail(make_error(Errc::bad_input, "action = " + action + ": it is `save`, `list` or `restore`"));
}

}  // namespace marmot::agent
