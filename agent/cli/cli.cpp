#include "agent/cli/cli.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "agent/cli/commands.hpp"
#include "agent/cli/completion.hpp"

namespace marmot::agent {

namespace {

// The subcommand that was chosen, with its options bound.
using Chosen = std::function<int()>;

// One value an occurrence, any number of occurrences: `--tables a --tables b app.db` must not swallow app.db.
void repeatable(CLI::App& app, const char* name, std::vector<std::string>& into, const char* help, const char* type) {
  app.add_option(name, into, help)->allow_extra_args(false)->type_name(type);
}

void add_target(CLI::App& app, TargetOptions& target) {
  app.add_option("database", target.database, "the database file")->type_name("DB");
  app.add_option("--config,-c", target.config, "the agent's configuration instead")->type_name("FILE");
  app.add_flag("--json", target.json, "print JSON");
}

void add_agent(CLI::App& root, ConfigOverrides& over, Chosen& chosen) {
  CLI::App& app = *root.add_subcommand("agent", "replicate database files until stopped");
  app.add_option("databases", over.databases, "database files; made from the cluster when missing")->type_name("DB");
  app.add_option("--config,-c", over.file, "TOML configuration; options here win over it")->type_name("FILE");
  app.add_option("--join", over.join, "join the agent that listens there (default port: 4250)")->type_name("HOST[:PORT]");
  repeatable(app, "--nats", over.nats_urls, "use this NATS server; may be repeated", "URL");
  app.add_option("--name", over.name, "how the cluster calls the database (default: the file's stem)")->type_name("NAME");
  app.add_option("--cluster", over.cluster, "name of the cluster (default: main)")->type_name("NAME");
  app.add_option("--node-id", over.node_id, "number of this node (default: made once and kept)")->type_name("N");
  app.add_option("--data-dir", over.data_dir, "where the agent keeps its files (default: DB-marmot)")->type_name("DIR");
  app.add_option("--listen", over.listen, "where the embedded NATS server listens (default: 127.0.0.1:4250, or the next free port)")
      ->type_name("HOST[:PORT]");
  app.add_option("--adopt", over.adopt, "what to do with a file that has data of its own")->type_name("HOW:{refuse,merge,replace}");
  repeatable(app, "--tables", over.tables, "watch only tables of such a name; may be repeated", "GLOB");
  repeatable(app, "--exclude", over.exclude, "do not watch these; may be repeated", "GLOB");
  app.add_option("--log-level", over.log_level, "what is logged (default: info)")->type_name("LEVEL:{debug,info,warn,error}");
  app.add_option("--log-format", over.log_format, "how lines look (default: console)")->type_name("FORMAT:{console,json}");
  app.final_callback([&] { chosen = [&over] { return cmd_agent(over); }; });
}

struct AllOptions {
  ConfigOverrides agent;
  TargetOptions members, cleanup, check;
  StatusOptions status;
  WaitOptions wait;
  TailOptions tail;
  VerifyOptions verify;
  ConflictsOptions conflicts;
  QuarantineOptions quarantine;
  SnapshotOptions snapshot;
  IdsOptions ids;
  ClockOptions clock;
  AdoptOptions adopt;
  std::string config_file;
  std::string shell;
};

void add_snapshot(CLI::App& root, SnapshotOptions& options, Chosen& chosen) {
  CLI::App& snapshot = *root.add_subcommand("snapshot", "copies of the whole database in the cluster");
  snapshot.require_subcommand(1);
  CLI::App& save = *snapshot.add_subcommand("save", "take one now");
  add_target(save, options.target);
  save.final_callback([&] { chosen = [&options] { return cmd_snapshot_save(options); }; });
  CLI::App& list = *snapshot.add_subcommand("list", "those there are, newest first");
  add_target(list, options.target);
  list.final_callback([&] { chosen = [&options] { return cmd_snapshot_list(options); }; });
  CLI::App& restore = *snapshot.add_subcommand("restore", "write one to a new file, a plain database without anything of Marmot");
  add_target(restore, options.target);
  restore.add_option("--to", options.to, "the new file")->required()->type_name("FILE");
  restore.add_option("--id", options.id, "which one, as list shows it, or its sequence (default: the newest)")->type_name("ID");
  restore.add_flag("--keep", options.keep, "leave Marmot's tables in it, so that an agent can go on with it");
  restore.final_callback([&] { chosen = [&options] { return cmd_snapshot_restore(options); }; });
}

void add_adoption(CLI::App& ids, const std::string& name, const std::string& what, AdoptOptions& options, Chosen& chosen, int (*command)(const AdoptOptions&)) {
  CLI::App& app = *ids.add_subcommand(name, what);
  app.add_option("words", options.words, "the database file, and the tables")->type_name("[DB] TABLE");
  app.add_option("--config,-c", options.target.config, "the agent's configuration, in place of DB")->type_name("FILE");
  app.add_flag("--json", options.target.json, "print JSON");
  app.add_flag("--all", options.all, "every table that can be");
  app.final_callback([&options, &chosen, command] { chosen = [&options, command] { return command(options); }; });
}

void add_ids(CLI::App& root, IdsOptions& options, AdoptOptions& adopt, Chosen& chosen) {
  CLI::App& ids = *root.add_subcommand("ids", "which ids of AUTOINCREMENT tables each node gives out");
  ids.require_subcommand(0, 1);
  add_target(ids, options.target);
  CLI::App& retire = *ids.add_subcommand("retire", "free the slot of a node that is gone for good");
  retire.add_option("slot", options.slot, "its number, as `marmot ids` shows it")->required()->check(CLI::Range(0, 1022))->type_name("SLOT");
  add_target(retire, options.target);
  retire.final_callback([&] { chosen = [&options] { return cmd_ids_retire(options); }; });
  add_adoption(ids, "adopt", "tables with a plain INTEGER PRIMARY KEY become AUTOINCREMENT on all nodes, so that each gives out ids of its own", adopt, chosen,
               cmd_ids_adopt);
  add_adoption(ids, "release", "undo adopt", adopt, chosen, cmd_ids_release);
  ids.final_callback([&] {
    if (!chosen) chosen = [&options] { return cmd_ids(options); };
  });
}

void add_clock(CLI::App& root, ClockOptions& options, Chosen& chosen) {
  CLI::App& clock = *root.add_subcommand("clock", "whose clock is wrong, and how far stamps of changes are ahead");
  clock.require_subcommand(0, 1);
  add_target(clock, options.target);
  CLI::App& reset = *clock.add_subcommand("reset", "changes that a wrong clock stamped ahead count as of now, in their order, on all nodes");
  add_target(reset, options.target);
  reset.add_flag("--dry-run", options.dry_run, "only say what is ahead, and by how much");
  reset.final_callback([&] { chosen = [&options] { return cmd_clock_reset(options); }; });
  CLI::App& bound = *clock.add_subcommand("bound", "how far ahead of its time the stream takes stamps, from now on");
  bound.add_option("ms", options.bound_ms, "milliseconds")->required()->check(CLI::Range(int64_t{1000}, int64_t{86'400'000}))->type_name("MS");
  add_target(bound, options.target);
  bound.final_callback([&] { chosen = [&options] { return cmd_clock_bound(options); }; });
  clock.final_callback([&] {
    if (!chosen) chosen = [&options] { return cmd_clock(options); };
  });
}

void add_clients(CLI::App& root, AllOptions& all, Chosen& chosen) {
  CLI::App& status = *root.add_subcommand("status", "what the agent is doing");
  add_target(status, all.status.target);
  status.add_flag("--metrics", all.status.metrics, "as Prometheus reads it, for node_exporter's textfile collector");
  status.final_callback([&] { chosen = [&all] { return cmd_status(all.status); }; });

  CLI::App& members = *root.add_subcommand("members", "the nodes that belong to the cluster, and how far they are");
  add_target(members, all.members);
  members.final_callback([&] { chosen = [&all] { return cmd_members(all.members); }; });

  CLI::App& tail = *root.add_subcommand("tail", "a live feed of changes, until Ctrl-C");
  add_target(tail, all.tail.target);
  tail.add_option("--table", all.tail.table, "only tables of such a name")->type_name("GLOB");
  tail.add_option("--direction", all.tail.direction, "in (from others) or out (from here)")
      ->check(CLI::IsMember({"in", "out"}))->type_name("WAY");
  tail.final_callback([&] { chosen = [&all] { return cmd_tail(all.tail); }; });

  CLI::App& wait = *root.add_subcommand("wait", "return once what was committed here is published; exit 3 when not in time");
  add_target(wait, all.wait.target);
  wait.add_option("--level", all.wait.level,
                  "published (the stream has it), all (every live node has it) or ready (this node is caught up, and has ids of its own); default: published")
      ->check(CLI::IsMember({"published", "all", "ready"}))->type_name("LEVEL");
  wait.add_flag_callback("--ready", [&all] { all.wait.level = "ready"; }, "the same as --level ready");
  wait.add_option("--timeout-ms", all.wait.timeout_ms, "default: 10000")->check(CLI::Range(0, 86'400'000))->type_name("N");
  wait.final_callback([&] { chosen = [&all] { return cmd_wait(all.wait); }; });

  CLI::App& verify = *root.add_subcommand("verify", "compare every table with the other nodes; exit 3 when one differs or does not answer, or a full-text index is out of step");
  add_target(verify, all.verify.target);
  verify.add_option("--timeout-ms", all.verify.timeout_ms, "default: 60000")->check(CLI::Range(1, 86'400'000))->type_name("N");
  verify.add_flag("--reachable", all.verify.reachable, "exit 0 where all that answer are identical, though members are away");
  verify.add_flag("--repair", all.verify.repair, "compare rows with their versions first, and nodes' versions; publish again what differs");
  verify.final_callback([&] { chosen = [&all] { return cmd_verify(all.verify); }; });

  CLI::App& conflicts = *root.add_subcommand("conflicts", "rows that lost where two nodes meant to keep theirs");
  conflicts.add_option("words", all.conflicts.words,
                       "the database file, and what to do: show ID, restore ID, restore --all, discard ID, discard --all; nothing: list them")
      ->type_name("[DB] [WHAT:{show,restore,discard} [ID]]")->expected(0, 3);
  conflicts.add_option("--config,-c", all.conflicts.target.config, "the agent's configuration, in place of DB")->type_name("FILE");
  conflicts.add_flag("--json", all.conflicts.target.json, "machine-readable");
  conflicts.add_flag("--all", all.conflicts.all, "discard, restore: every conflict");
  conflicts.add_option("--table", all.conflicts.table, "restore --all, discard --all: only conflicts of this table")->type_name("TABLE");
  conflicts.add_flag("--with-children", all.conflicts.with_children, "restore: rows of its node that refer to a restored row follow it to its new key; discard: they are deleted, and what refers to them");
  repeatable(conflicts, "--set", all.conflicts.set, "restore: with another value in this column; may be repeated", "COLUMN=VALUE");
  conflicts.final_callback([&] { chosen = [&all] { return cmd_conflicts(all.conflicts); }; });

  CLI::App& quarantine = *root.add_subcommand("quarantine", "messages of the stream that do not decode; no agent is needed");
  add_target(quarantine, all.quarantine.target);
  quarantine.add_flag("--empty", all.quarantine.empty, "forget them, here");
  quarantine.final_callback([&] { chosen = [&all] { return cmd_quarantine(all.quarantine); }; });

  add_ids(root, all.ids, all.adopt, chosen);
  add_clock(root, all.clock, chosen);
  add_snapshot(root, all.snapshot, chosen);

  CLI::App& check = *root.add_subcommand("check", "what the file's tables mean where several nodes write; no agent is needed; exit 3 when there is something to know");
  add_target(check, all.check);
  check.final_callback([&] { chosen = [&all] { return cmd_check(all.check); }; });

  CLI::App& cleanup = *root.add_subcommand("cleanup", "remove everything of Marmot from the file (no agent may run)");
  add_target(cleanup, all.cleanup);
  cleanup.final_callback([&] { chosen = [&all] { return cmd_cleanup(all.cleanup); }; });
}

// The words that complete `app`: what stands there was perhaps meant to be one of them.
std::vector<std::string> words_of(const CLI::App& app, bool options) {
  std::vector<std::string> words;
  if (!options) {
    for (const CLI::App* command : app.get_subcommands({})) words.push_back(command->get_name());
    return words;
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  return words;
}

// A word that nobody expected: which, and what was probably meant. Empty: the mistake is another one.
std::string unexpected(const CLI::App& root) {
  const CLI::App* app = &root;
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  const std::vector<std::string> left = root.remaining(true);
  if (left.empty()) return {};
  std::string path = root.get_name();
  for (const CLI::App* at = &root; at != app;) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  const bool option = left[0].rfind('-', 0) == 0;
  const bool group = !app->get_subcommands([](const CLI::App*) { return true; }).empty();
  if (!option && !group) return {};  // one file too many
  const std::string word = left[0].substr(0, option ? left[0].find('=') : std::string::npos);
  const std::vector<std::string> words = words_of(*app, option);
  const std::string near = did_you_mean(word, {words.begin(), words.end()});
  return word + ": no such " + (option ? "option of " : "command of ") + path + "; " +
         (near.empty() ? "see " + path + " --help" : "did you mean " + near + "?");
}

void add_completion(CLI::App& root, std::string& shell, Chosen& chosen) {
  CLI::App& app = *root.add_subcommand("completion", "print the script that completes this command line in a shell");
  app.add_option("shell", shell, "for which; in ~/.bashrc or ~/.zshrc: source <(marmot completion bash)")
      ->required()->check(CLI::IsMember({"bash", "zsh"}))->type_name("SHELL");
  app.final_callback([&] { chosen = [&] { return cmd_completion(root, shell); }; });
}

}  // namespace

int run_cli(int argc, const char* const* argv) {
  CLI::App app("Marmot replicates live SQLite files between machines.", "marmot");
  app.set_version_flag("--version,-V", "marmot " MARMOT_VERSION);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 as asked, 1 failed, 2 wrong usage or configuration, 3 differences found or not in time.");
  AllOptions all;
  Chosen chosen;
  add_agent(app, all.agent, chosen);
  add_clients(app, all, chosen);
  CLI::App& config = *app.add_subcommand("config", "about configuration files");
  config.require_subcommand(1);
  CLI::App& check = *config.add_subcommand("check", "print what a file means, or what is wrong with it");
  check.add_option("file", all.config_file, "the TOML file")->required()->type_name("FILE");
  check.final_callback([&] { chosen = [&all] { return cmd_config_check(all.config_file); }; });

  add_completion(app, all.shell, chosen);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked = error.get_exit_code() == 0;
    if (const std::string told = asked ? "" : unexpected(app); !told.empty()) return fail(make_error(Errc::bad_input, told));
    // CLI11 prints help and version here too; those end with 0.
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return chosen ? chosen() : kExitUsage;
}

}  // namespace marmot::agent
