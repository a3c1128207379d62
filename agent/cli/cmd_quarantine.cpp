#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/report/text.hpp"
#include "common/core/hlc.hpp"
#include "common/replica/quarantine.hpp"

namespace marmot::agent {

namespace {

using replica::Quarantine;
using replica::QuarantinedMessage;

std::string hex_of(uint64_t hash) {
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

std::string quarantine_text(const Quarantine& quarantine, const std::string& shown) {
  if (quarantine.messages.empty() && quarantine.dropped == 0) return "no message is quarantined\n";
  std::vector<std::vector<std::string>> rows;
  for (const QuarantinedMessage& message : quarantine.messages) {
    rows.push_back({"message " + std::to_string(message.seq), to_string(Hlc::from_wall(message.at)), counted(message.size, "byte"), hex_of(message.hash),
                    printable(message.reason)});
  }
  std::string out = columns(rows);
  if (quarantine.dropped != 0) out += "and " + counted(quarantine.dropped, "message") + " before them, of which nothing is kept\n";
  return out + "\nTheir senders send again what they held, if these are agents that run; to see that all nodes are equal: marmot verify " + shown + "\n";
}

Json quarantine_json(const Quarantine& quarantine) {
  Json messages = Json::array();
  for (const QuarantinedMessage& message : quarantine.messages) {
    messages.push_back({{"seq", message.seq}, {"at_ms", message.at}, {"reason", message.reason}, {"bytes", message.size}, {"xxh3_64", hex_of(message.hash)}});
  }
  return {{"messages", std::move(messages)}, {"dropped", quarantine.dropped}};
}

Status work_on_quarantine(const QuarantineOptions& options) {
  TRY_ASSIGN(const Target target, find_target(options.target));
  TRY_ASSIGN(sqlite::Database db, open_file(target));
  TRY_ASSIGN(const Quarantine quarantine, replica::read_quarantine(db));
  if (!options.empty) {
    options.target.json ? print_json(quarantine_json(quarantine)) : print(quarantine_text(quarantine, target.shown));
    return ok();
  }
  const auto count = static_cast<int64_t>(quarantine.messages.size()) + quarantine.dropped;
  if (count != 0) TRY(replica::empty_quarantine(db));
  options.target.json ? print_json({{"forgotten", count}}) : print("forgotten: " + counted(count, "message") + "\n");
  return ok();
}

}  // namespace

int cmd_quarantine(const QuarantineOptions& options) {
  const Status done = work_on_quarantine(options);
  return done ? kExitOk : fail(done.error());
}

}  // namespace marmot::agent
