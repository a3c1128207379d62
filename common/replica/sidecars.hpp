// Tables in which another sidecar keeps what it knows about this one file: its place in its own log, its locks, its clocks.
// Such rows are wrong in any other file, so these tables are each file's own, unless `tables` spells their name out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace marmot::replica {

// The program whose bookkeeping a table of this name is; nullopt: an application's. ASCII case does not matter.
std::optional<std::string_view> sidecar_of(std::string_view table);

// Whether a glob of `include` chooses `table` by the sidecar's own mark ("_litestream_seq", "_litestream_*"), and not by a
// glob that any table fits ("*"). False for a table that is no sidecar's.
bool names_sidecar(const std::vector<std::string>& include, std::string_view table);

}  // namespace marmot::replica
