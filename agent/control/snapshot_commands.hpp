// `marmot snapshot` on the agent's side: save, list and restore as control.hpp has them. Loop thread only.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "agent/control/control.hpp"
#include "agent/replication/replicator.hpp"
#include "agent/snapshot/snapshot_store.hpp"

namespace marmot::agent {

Json json_of(const SnapshotRecord& record);

void answer_snapshot(Replicator& database, const Json& request, const Reply& reply);

}  // namespace marmot::agent
