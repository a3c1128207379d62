#include "agent/database/file_identity.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "agent/loop/random.hpp"
#include "common/replica/meta.hpp"

namespace marmot::agent {

namespace meta = replica::meta;

Result<std::string> place_of(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) {
    const int code = errno;
    return make_error(Errc::io, "stat " + path + ": " + std::strerror(code), code);
  }
  std::string machine;
  std::ifstream("/etc/machine-id") >> machine;  // absent in many containers: then device and inode must do
  return std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino) + ":" + machine;
}

namespace {

// Of this run of the machine's kernel; empty where it does not say.
std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

uint64_t parse_node(const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value <= kMaxNodeId ? value : 0;
}

}  // namespace

Result<std::string> read_meta(sqlite::Database& db, std::string_view key) {
  TRY_ASSIGN(const int64_t exists,
             db.query_integer("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '__marmot_meta'"));
  if (exists == 0) return make_error(Errc::not_found, "no __marmot_meta");
  return db.query_text("SELECT CAST(value AS TEXT) FROM __marmot_meta WHERE key = " + sqlite::quote_text(key));
}

namespace {
constexpr std::string_view kGivenUp = "given up";  // in the place of a place
constexpr std::string_view kWriteMeta = "INSERT INTO __marmot_meta(key, value) VALUES(?1, ?2)"
                                        " ON CONFLICT(key) DO UPDATE SET value = excluded.value";
}  // namespace

Status write_meta(sqlite::Database& db, std::string_view key, std::string_view value) {
  TRY_ASSIGN(sqlite::Statement statement, db.prepare(kWriteMeta));
  statement.bind(1, key).bind(2, value);
  return statement.run();
}

Status write_meta(sqlite::Database& db, std::string_view key, int64_t value) {
  TRY_ASSIGN(sqlite::Statement statement, db.prepare(kWriteMeta));
  statement.bind(1, key).bind(2, value);
  return statement.run();
}

Result<FileIdentity> identify(sqlite::Database& db, const std::string& path, uint64_t configured, uint64_t fallback) {
  FileIdentity identity;
  auto known = read_meta(db, meta::kNodeId);
  if (!known && known.error().code != Errc::not_found) return std::move(known).error().in("read the node id");
  identity.before = NodeId{known ? parse_node(*known) : 0};
  TRY_ASSIGN(const std::string place, place_of(path));
  const auto remembered = read_meta(db, meta::kFilePlace);
  const bool elsewhere = remembered && *remembered != place;
  identity.given_up = remembered && *remembered == kGivenUp;
  const auto boot = read_meta(db, meta::kBoot);
  identity.rebooted = boot && *boot != boot_id();
  if (configured != 0) {
    identity.node = NodeId{configured};
    identity.origin = FileIdentity::Origin::configured;
    identity.moved = elsewhere || (identity.before.value != 0 && identity.before != identity.node);
    return identity;
  }
  if (identity.before.value == 0) {
    identity.node = NodeId{fallback != 0 ? fallback : random_node_id()};
    identity.origin = FileIdentity::Origin::created;
    return identity;
  }
  if (elsewhere) {
    identity.node = NodeId{random_node_id()};
    identity.origin = FileIdentity::Origin::copied;
    identity.moved = true;
    return identity;
  }
  identity.node = identity.before;
  return identity;
}

Status give_up(sqlite::Database& db) { return write_meta(db, meta::kFilePlace, kGivenUp); }

Status remember(sqlite::Database& db, const std::string& path, NodeId node) {
  TRY_ASSIGN(const std::string place, place_of(path));
  const std::string id = std::to_string(node.value);
  const auto known_id = read_meta(db, meta::kNodeId);
  const auto known_place = read_meta(db, meta::kFilePlace);
  const auto known_boot = read_meta(db, meta::kBoot);
  const std::string boot = boot_id();
  const bool same_place = known_place && *known_place == place, same_boot = known_boot && *known_boot == boot;
  if (known_id && *known_id == id && same_place && same_boot) return ok();
  TRY_ASSIGN(sqlite::Transaction transaction, sqlite::Transaction::begin(db, sqlite::Transaction::Kind::immediate));
  TRY(write_meta(db, meta::kNodeId, static_cast<int64_t>(node.value)));
  TRY(write_meta(db, meta::kFilePlace, place));
  TRY(write_meta(db, meta::kBoot, boot));
  return transaction.commit();
}

}  // namespace marmot::agent
