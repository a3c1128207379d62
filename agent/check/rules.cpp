#include "agent/check/rules.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "agent/report/text.hpp"
#include "common/replica/sidecars.hpp"

namespace marmot::agent {

namespace {

using replica::KeyKind;
using replica::NotWatched;

// --- words of names ------------------------------------------------------------------------------------------------

// "locked_at", "lockedAt", "locked-at": locked, at.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> out{""};
  bool lower_before = false;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = std::isalnum(byte) != 0 || byte >= 0x80;
    if ((!letter || (std::isupper(byte) != 0 && lower_before)) && !out.back().empty()) out.emplace_back();
    if (letter) out.back() += static_cast<char>(std::tolower(byte));
    lower_before = std::islower(byte) != 0;
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

using Words = std::set<std::string, std::less<>>;

bool has_word(std::string_view name, const Words& words) {
  const auto parts = words_of(name);
  return std::any_of(parts.begin(), parts.end(), [&](const std::string& part) { return words.count(part) != 0; });
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

// "locked_at" as its words with one space between them.
std::string spoken(std::string_view name) {
  std::string out;
  for (const std::string& word : words_of(name)) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::vector<std::string> columns_like(const TableFacts& table, const Words& names) {
  std::vector<std::string> out;
  for (const auto& column : table.info.columns) {
    if (names.count(spoken(column.name)) != 0) out.push_back(column.name);
  }
  return out;
}

bool in_key(const TableFacts& table, size_t column) {
  return std::any_of(table.info.key.begin(), table.info.key.end(), [&](const auto& part) { return static_cast<size_t>(part.column) == column; });
}

bool refers(const TableFacts& table, const std::string& column) {
  return std::any_of(table.foreign_keys.begin(), table.foreign_keys.end(), [&](const ForeignKey& key) {
    return std::find(key.columns.begin(), key.columns.end(), column) != key.columns.end();
  });
}

const Words kQueueNames{"job", "jobs", "queue", "queues", "task", "tasks", "lock", "locks", "lease", "leases", "leader", "leaders", "outbox"};
const Words kQueueColumns{"locked at", "locked by", "locked until", "lock owner", "reserved at", "reserved by", "reserved until", "claimed at",
                          "claimed by", "claimed until", "leased at", "leased by", "leased until", "lease expires at", "worker id"};
const Words kCacheNames{"cache", "caches", "session", "sessions", "throttle", "throttles", "ratelimit", "ratelimits"};
const Words kCacheColumns{"expires", "expires at", "expire at", "expired at", "expire date", "expires on"};
const Words kCounterWords{"counter", "counters", "count", "cnt", "seq", "sequence", "sequences", "next", "nextval", "value", "val"};
const Words kCounterNames{"counter", "counters", "sequence", "sequences", "seq"};

// --- rules ---------------------------------------------------------------------------------------------------------

struct Said {
  std::string subject, what, cure;
};
using Look = std::function<std::optional<Said>(const SchemaFacts&, const TableFacts&)>;

struct Rule {
  RuleInfo info;
  bool watched_only;  // looks at tables that are replicated, and at no others
  Look look;
};

std::optional<Said> unreadable(const SchemaFacts&, const TableFacts& table) {
  if (table.unreadable.empty()) return std::nullopt;
  return Said{"", table.unreadable, "declare its key and unique indexes with a built-in collation, or leave the table out (exclude)"};
}

std::optional<Said> missing(const SchemaFacts& facts, const TableFacts& table, Missing::Kind kind, const std::string& noun) {
  std::vector<std::string> names;
  for (const Missing& one : facts.missing) {
    if (one.kind == kind && one.table == table.name && std::find(names.begin(), names.end(), one.name) == names.end()) names.push_back(one.name);
  }
  if (names.empty()) return std::nullopt;
  return Said{joined(names), "an index, check, generated column or trigger needs a " + noun + " that this SQLite does not have: rows of other nodes "
              "cannot be written here", "name the SQLite extension that brings it in the configuration: [extensions] load = [...]"};
}

std::optional<Said> missing_function(const SchemaFacts& facts, const TableFacts& table) { return missing(facts, table, Missing::Kind::function, "function"); }
std::optional<Said> missing_collation(const SchemaFacts& facts, const TableFacts& table) { return missing(facts, table, Missing::Kind::collation, "collation"); }

std::optional<Said> missing_module(const SchemaFacts& facts, const TableFacts& table) {
  constexpr const char* kCure = "name the SQLite extension that brings it in the configuration: [extensions] load = [...]";
  if (table.not_watched == NotWatched::virtual_table && !table.module_known) {
    return Said{table.module, "the module of this virtual table is not in this SQLite: triggers that fill it do nothing here", kCure};
  }
  auto said = missing(facts, table, Missing::Kind::module, "module");
  if (said) said->what = "a trigger writes to a virtual table whose module is not in this SQLite";
  return said;
}

std::optional<Said> queue(const SchemaFacts&, const TableFacts& table) {
  const auto columns = columns_like(table, kQueueColumns);
  if (columns.empty() && !has_word(table.name, kQueueNames)) return std::nullopt;
  return Said{joined(columns), "looks like a queue, a lock or a lease: who takes a row here is known elsewhere only later, so two nodes can take the same one",
              "run its workers on one node, or keep the table local: exclude = [\"" + table.name + "\"]"};
}

std::optional<Said> counter(const SchemaFacts& facts, const TableFacts& table) {
  if (table.rows > TableFacts::kFewRows || queue(facts, table)) return std::nullopt;
  const bool named = has_word(table.name, kCounterNames);
  if (table.rows == 0 && !named) return std::nullopt;
  std::vector<std::string> columns;
  for (size_t i = 0; i < table.info.columns.size(); ++i) {
    const replica::Column& column = table.info.columns[i];
    const bool number = column.affinity == Affinity::number || column.affinity == Affinity::real;
    if (!number || column.generated || in_key(table, i) || refers(table, column.name)) continue;
    if (has_word(column.name, kCounterWords)) columns.push_back(column.name);
  }
  if (columns.empty()) return std::nullopt;
  return Said{joined(columns), "looks like a counter: of two nodes that count at the same time one is lost, and both give out the same number",
              "count on one node, or write a row for each event and sum them up"};
}

std::optional<Said> singleton(const SchemaFacts&, const TableFacts& table) {
  if (table.info.key_kind != KeyKind::rowid || table.rows != 1) return std::nullopt;
  return Said{"", "has one row and no primary key: two nodes that both make that row end up with two",
              "give it a key that is always the same: id INTEGER PRIMARY KEY CHECK(id = 1)"};
}

std::optional<Said> counted_ids(const SchemaFacts& facts, const TableFacts& table) {
  if (table.info.key_kind != KeyKind::rowid_alias || table.info.key.empty()) return std::nullopt;
  if (table.info.auto_increment) return std::nullopt;  // each node gives out ids of its own: docs/ids.md
  const std::string key = table.info.columns[static_cast<size_t>(table.info.key[0].column)].name;
  std::vector<std::string> from;
  for (const TableFacts& child : facts.tables) {
    for (const ForeignKey& reference : child.foreign_keys) {
      const bool to_key = reference.to.empty() || (reference.to.size() == 1 && spoken(reference.to[0]) == spoken(key));
      if (to_key && facts.find(reference.parent) == &table) from.push_back(child.name + "." + joined(reference.columns));
    }
  }
  return Said{from.empty() ? key : key + ", to which " + joined(from) + " point" + (from.size() == 1 ? "s" : ""),
              "SQLite counts these ids up in each file: two nodes that insert at the same time give one id to two rows, and the later row stays; "
              "what points at the id then points at the other node's row", std::string(table.adoptable ? "marmot ids adopt FILE " + table.name + ": each node gives out ids of its own then" : "declare it INTEGER PRIMARY KEY AUTOINCREMENT, so that each node gives out ids of its own") +
                  "; or insert on one node; or give ids that no two nodes choose: marmot_new_id() of libmarmot.so, a UUID"};
}

std::optional<Said> ids_end(const SchemaFacts&, const TableFacts& table) {
  constexpr int64_t kDayMs = 86'400'000, kSoonMs = 90 * kDayMs;
  if (!table.pace) return std::nullopt;
  const auto soon = [](const std::optional<int64_t>& ms) { return ms && *ms > 0 && *ms < kSoonMs; };
  const auto said = [&](int64_t ms, const char* what) {
    return Said{"", "at last week's pace its ids reach " + std::string(what) + " in " + std::to_string(ms / kDayMs) + " days",
                "[ids] narrow = [\"" + table.name + "\"] keeps them as low as they can be; docs/ids.md"};
  };
  if (soon(table.pace->to_31_bits)) return said(*table.pace->to_31_bits, "2^31, more than a program can read into 32 bits,");
  if (soon(table.pace->to_53_bits)) return said(*table.pace->to_53_bits, "2^53, more than JavaScript counts exactly,");
  return std::nullopt;
}

std::optional<Said> unique(const SchemaFacts&, const TableFacts& table) {
  if (table.unique.empty()) return std::nullopt;
  std::string subject;
  for (const std::string& one : table.unique) subject += (subject.empty() ? "" : "; ") + one;
  return Said{subject, "two nodes can take one value at the same time: the later row stays, the other is kept among the conflicts",
              "look at `marmot conflicts`; what must be taken once and for all needs one node that decides"};
}

std::optional<Said> cache(const SchemaFacts& facts, const TableFacts& table) {
  if (queue(facts, table)) return std::nullopt;
  const auto columns = columns_like(table, kCacheColumns);
  if (columns.empty() && !has_word(table.name, kCacheNames)) return std::nullopt;
  return Said{joined(columns), "looks like a cache or sessions: every write goes to every node, and limits counted in it are each node's own until then",
              "keep it local if no other node needs it: exclude = [\"" + table.name + "\"]"};
}

std::optional<Said> keyless(const SchemaFacts& facts, const TableFacts& table) {
  if (table.info.key_kind != KeyKind::rowid || singleton(facts, table)) return std::nullopt;
  return Said{"", "has no primary key: rows are known by where they were made, their rowids differ between nodes, and the same row made on two nodes stays twice",
              "declare a primary key"};
}

std::optional<Said> nullable(const SchemaFacts&, const TableFacts& table) {
  if (!table.info.nullable_key) return std::nullopt;
  return Said{key_text(table), "its key may be NULL: rows with a NULL in it are treated as in a table without a key", "declare the key's columns NOT NULL"};
}

std::optional<Said> virtual_table(const SchemaFacts&, const TableFacts& table) {
  if (table.not_watched != NotWatched::virtual_table || !table.module_known) return std::nullopt;
  return Said{table.module, "a virtual table: its content is not sent. Each node's own triggers fill it; what a script writes to it stays on that node",
              "fill it by triggers on a replicated table"};
}

std::optional<Said> unreadable_content(const SchemaFacts&, const TableFacts& table) {
  if (table.unreadable_content.empty()) return std::nullopt;
  return Said{table.module, "a full-text index whose content cannot be read: " + table.unreadable_content,
              "make the table or view that its definition names (content=), with its columns, or drop the index"};
}

std::optional<Said> sidecar(const SchemaFacts&, const TableFacts& table) {
  if (table.not_watched != NotWatched::sidecar) return std::nullopt;
  return Said{"", "the bookkeeping of " + std::string(replica::sidecar_of(table.name).value_or("another sidecar")) + ": not replicated, for it is this file's own",
              "nothing; to replicate it all the same, name it in `tables`"};
}

// Worst first. The order of a severity is the order in which findings are listed.
const std::vector<Rule>& table_of_rules() {
  static const std::vector<Rule> all{
      {{"not-replicable", Severity::stops, "a table that cannot be replicated", "tables that cannot be replicated"}, true, unreadable},
      {{"missing-function", Severity::stops, "a missing function", "tables that need missing functions"}, true, missing_function},
      {{"missing-collation", Severity::stops, "a missing collation", "tables that need missing collations"}, true, missing_collation},
      {{"missing-module", Severity::stops, "a missing module", "tables that need missing modules"}, false, missing_module},
      {{"unreadable-content", Severity::stops, "a full-text index without its content", "full-text indexes without their content"}, false, unreadable_content},
      {{"queue", Severity::collides, "a queue or lock", "queues or locks"}, true, queue},
      {{"counter", Severity::collides, "a counter", "counters"}, true, counter},
      {{"singleton", Severity::collides, "a single row without a key", "single rows without a key"}, true, singleton},
      {{"counted-ids", Severity::collides, "a table with counted ids", "tables with counted ids"}, true, counted_ids},
      {{"ids-end", Severity::collides, "a table whose ids come to an end", "tables whose ids come to an end"}, true, ids_end},
      {{"unique", Severity::collides, "a table with UNIQUE columns", "tables with UNIQUE columns"}, true, unique},
      {{"cache", Severity::note, "a cache", "caches"}, true, cache},
      {{"no-key", Severity::note, "a table without a key", "tables without a key"}, true, keyless},
      {{"nullable-key", Severity::note, "a key that may be NULL", "keys that may be NULL"}, true, nullable},
      {{"virtual-table", Severity::note, "a virtual table", "virtual tables"}, false, virtual_table},
      {{"sidecar", Severity::note, "a table of another sidecar", "tables of other sidecars"}, false, sidecar},
  };
  return all;
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::stops: return "stops";
    case Severity::collides: return "collides";
    case Severity::note: return "note";
  }
  return "";
}

const std::vector<RuleInfo>& rules() {
  static const std::vector<RuleInfo> all = [] {
    std::vector<RuleInfo> out;
    for (const Rule& rule : table_of_rules()) out.push_back(rule.info);
    return out;
  }();
  return all;
}

std::vector<Finding> find_findings(const SchemaFacts& facts) {
  std::vector<Finding> out;
  for (const Rule& rule : table_of_rules()) {
    for (const TableFacts& table : facts.tables) {
      const bool readable = table.unreadable.empty() || rule.info.name == "not-replicable";
      if (!readable || (rule.watched_only && table.not_watched)) continue;
      auto said = rule.look(facts, table);
      if (!said) continue;
      out.push_back(Finding{rule.info.severity, std::string(rule.info.name), table.name, std::move(said->subject), std::move(said->what), std::move(said->cure)});
    }
  }
  return out;
}

std::string short_form(const std::vector<Finding>& findings) {
  constexpr size_t kNamed = 3;
  if (findings.empty()) return {};
  std::string out;
  size_t things = 0;
  for (const RuleInfo& rule : rules()) {
    std::vector<std::string> tables;
    for (const Finding& finding : findings) {
      if (finding.rule == rule.name) tables.push_back(finding.table);
    }
    if (tables.empty()) continue;
    ++things;
    out += (out.empty() ? "" : ", ") + (tables.size() == 1 ? std::string(rule.one) : std::to_string(tables.size()) + " " + std::string(rule.many));
    const bool more = tables.size() > kNamed;
    if (more) tables.resize(kNamed);
    out += " (" + joined(tables) + (more ? ", ..." : "") + ")";
  }
  return counted(static_cast<int64_t>(things), "thing") + " to know: " + out;
}

std::string key_text(const TableFacts& table) {
  if (table.info.key_kind == KeyKind::rowid) return "none";
  std::vector<std::string> names;
  for (const auto& part : table.info.key) names.push_back(table.info.columns[static_cast<size_t>(part.column)].name);
  return joined(names) + (table.info.key_kind == KeyKind::rowid_alias ? " (counted)" : "");
}

}  // namespace marmot::agent
