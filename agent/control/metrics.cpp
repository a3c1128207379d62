#include "agent/control/metrics.hpp"

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "agent/control/fields.hpp"

namespace marmot::agent {

namespace {

struct Metric {
  const char* name;
  const char* type;
  const char* help;
  const char* pointer;   // of the value in a database's status
  bool seconds = false;  // it is in milliseconds there
};

// Of one database. What its status does not hold at the moment is left out.
constexpr Metric kDatabase[] = {
    {"marmot_pending_rows", "gauge", "Rows changed here that the stream does not have yet.", "/pending"},
    {"marmot_published_rows_total", "counter", "Rows published since the agent started.", "/published"},
    {"marmot_applied_rows_total", "counter", "Rows of other nodes applied since the agent started.", "/applied"},
    {"marmot_lag_messages", "gauge", "Messages of the stream that are not applied here yet.", "/lag_messages"},
    {"marmot_lag_seconds", "gauge", "Age of the oldest message that was delivered and is not applied.", "/lag_ms", true},
    {"marmot_stream_position", "gauge", "The last message of the stream that is applied here.", "/position"},
    {"marmot_waiting_units", "gauge", "Units that wait because a table is stopped.", "/waiting"},
    {"marmot_staged_parts", "gauge", "Parts of units that are not whole yet.", "/staged_parts"},
    {"marmot_gone_units", "gauge", "Units passed over because the stream does not hold them any more, until a floor.", "/gone_units"},
    {"marmot_split_units_total", "counter", "Units larger than atomic_rows, sent or applied in parts.", "/split_units"},
    {"marmot_quarantined_messages", "gauge", "Messages that do not decode.", "/quarantined"},
    {"marmot_conflicts", "gauge", "Rows kept because another one won.", "/conflicts"},
    {"marmot_conflicts_dropped_total", "counter", "Conflicts pushed out by conflict_log_rows.", "/conflicts_dropped"},
    {"marmot_shelved_rows", "gauge", "Rows that wait: a newer one has their unique value, or the table refuses them.", "/shelved"},
    {"marmot_members", "gauge", "Nodes that belong to the cluster, this one too.", "/members"},
    {"marmot_divergent_ranges", "gauge", "Ranges of keys that differ between nodes.", "/divergent_ranges"},
    {"marmot_repair_rounds_total", "counter", "Comparisons with the other nodes that this node began.", "/repair/rounds"},
    {"marmot_repair_ranges_total", "counter", "Ranges of keys compared in them.", "/repair/ranges"},
    {"marmot_repaired_rows_total", "counter", "Rows that this node published again because another lacked them.", "/repair/repaired"},
    {"marmot_scrub_passes_total", "counter", "Times that all rows were compared with their versions.", "/repair/scrub_passes"},
    {"marmot_scrub_found_rows_total", "counter", "Rows found so that were written without the triggers.", "/repair/scrub_found"},
    {"marmot_writes_gave_way_total", "counter", "Writes that waited for an application to end its transaction.", "/gave_way"},
    {"marmot_writes_forced_total", "counter", "Writes done beside a reader all the same, at the end of all patience.", "/forced"},
    {"marmot_failed_effects_total", "counter", "Different failures of what triggers write here to tables that are not replicated, 100 at most.", "/failed_effects"},
    {"marmot_clock_off_ms", "gauge", "By how much this machine's clock is ahead of the NATS server's (below 0: behind), where that is more than max_clock_drift_ms; else 0.", "/clock_off_ms"},
    {"marmot_read_percent", "gauge", "Share of the last minute in which an application was inside a transaction.", "/read_percent"},
    {"marmot_wal_bytes", "gauge", "Size of the -wal file.", "/wal_bytes"},
};

struct Derived {
  const char* name;
  const char* help;
  std::function<int64_t(const Json&)> value;
};

const std::vector<Derived>& derived() {
  static const std::vector<Derived> all{
      {"marmot_running", "1: the stream is followed.", [](const Json& database) { return text_in(database, "state") == "running" ? 1 : 0; }},
      {"marmot_stalled", "1: replication stands still while the WAL grows.",
       [](const Json& database) { return text_in(database, "alarm").empty() ? 0 : 1; }},
      {"marmot_tables", "Tables that are replicated, stopped ones too.",
       [](const Json& database) { return static_cast<int64_t>(list_in(database, "tables").size()); }},
      {"marmot_stopped_tables", "Tables that are stopped.",
       [](const Json& database) {
         int64_t stopped = 0;
         for (const Json& table : list_in(database, "tables")) stopped += text_in(table, "stopped").empty() ? 0 : 1;
         return stopped;
       }},
  };
  return all;
}

constexpr const char* kUp = "marmot_up";
constexpr const char* kUptime = "marmot_uptime_seconds";
constexpr const char* kConnected = "marmot_nats_connected";
constexpr const char* kPeerLag = "marmot_peer_lag_messages";
constexpr const char* kPeerSeen = "marmot_peer_seen_seconds";

std::string label(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '"' || c == '\\') out += std::string("\\") + c;
    else out += c;
  }
  return out + "\"";
}

std::string head(const char* name, const char* type, const char* help) {
  return std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string in_seconds(int64_t ms) {
  std::string fraction = std::to_string(ms % 1000);
  fraction.insert(0, 3 - fraction.size(), '0');
  return std::to_string(ms / 1000) + "." + fraction;
}

}  // namespace

std::string metrics_text(const Json& status) {
  const Json nats = status.is_object() ? status.value("nats", Json::object()) : Json::object();
  std::string out = head(kUp, "gauge", "1: the agent runs.");
  out += std::string(kUp) + "{version=" + label(text_in(status, "version")) + ",cluster=" + label(text_in(status, "cluster")) +
         ",node=\"" + std::to_string(number_in(status, "node").value_or(0)) + "\"} 1\n";
  out += head(kUptime, "gauge", "Since the agent started.");
  out += std::string(kUptime) + " " + in_seconds(number_in(status, "uptime_ms").value_or(0)) + "\n";
  out += head(kConnected, "gauge", "1: connected to NATS.");
  out += std::string(kConnected) + (flag_in(nats, "connected") ? " 1\n" : " 0\n");
  const Json& databases = list_in(status, "databases");
  const auto labels = [](const Json& database) { return "{database=" + label(text_in(database, "name")) + "}"; };
  for (const Metric& metric : kDatabase) {
    std::string lines;
    const Json::json_pointer pointer(metric.pointer);
    for (const Json& database : databases) {
      if (!database.contains(pointer) || !database.at(pointer).is_number()) continue;
      const auto value = database.at(pointer).get<int64_t>();
      lines += metric.name + labels(database) + " " + (metric.seconds ? in_seconds(value) : std::to_string(value)) + "\n";
    }
    if (!lines.empty()) out += head(metric.name, metric.type, metric.help) + lines;
  }
  for (const Derived& metric : derived()) {
    out += head(metric.name, "gauge", metric.help);
    for (const Json& database : databases) out += metric.name + labels(database) + " " + std::to_string(metric.value(database)) + "\n";
  }
  std::string lag, seen;
  for (const Json& database : databases) {
    for (const Json& peer : list_in(database, "peers")) {
      const std::string both = "{database=" + label(text_in(database, "name")) + ",peer=\"" +
                               std::to_string(number_in(peer, "node").value_or(0)) + "\"} ";
      lag += kPeerLag + both + std::to_string(number_in(peer, "lag_messages").value_or(0)) + "\n";
      seen += kPeerSeen + both + in_seconds(number_in(peer, "seen_ms_ago").value_or(0)) + "\n";
    }
  }
  if (!lag.empty()) out += head(kPeerLag, "gauge", "Messages that another node has not applied yet.") + lag;
  if (!seen.empty()) out += head(kPeerSeen, "gauge", "Since another node was heard.") + seen;
  return out;
}

std::vector<std::string> metric_names() {
  std::vector<std::string> out{kUp, kUptime, kConnected, kPeerLag, kPeerSeen};
  for (const Metric& metric : kDatabase) out.emplace_back(metric.name);
  for (const Derived& metric : derived()) out.emplace_back(metric.name);
  return out;
}

}  // namespace marmot::agent
