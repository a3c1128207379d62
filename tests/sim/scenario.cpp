#include "tests/sim/scenario.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/sim/agent.hpp"
#include "tests/sim/app.hpp"
#include "tests/sim/world.hpp"

namespace marmot::sim {

namespace {

constexpr int64_t kSettleWithin = 60'000;

Error wrong(const std::string& text) { return make_error(Errc::bad_input, text); }

std::string trimmed(const std::string& text) {
  const size_t from = text.find_first_not_of(' '), to = text.find_last_not_of(' ');
  return from == std::string::npos ? "" : text.substr(from, to - from + 1);
}

// What stands behind a verb, taken piece by piece.
class Words {
 public:
  explicit Words(const std::string& line) : in_(line) {}

  Result<std::string> word(const std::string& name) {
    std::string out;
    if (in_ >> out) return out;
    return wrong(name + " is missing");
  }
  Result<int64_t> number(const std::string& name) {
    TRY_ASSIGN(const std::string text, word(name));
    char* end = nullptr;
    const int64_t out = std::strtoll(text.c_str(), &end, 10);
    if (*end != '\0') return wrong(name + " is to be a number, not '" + text + "'");
    return out;
  }
  // The place in `choices` of the next word; of none, where `optional`: their number.
  Result<size_t> one_of(const std::vector<std::string>& choices, bool optional = false) {
    std::string text, all;
    if (!(in_ >> text) && optional) return choices.size();
    for (size_t i = 0; i < choices.size(); ++i) {
      if (text == choices[i]) return i;
      all += (all.empty() ? "" : ", ") + choices[i];
    }
    return wrong("'" + text + "' is not one of: " + all);
  }
  Result<std::string> rest(const std::string& name) {
    std::string out;
    std::getline(in_ >> std::ws, out);
    if (out.empty()) return wrong(name + " is missing");
    return out;
  }
  Status end() {
    std::string more;
    if (in_ >> more) return wrong("nothing is expected behind, but there is '" + more + "'");
    return ok();
  }

 private:
  std::istringstream in_;
};

struct Setting {
  const char* name;
  void (*set)(Profile&, int64_t);
};

const Setting kSettings[] = {
    {"delay_ms", [](Profile& p, int64_t n) { p.delay_ms = n; }},
    {"tick_ms", [](Profile& p, int64_t n) { p.tick_ms = n; }},
    {"atomic_rows", [](Profile& p, int64_t n) { p.atomic_rows = n; }},
    {"pruned_rows", [](Profile& p, int64_t n) { p.pruned_rows = n; }},
    {"max_message", [](Profile& p, int64_t n) { p.max_message = static_cast<uint64_t>(n); }},
    {"slice_us", [](Profile& p, int64_t n) { p.slice_us = n; }},
    {"clocks", [](Profile& p, int64_t n) { p.clocks = n != 0; }},
    {"reset_ms", [](Profile& p, int64_t n) { p.reset_ms = n; }},
    {"keep_losers", [](Profile& p, int64_t n) { p.keep_losers = n != 0; }},
    {"scrub", [](Profile& p, int64_t n) { p.scrub = n != 0; }},
    {"repair_ms", [](Profile& p, int64_t n) { p.repair_ms = n; }},
};

}  // namespace

class Scenario {
 public:
  struct Command {
    const char* verb;
    const char* arguments;
    const char* what;
    Status (Scenario::*run)(Words&);
  };
  static const std::vector<Command>& commands();

  ~Scenario() {
    if (!world_) return;
    for (auto& [name, session] : sessions_) kill(name.first, session);
  }

  Status command(const std::string& line) {
    Words words(line);
    TRY_ASSIGN(const std::string verb, words.word("a command"));
    std::string all;
    for (const Command& known : commands()) {
      all += (all.empty() ? "" : ", ") + std::string(known.verb);
      if (verb != known.verb) continue;
      if (verb != "set") world().say(0, "> " + line);
      Status done = (this->*known.run)(words);
      if (done) done = words.end();
      if (!done && done.error().code == Errc::bad_input) return wrong(done.error().message + "; it is: " + known.verb + " " + known.arguments);
      if (done && world_ && world_->failed()) return make_error(Errc::refused, world_->failure_);
      return done;
    }
    return wrong("no command '" + verb + "'; there are: " + all);
  }

  std::string trace() {
    std::string out;
    for (const std::string& line : world().trace_.last()) out += line + "\n";
    return out;
  }

 private:
  World& world() {
    if (world_) return *world_;
    world_ = std::make_unique<World>(seed_, profile_, false);
    world_->trace_.keep_all();
    world_->scripted = true;
    world_->schema = {};
    world_->migrations.take_any();
    return *world_;
  }

  // -- arguments
  Result<Node*> node(Words& words) {
    TRY_ASSIGN(const int64_t id, words.number("N"));
    return node_of(id);
  }
  Result<Node*> node_of(int64_t id) {
    const auto found = world().nodes.find(static_cast<int>(id));
    if (found != world().nodes.end()) return &found->second;
    std::string all;
    for (const auto& [known, node] : world().nodes) all += (all.empty() ? "" : ", ") + std::to_string(known);
    return wrong("no node " + std::to_string(id) + (all.empty() ? ": there is none yet" : "; there are: " + all));
  }
  struct Session {
    Node* node;
    App* app;
  };
  Result<Session> session(Words& words) {
    TRY_ASSIGN(const std::string name, words.word("S"));
    char* end = nullptr;
    const int64_t id = std::strtoll(name.c_str(), &end, 10);
    if (*end != '\0' && (*end != '.' || end[1] == '\0')) return wrong("S is N or N.NAME, not '" + name + "'");
    TRY_ASSIGN(Node* const node, node_of(id));
    App* app = node->app.get();
    if (*end != '\0') app = &sessions_.try_emplace({node->id, name}, world(), *node).first->second;
    if (!app->is_open() && !app->open()) return make_error(Errc::refused, "the file does not open");
    return Session{node, app};
  }
  void kill(int node, App& app) {
    const Enter scope(world_->disks, node, Process::app);
    app.kill();
  }
  // Its machine goes down, or its file goes.
  void end_sessions(Node& node) {
    for (auto& [name, session] : sessions_) {
      if (name.first == node.id) kill(node.id, session);
    }
    std::erase_if(sessions_, [&](const auto& one) { return one.first.first == node.id; });
  }
  void restart(Node& node) {
    world().after(20, [&node] { node.agent->start(); });
  }

  // -- commands
  Status set(Words& words) {
    if (world_) return wrong("what is set stands before everything else");
    std::vector<std::string> names{"seed"};
    for (const Setting& setting : kSettings) names.emplace_back(setting.name);
    TRY_ASSIGN(const size_t which, words.one_of(names));
    TRY_ASSIGN(const int64_t value, words.number("VALUE"));
    if (which == 0) seed_ = static_cast<uint64_t>(value);
    else kSettings[which - 1].set(profile_, value);
    return ok();
  }
  Status add_node(Words& words) {
    TRY_ASSIGN(const int64_t id, words.number("N"));
    TRY_ASSIGN(const size_t how, words.one_of({"missing", "stopped", "UTF-16le", "UTF-16be"}, true));
    if (id < 1 || world().nodes.count(static_cast<int>(id)) != 0) return wrong("there is a node " + std::to_string(id) + " already");
    if (how == 2 || how == 3) {
      world().nodes[static_cast<int>(id)].encoding = std::string("PRAGMA encoding = '") + (how == 2 ? "UTF-16le'; " : "UTF-16be'; ");
      world().scripted_wide_ = true;
    }
    world().add_node(static_cast<int>(id), how == 0 ? World::Begin::missing : World::Begin::empty);
    Node& added = world().nodes[static_cast<int>(id)];
    added.agent->may_found = id == 1;
    added.away = how == 1;
    return ok();
  }
  Status run(Words& words) {
    TRY_ASSIGN(const int64_t ms, words.number("MS"));
    pass(ms);
    return ok();
  }
  void pass(int64_t ms) {
    auto& queue = world().queue_;
    const int64_t until = world().now_ + ms;
    while (!queue.empty() && queue.begin()->first.first <= until && !world().failed()) {
      auto next = queue.extract(queue.begin());
      world().now_ = next.key().first;
      next.mapped()();
    }
    world().now_ = until;
  }
  Status settle(Words&) {
    for (const auto& [name, session] : sessions_) {
      if (!session.idle()) return wrong("a transaction is open in " + name.second);
    }
    world().calm_ = true;
    for (auto& [id, node] : world().nodes) node.agent->scrub_again();
    std::string why;
    bool settled = false;
    for (int64_t waited = 0; waited < kSettleWithin && !settled && !world().failed(); waited += 100) {
      pass(100);
      settled = world().settled(&why);
    }
    if (!settled) world().fail(0, "not settled: " + why);
    if (!world().failed()) world().check_end();
    world().calm_ = false;
    return ok();
  }
  // The statements in a transaction of their own, or in the one that is open. False: refused, and taken back.
  bool attempt(const Session& by, const std::string& sql) {
    const Enter scope(world().disks, by.node->id, Process::app);
    const bool open = !by.app->idle();
    if (!open && (sql.rfind("VACUUM", 0) == 0 || sql.rfind("PRAGMA", 0) == 0)) return by.app->run(sql);
    if (!open && !by.app->begin()) return false;
    if (sql.find("DROP TABLE") != std::string::npos && sql.find("RENAME TO") == std::string::npos) by.app->drops_a_table();
    if (!by.app->run(sql)) {
      by.app->roll_back();
      return false;
    }
    return open || by.app->finish();
  }
  Status sql(Words& words) {
    TRY_ASSIGN(const Session by, session(words));
    TRY_ASSIGN(const std::string text, words.rest("SQL"));
    if (!attempt(by, text) && !world().failed()) return make_error(Errc::refused, "refused: " + by.app->refusal());
    return ok();
  }
  Status refused(Words& words) {
    TRY_ASSIGN(const Session by, session(words));
    TRY_ASSIGN(const std::string text, words.rest("SQL"));
    if (attempt(by, text)) return make_error(Errc::refused, "it is not refused");
    world().say(by.node->id, "refused: " + by.app->refusal());
    return ok();
  }
  Status begin(Words& words) {
    TRY_ASSIGN(const Session by, session(words));
    if (!by.app->idle()) return wrong("its transaction is open already");
    const Enter scope(world().disks, by.node->id, Process::app);
    if (!by.app->begin()) return make_error(Errc::refused, "BEGIN IMMEDIATE: " + by.app->refusal());
    by.app->holds(true);
    return ok();
  }
  Status commit(Words& words) { return end_transaction(words, true); }
  Status rollback(Words& words) { return end_transaction(words, false); }
  Status end_transaction(Words& words, bool keep) {
    TRY_ASSIGN(const Session by, session(words));
    if (by.app->idle()) return wrong("it has no transaction open");
    const Enter scope(world().disks, by.node->id, Process::app);
    if (!keep) by.app->roll_back();
    else if (!by.app->finish()) return make_error(Errc::refused, "COMMIT: " + by.app->refusal());
    return ok();
  }

  Result<std::vector<std::string>> rows(Node& node, const std::string& sql) {
    sqlite::Database* const db = world().checker(node);
    if (db == nullptr) return make_error(Errc::not_found, "there is no file");
    const Enter scope(world().disks, node.id, Process::checker);
    TRY_ASSIGN(auto select, db->prepare(sql));
    std::vector<std::string> out;
    for (;;) {
      TRY_ASSIGN(const bool more, select.step());
      if (!more) return out;
      std::string& line = out.emplace_back();
      for (int i = 0; i < select.columns(); ++i) line += (i == 0 ? "" : " | ") + print_cell(Cell::of(select.value(i)));
    }
  }
  Status query(Words& words) {
    TRY_ASSIGN(Node* const of, node(words));
    TRY_ASSIGN(const std::string sql, words.rest("SQL"));
    TRY_ASSIGN(const auto lines, rows(*of, sql));
    for (const std::string& line : lines) world().say(of->id, "  " + line);
    return ok();
  }
  Status expect(Words& words) {
    TRY_ASSIGN(const std::string who, words.word("N"));
    TRY_ASSIGN(const std::string text, words.rest("ROWS"));
    std::vector<Node*> asked;
    if (who != "all") {
      TRY_ASSIGN(Node* const one, node_of(std::atoi(who.c_str())));
      asked = {one};
    }
    for (auto& [id, node] : world().nodes) {
      if (who == "all" && !node.away) asked.push_back(&node);
    }
    const size_t colon = text.find(" : ");
    if (colon == std::string::npos) return wrong("' : ' is missing between ROWS and SQL");
    const std::string expected = trimmed(text.substr(0, colon));
    for (Node* const one : asked) {
      TRY_ASSIGN(const auto lines, rows(*one, text.substr(colon + 3)));
      std::string found;
      for (const std::string& line : lines) found += (found.empty() ? "" : " / ") + line;
      if (found.empty()) found = "none";
      if (found != expected) return make_error(Errc::refused, "n" + std::to_string(one->id) + " has " + found);
    }
    return ok();
  }

  Status kill(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->agent->kill();
    restart(*its);
    return ok();
  }
  Status stop(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->away = true;
    its->agent->kill();
    return ok();
  }
  Status start(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->away = false;
    its->agent->start();
    return ok();
  }
  Status power(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    end_sessions(*its);
    world().power_cut(*its);
    return ok();
  }
  Status lose(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    end_sessions(*its);
    its->app->kill();
    its->agent->kill();
    world().checkers_.erase(its->id);
    for (const char* const suffix : {"", "-wal"}) world().disks.of(its->id).remove(its->path + suffix);
    world().file_lost_ = true;
    world().recover(*its);
    restart(*its);
    return ok();
  }
  Status keep(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    world().keep_copy(*its);
    return ok();
  }
  Status restore(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const size_t how, words.one_of({"inside", "instead"}));
    if (its->backup.empty()) return wrong("no copy of its file was kept");
    end_sessions(*its);
    world().put_back(*its, how == 1);
    restart(*its);
    return ok();
  }
  Status copy(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    end_sessions(*its);
    its->app->kill();
    its->agent->kill();
    world().make_anew(*its);
    restart(*its);
    return ok();
  }
  Status disk(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const size_t how, words.one_of({"good", "full", "fails"}));
    DiskFaults& faults = world().disks.of(its->id).faults;
    if (how == 0) faults = {};
    if (how == 1) faults.room = 0;
    if (how < 2) return ok();
    TRY_ASSIGN(faults.fail_after, words.number("K"));
    return ok();
  }
  Status clock(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(its->clock_offset, words.number("MS"));
    its->clock_since = world().now();
    return ok();
  }

  Status cut(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const size_t way, words.one_of({"in", "out"}, true));
    its->link.in_blocked = way != 1;
    its->link.out_blocked = way != 0;
    return ok();
  }
  Status heal(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->link = {};
    its->agent->on_connected();
    return ok();
  }
  Status hold(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->held = true;
    return ok();
  }
  Status release(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const size_t how, words.one_of({"first", "last", "backwards", "nothing"}, true));
    auto waiting = std::exchange(its->on_its_way, {});
    its->held = how < 2;
    if (its->held) {
      if (waiting.empty()) return make_error(Errc::refused, "nothing of it is on its way");
      const auto one = how == 0 ? waiting.begin() : waiting.end() - 1;
      const auto arrive = *one;
      waiting.erase(one);
      its->on_its_way = std::move(waiting);
      arrive(true);
      return ok();
    }
    if (how == 2) std::reverse(waiting.begin(), waiting.end());
    for (const auto& arrive : waiting) arrive(how != 3);
    return ok();
  }
  Status drain(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->agent->drain_now();
    return ok();
  }
  Status outbox(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    its->agent->outbox_now();
    return ok();
  }
  Status repair(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const std::string table, words.word("TABLE"));
    if (!its->agent->repair_now(table)) return make_error(Errc::refused, "it cannot repair now");
    return ok();
  }
  Status snapshot(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    if (!its->agent->snapshot_now()) return make_error(Errc::refused, "it cannot take a snapshot now");
    return ok();
  }
  Status foreign(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    TRY_ASSIGN(const size_t what, words.one_of({"nothing", "copy", "nameless"}, true));
    world().foreign(*its, what == 2 ? 0 : 1, what == 1);
    return ok();
  }
  Status floor(Words& words) {
    TRY_ASSIGN(Node* const its, node(words));
    StreamSeq seen = world().stream.last();
    for (auto& [id, other] : world().nodes) {
      if (!other.away && other.agent->alive()) seen = std::min(seen, other.agent->position());
    }
    its->agent->announce_floor(seen);
    return ok();
  }
  Status remove_stream(Words&) {
    world().stream.destroy();
    world().stream_lost_ = true;
    return ok();
  }
  Status tail(Words& words) {
    TRY_ASSIGN(const int64_t count, words.number("K"));
    world().stream.lose_tail(world().stream.last() - static_cast<StreamSeq>(count));
    world().stream_lost_ = true;
    world().disconnect_all();
    return ok();
  }
  Status gone(Words& words) {
    TRY_ASSIGN(const int64_t which, words.number("K"));
    world().lose_message(static_cast<StreamSeq>(which));
    return ok();
  }
  Status trim(Words& words) {
    TRY_ASSIGN(const int64_t count, words.number("K"));
    world().stream.trim(world().stream.first() + static_cast<StreamSeq>(count));
    return ok();
  }

  uint64_t seed_ = 1;
  Profile profile_;
  std::unique_ptr<World> world_;
  std::map<std::pair<int, std::string>, App> sessions_;  // by node and name
};

const std::vector<Scenario::Command>& Scenario::commands() {
  static const std::vector<Command> kCommands = {
      {"set", "NAME VALUE", "of the profile or the seed, before everything else", &Scenario::set},
      {"node", "N [missing|stopped|UTF-16le|UTF-16be]", "a machine with an empty file; its agent starts, and may found the stream if N is 1", &Scenario::add_node},
      {"sql", "S SQL", "the application's session S (N or N.NAME) says so, in one transaction", &Scenario::sql},
      {"refused", "S SQL", "the same, and it must be refused", &Scenario::refused},
      {"begin", "S", "its transaction stays open", &Scenario::begin},
      {"commit", "S", "until here", &Scenario::commit},
      {"rollback", "S", "or here", &Scenario::rollback},
      {"query", "N SQL", "rows into the trace", &Scenario::query},
      {"expect", "N|all ROWS : SQL", "these rows, a | b / c | d, or none", &Scenario::expect},
      {"run", "MS", "time goes by", &Scenario::run},
      {"settle", "", "until nothing is left to do; then every promise is checked", &Scenario::settle},
      {"kill", "N", "its agent dies, and comes back by itself", &Scenario::kill},
      {"power", "N", "the power goes", &Scenario::power},
      {"stop", "N", "its agent dies and stays away; its promises are not looked at meanwhile", &Scenario::stop},
      {"start", "N", "until here", &Scenario::start},
      {"keep", "N", "a copy of its file is kept", &Scenario::keep},
      {"restore", "N inside|instead", "and put back, into the file or in its place", &Scenario::restore},
      {"copy", "N", "a tool makes its file anew, without its rowids; its sessions end, its agent dies and comes back", &Scenario::copy},
      {"lose", "N", "its file is gone", &Scenario::lose},
      {"disk", "N good|full|fails K", "no room; or the agent's I/O operation K from now, counted from 0, fails", &Scenario::disk},
      {"clock", "N MS", "its clock is wrong by so much", &Scenario::clock},
      {"cut", "N [in|out]", "nothing reaches it, or leaves it; nobody notices", &Scenario::cut},
      {"heal", "N", "and again it does", &Scenario::heal},
      {"hold", "N", "what it sends stays on its way", &Scenario::hold},
      {"release", "N [first|last|backwards|nothing]", "and arrives: all, one message of it, the last first, or never", &Scenario::release},
      {"drain", "N", "its agent drains now", &Scenario::drain},
      {"outbox", "N", "it looks through its rows for what is not acknowledged", &Scenario::outbox},
      {"repair", "N TABLE", "it repairs as if a comparison of nodes had asked for it", &Scenario::repair},
      {"snapshot", "N", "its agent takes one now", &Scenario::snapshot},
      {"floor", "N", "it announces how far all agents that are up have come", &Scenario::floor},
      {"foreign", "N [nothing|copy|nameless]", "somebody else writes under the message id that N uses next: no message, or the last one again; or under no id", &Scenario::foreign},
      {"tail", "K", "the stream loses its last K messages", &Scenario::tail},
      {"gone", "K", "it loses one message, the K-th from its end on: 1 is the last", &Scenario::gone},
      {"trim", "K", "its first K", &Scenario::trim},
      {"delete", "", "all of it", &Scenario::remove_stream},
  };
  return kCommands;
}

std::string scenario_help() {
  std::string out;
  for (const Scenario::Command& command : Scenario::commands()) {
    std::string head = "  " + std::string(command.verb) + " " + command.arguments;
    head.resize(std::max<size_t>(head.size(), 32), ' ');
    out += head + "  " + command.what + "\n";
  }
  out += "settings: seed";
  for (const Setting& setting : kSettings) out += ", " + std::string(setting.name);
  return out + "\n";
}

std::vector<std::string> find_scenarios(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      out.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      if (entry.path().extension() == ".txt") inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

int run_scenario(const std::string& path, bool rewrite) {
  std::ifstream file(path);
  std::string script, expected, line, bad;
  bool in_script = true;
  Scenario scenario;
  for (int number = 1; std::getline(file, line); ++number) {
    if (!in_script) {
      expected += line + "\n";
      continue;
    }
    script += line + "\n";
    in_script = line != "---";
    if (!in_script || line.empty() || line[0] == '#' || !bad.empty()) continue;
    if (const Status done = scenario.command(line); !done) bad = path + ":" + std::to_string(number) + ": " + line + "\n  " + done.error().message + "\n";
  }
  if (script.empty()) bad = path + ": there is no script\n";
  const std::string trace = scenario.trace();
  if (rewrite && bad.empty()) {
    std::ofstream(path) << script << (in_script ? "---\n" : "") << trace;
    return 0;
  }
  const bool same = trace == expected && !in_script;
  std::printf("%s  %s\n", same && bad.empty() ? "passed" : "failed", path.c_str());
  if (!bad.empty()) std::printf("its trace until then:\n%s%s", trace.c_str(), bad.c_str());
  else if (!same) std::printf("its trace is now:\n%s(run --scenario %s --rewrite takes it over)\n", trace.c_str(), path.c_str());
  return same && bad.empty() ? 0 : 1;
}

}  // namespace marmot::sim
