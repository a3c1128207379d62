#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/control/fields.hpp"
#include "agent/report/plain_ids.hpp"
#include "agent/report/text.hpp"
#include "common/core/hlc.hpp"

namespace marmot::agent {

std::vector<PlainIds> plain_ids_in(const Json& ids) {
  std::vector<PlainIds> out;
  for (const Json& table : list_in(ids, "plain")) out.push_back({text_in(table, "name"), text_in(table, "why_not")});
  return out;
}

namespace {

std::string number(const Json& object, const char* key) { return grouped(number_in(object, key).value_or(0)); }

// When its ids are beyond what programs read, at last week's pace.
std::string reach(const Json& table) {
  const auto narrow = number_in(table, "days_to_31_bits"), wide = number_in(table, "days_to_53_bits");
  if (narrow && *narrow > 0) return "2^31 in " + counted(*narrow, "day");
  return wide ? "2^53 in " + counted(*wide, "day") : "";
}

std::string ids_report(const Json& ids, const std::string& file) {
  const auto own = number_in(ids, "slot");
  std::string out = own ? "this node has slot " + std::to_string(*own) + (flag_in(ids, "alone") ? ", and is alone: it counts 1, 2, 3\n" : "\n")
                        : "this node has no slot yet: ids that it gives out may be another node's too\n";
  std::vector<std::vector<std::string>> rows;
  for (const Json& slot : list_in(ids, "slots")) {
    rows.push_back({"slot " + number(slot, "slot"), "node " + std::to_string(number_in(slot, "node").value_or(0)), flag_in(slot, "retired") ? "RETIRED" : ""});
  }
  out += columns(rows);
  rows.clear();
  for (const Json& table : list_in(ids, "tables")) {
    rows.push_back({printable(text_in(table, "name")), "next id here " + number(table, "next"), "highest " + number(table, "highest"),
                    flag_in(ids, "alone") ? "" : number(table, "left") + " left of a block of " + number(table, "block") + ", " + number(table, "slots") + " slots a round",
                    number_in(table, "largest").value_or(0) < 2 ? "" : "at most " + number(table, "largest") + " at once", reach(table)});
  }
  if (!rows.empty()) out += "\n" + columns(rows);
  for (const Json& one : list_in(ids, "collisions")) {
    out += "\n" + counted(number_in(one, "rows").value_or(0), "row") + " of " + printable(text_in(one, "table")) + " lost to another node's of the same key since " +
           to_string(Hlc::from_wall(number_in(one, "since_ms").value_or(0))) + ": marmot conflicts " + file + "\n";
  }
  const std::vector<std::string> plain = plain_ids_lines(file, plain_ids_in(ids));
  for (size_t i = 0; i < plain.size(); ++i) out += (i == 0 ? "\n" : "") + plain[i] + "\n";
  const int64_t given = number_in(ids, "given").value_or(0), outside = number_in(ids, "outside").value_or(0);
  out += "\n" + counted(given, "id") + " given out here since the agent started";
  return out + (outside == 0 ? ", all in blocks of this node\n" : ", " + grouped(outside) + " of them OUTSIDE of its blocks (see: docs/ids.md)\n");
}

constexpr std::chrono::seconds kTimeout{5};

}  // namespace

int cmd_ids(const IdsOptions& options) {
  const auto status = ask_of_database(options.target, {{"cmd", "status"}}, kTimeout);
  if (!status) return fail(status.error());
  const Json& databases = list_in(*status, "databases");
  const Json database = databases.empty() ? Json() : databases[0];
  if (!database.contains("ids")) return fail(make_error(Errc::unavailable, "the file is not open yet: ask again in a moment"));
  if (options.target.json) print_json(database["ids"]);
  else print(ids_report(database["ids"], text_in(database, "path")));
  return kExitOk;
}

int cmd_ids_retire(const IdsOptions& options) {
  const auto done = ask_of_database(options.target, {{"cmd", "retire_slot"}, {"slot", options.slot}}, kTimeout);
  if (!done) return fail(done.error());
  if (options.target.json) print_json({{"retired", options.slot}});
  else print("slot " + std::to_string(options.slot) + " is retired; it is given to a new node once no id of its owner can lie ahead\n");
  return kExitOk;
}

}  // namespace marmot::agent
