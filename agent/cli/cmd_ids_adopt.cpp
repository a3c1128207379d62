// marmot ids adopt, release: the file itself is changed, with or without an agent on it, which tells the other nodes.
#include <nlohmann/json.hpp>

#include "agent/cli/commands.hpp"
#include "agent/report/text.hpp"
#include "common/replica/autoincrement.hpp"

namespace marmot::agent {

namespace {

struct Change {
  const char* verb;   // of the command
  const char* done;   // adopted: in JSON
  const char* means;  // of a table that was changed
  Status (*change)(sqlite::Database& db, const std::string& table);
  Result<std::vector<std::string>> (*all)(sqlite::Database& db);
};

const Change kAdopt{"adopt", "adopted", "AUTOINCREMENT now: each node gives out ids of its own", replica::adopt_table, replica::adoptable_tables};
const Change kRelease{"release", "released", "as it was: SQLite counts ids up in each file", replica::release_table, replica::adopted_tables};

Status change_tables(const AdoptOptions& options, const Change& change) {
  TargetOptions wanted = options.target;
  std::vector<std::string> tables = options.words;
  if (wanted.config.empty() && !tables.empty()) {
    wanted.database = tables.front();
    tables.erase(tables.begin());
  }
  if (tables.empty() != options.all) {
    return make_error(Errc::bad_input, std::string("ids ") + change.verb + ": expected the names of tables, or --all");
  }
  TRY_ASSIGN(const Target target, find_target(wanted));
  TRY_ASSIGN(sqlite::Database db, open_file(target));
  TRY_ASSIGN(auto transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  if (options.all) {
    TRY_ASSIGN(tables, change.all(db));
  }
  for (const std::string& table : tables) {
    const Status done = change.change(db, table);
    if (!done) return done.error().code == Errc::not_found ? done.error() : make_error(done.error().code, "table " + table + ": " + done.error().message);
  }
  TRY(transaction.commit());
  if (wanted.json) {
    print_json({{change.done, tables}});
    return ok();
  }
  for (const std::string& table : tables) print("table " + printable(table) + ": " + change.means + "\n");
  if (tables.empty()) print(std::string("there is no table to ") + change.verb + "\n");
  else if (!target.agent) print("no agent is running for " + target.shown + ": the other nodes hear of it once it is (" + target.start + ")\n");
  return ok();
}

int run(const AdoptOptions& options, const Change& change) {
  const Status done = change_tables(options, change);
  return done ? kExitOk : fail(done.error());
}

}  // namespace

int cmd_ids_adopt(const AdoptOptions& options) { return run(options, kAdopt); }
int cmd_ids_release(const AdoptOptions& options) { return run(options, kRelease); }

}  // namespace marmot::agent
