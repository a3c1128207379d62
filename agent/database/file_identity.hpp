// Which node a database file belongs to. The node id is made once and kept in the file (__marmot_meta), together with
// where the file stood: device, inode and machine. A file that was copied with its identity stands elsewhere and gets a
// new node id, so that two agents never write under one name (docs/design.md, "Joining").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"
#include "common/sqlite/database.hpp"

namespace marmot::agent {

struct FileIdentity {
  NodeId node;
  enum class Origin : uint8_t {
    kept,        // the file knew it and has not moved
    configured,  // node_id or --node-id says so
    created,     // the file had none
    copied,      // the file stands elsewhere than it remembers: a new one
  } origin = Origin::kept;
  NodeId before;  // copied, or configured otherwise than before: what the file said
  bool given_up = false;  // by give_up(): another agent is alive under the id before
  bool rebooted = false;  // its machine was started anew since the agent last opened it: a power cut may have rolled it back
  bool moved = false;  // it stands elsewhere than it remembers, or has another node id: there may be two of it
};

// "device:inode:machine" of a file as it stands now.
Result<std::string> place_of(const std::string& path);

// Reads what the file remembers; writes nothing. `configured` 0: not configured. `fallback` 0, or what to take instead of
// a random id (the agent's other databases have it).
Result<FileIdentity> identify(sqlite::Database& db, const std::string& path, uint64_t configured, uint64_t fallback);

// Writes the node id and where the file stands now. __marmot_meta must exist. Writes nothing when nothing changed.
Status remember(sqlite::Database& db, const std::string& path, NodeId node);

// Another agent runs under the node id of this file: identify() will take it for a copy. Errc::busy: the file is locked.
Status give_up(sqlite::Database& db);

// One fact of __marmot_meta; keys: common/replica/meta.hpp. Errc::not_found: no such table or no such key.
Result<std::string> read_meta(sqlite::Database& db, std::string_view key);
Status write_meta(sqlite::Database& db, std::string_view key, std::string_view value);
Status write_meta(sqlite::Database& db, std::string_view key, int64_t value);

}  // namespace marmot::agent
