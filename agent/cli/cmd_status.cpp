#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/control/metrics.hpp"
#include "agent/report/plain_ids.hpp"
#include "agent/report/text.hpp"

namespace marmot::agent {

namespace {

std::string shown(const Json& object, const char* key) {
  const auto number = number_in(object, key);
  return number ? grouped(*number) : "-";
}

std::string shown_ms(const Json& object, const char* key) {
  const auto number = number_in(object, key);
  return number ? spoken_ms(*number) : "-";
}

// Empty: its clock is right.
std::string clock_text(const Json& of) {
  const int64_t off = number_in(of, "clock_off_ms").value_or(0);
  if (off == 0) return "";
  return "; ITS CLOCK IS " + spoken_ms(off > 0 ? off : -off) + (off > 0 ? " AHEAD OF" : " BEHIND") + " the NATS server's, and it publishes nothing";
}

std::string peer_text(const Json& peer) {
  const auto id = number_in(peer, "node");
  return "node " + (id ? std::to_string(*id) : "-") + ": " + shown(peer, "lag_messages") + " messages behind, seen " +
         shown_ms(peer, "seen_ms_ago") + " ago" + clock_text(peer);
}

std::string snapshots_text(const Json& snapshots) {
  const Json newest = snapshots.is_object() ? snapshots.value("newest", Json::object()) : Json::object();
  if (newest.empty()) return "none known";
  std::string out = shown(snapshots, "count") + ", the newest of message " + shown(newest, "seq") + ", " + shown_ms(newest, "age_ms") + " old";
  if (flag_in(snapshots, "taking")) out += "; one is being taken";
  const std::string error = printable(text_in(snapshots, "last_error"));
  return error.empty() ? out : out + "; the last one failed: " + error;
}

// Empty: there is nothing to say.
std::string ids_text(const Json& ids, const std::string& path) {
  if (list_in(ids, "slots").empty() && list_in(ids, "tables").empty()) return "";
  const auto slot = number_in(ids, "slot");
  std::string out = slot ? "slot " + std::to_string(*slot) : "NO SLOT YET: ids that this node gives out may be another node's too";
  if (const int64_t outside = number_in(ids, "outside").value_or(0); outside != 0) {
    out += "; " + grouped(outside) + " of " + shown(ids, "given") + " that were given out here lie outside of this node's blocks";
  }
  return out + " (marmot ids " + path + ")";
}

std::string database_text(const Json& database) {
  std::vector<std::vector<std::string>> rows;
  const std::string path = printable(text_in(database, "path"));
  const std::string state_text = printable(text_in(database, "state_text"));
  rows.push_back({"  state", printable(text_in(database, "state")) + (state_text.empty() ? "" : ": " + state_text)});
  if (const std::string ids = ids_text(database.contains("ids") ? database["ids"] : Json(), path); !ids.empty()) rows.push_back({"  ids", ids});
  rows.push_back({"  stream", text_in(database, "stream")});
  rows.push_back({"  here", shown(database, "pending") + " rows pending, " + shown(database, "published") +
                                " published, " + shown(database, "applied") + " applied"});
  rows.push_back({"  behind", shown(database, "lag_messages") + " messages, " + shown_ms(database, "lag_ms")});
  if (number_in(database, "gave_way").value_or(0) != 0) rows.push_back({"  application", shown(database, "gave_way") + " writes gave way to it, " + shown(database, "forced") +
                                       " were forced; inside a transaction " + shown(database, "read_percent") + " % of the last minute"});
  if (database.contains("snapshots")) rows.push_back({"  snapshots", snapshots_text(database["snapshots"])});
  for (const Json& peer : list_in(database, "peers")) rows.push_back({"  peer", peer_text(peer)});
  std::string running;
  size_t count = 0;
  for (const Json& table : list_in(database, "tables")) {
    if (!text_in(table, "stopped").empty()) continue;
    ++count;
    running += (running.empty() ? "" : ", ") + printable(text_in(table, "name"));
  }
  rows.push_back({"  tables", std::to_string(count) + (running.empty() ? "" : ": ") + running});
  for (const Json& table : list_in(database, "tables")) {
    const std::string why = text_in(table, "stopped");
    if (!why.empty()) rows.push_back({"  STOPPED", printable(text_in(table, "name")) + ": " + printable(why)});
  }
  for (const Json& object : list_in(database, "objects")) {
    rows.push_back({"  NOT HERE", printable(text_in(object, "name")) + ": " + printable(text_in(object, "stopped"))});
  }
  if (number_in(database, "waiting").value_or(0) != 0) {
    rows.push_back({"  waiting", shown(database, "waiting") + " units for stopped tables"});
  }
  if (number_in(database, "conflicts").value_or(0) != 0) {
    const int64_t dropped = number_in(database, "conflicts_dropped").value_or(0);
    rows.push_back({"  conflicts", shown(database, "conflicts") + (dropped != 0 ? ", and " + std::to_string(dropped) + " older ones dropped" : "") +
                                       " (list them: marmot conflicts " + path + ")"});
  }
  if (number_in(database, "shelved").value_or(0) != 0) {
    rows.push_back({"  shelved", shown(database, "shelved") + " rows that are not visible, for a newer one has their unique value (marmot conflicts " + path + ")"});
  }
  if (number_in(database, "gone_units").value_or(0) != 0) {
    rows.push_back({"  gone", shown(database, "gone_units") + " units that the stream does not hold any more: what they held comes from the other nodes"});
  }
  if (number_in(database, "quarantined").value_or(0) != 0) {
    rows.push_back({"  quarantined", shown(database, "quarantined") + " messages that do not decode"});
  }
  if (const int64_t divergent = number_in(database, "divergent_ranges").value_or(0); divergent != 0) {
    rows.push_back({"  DIVERGENT", counted(divergent, "range") + " of keys differ between nodes; being repaired (see: marmot verify " + path + ")"});
  }
  if (const int64_t failed = number_in(database, "failed_effects").value_or(0); failed != 0) {
    rows.push_back({"  triggers", counted(failed, "different failure") + " of what they write to tables that are not replicated; the last new one: " +
                                      printable(text_in(database, "last_failed_effect"))});
  }
  if (const std::string to_know = printable(text_in(database, "to_know")); !to_know.empty()) {
    rows.push_back({"  check", to_know + " (marmot check " + path + ")"});
  }
  if (database.contains("ids")) {
    for (const std::string& line : plain_ids_lines(path, plain_ids_in(database["ids"]))) rows.push_back({"  ids", line});
  }
  const std::string alarm = printable(text_in(database, "alarm"));
  if (!alarm.empty()) rows.push_back({"  ALARM", alarm});
  const std::string error = printable(text_in(database, "last_error"));
  if (!error.empty()) rows.push_back({"  last error", error});
  return "\n" + printable(text_in(database, "name")) + "  " + path + "\n" + columns(rows);
}

std::string status_text(const Json& status) {
  const auto plain = [&](const char* key) {
    const auto number = number_in(status, key);
    return number ? std::to_string(*number) : std::string("-");
  };
  std::string out = "marmot " + text_in(status, "version") + ", node " + plain("node") + ", pid " + plain("pid");
  if (!text_in(status, "cluster").empty()) out += ", cluster " + text_in(status, "cluster");
  if (number_in(status, "uptime_ms")) out += ", up " + shown_ms(status, "uptime_ms");
  const Json nats = status.value("nats", Json::object());
  out += "\nnats " + text_in(nats, "url") + (flag_in(nats, "embedded") ? " (embedded)" : "") +
         (flag_in(nats, "connected") ? ": connected" : ": NOT CONNECTED");
  const std::string error = printable(text_in(nats, "last_error"));
  if (!error.empty()) out += " (last error: " + error + ")";
  out += "\n";
  for (const Json& database : list_in(status, "databases")) out += database_text(database);
  return out;
}

Result<Json> ask_status(const TargetOptions& options) {
  TRY_ASSIGN(const Target target, find_target(options));
  TRY_ASSIGN(ControlClient client, connect_agent(target));
  Json request = {{"cmd", "status"}};
  if (!options.database.empty()) request["db"] = target.databases[0];
  return client.call(request, std::chrono::seconds{5});
}

}  // namespace

int cmd_status(const StatusOptions& options) {
  const auto status = ask_status(options.target);
  if (!status) return fail(status.error());
  if (options.metrics) print(metrics_text(*status));
  else if (options.target.json) print_json(*status);
  else print(status_text(*status));
  return kExitOk;
}

}  // namespace marmot::agent
