// Anti-entropy, the half that knows the file: digests of ranges, their keys, and doing what the plan says.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/conflict.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/shelf.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

Hash128 register_digest(const HashKey& seed, const RangeKey& item) {
  const uint64_t words[] = {item.version.hlc.value, item.version.origin.node.value, item.version.origin.incarnation.value, item.hash,
                            item.live ? 1U : 0U,    item.row.low,                   item.row.high};
  return siphash128(seed, item.key.size(), item.key + std::string(reinterpret_cast<const char*>(words), sizeof words));
}

// The row that the register stands for. One that is not what it says is the drain's or the scrub's to find, and moves until then.
Status take_row(Replica::Impl& impl, Table& table, const HashKey& seed, RowState state, RangeKey& item) {
  std::vector<ValueView> values;
  std::string storage;
  TRY_ASSIGN(const bool there, impl.read_row(table, item.key, Register{item.version, 0, {}, item.hash, state}, values, storage));
  if (there && table.hash(values) == item.hash) item.row = table.digest(seed, values);
  else item.seq = 0;
  table.release();
  return ok();
}

// Calls `fn` for every register of the range that counts; false ends it. True: the end of the range was reached.
template <class Fn>
Result<bool> walk(Replica::Impl& impl, Table& table, const CompareBy& by, const KeyRange& range, StreamSeq floor, Fn&& fn) {
  TRY_ASSIGN(Statement* const rows, impl.store.statement(sql::kRangeRegisters));
  rows->bind(1, table.id).bind_blob(2, range.after);
  const sqlite::ResetGuard guard(*rows);
  RangeKey item;
  for (;;) {
    TRY_ASSIGN(const bool more, rows->step());
    if (!more || (!range.upto.empty() && rows->blob(0) > std::string_view(range.upto))) return true;
    item.key = rows->blob(0);
    item.version.hlc = Hlc::from_stored(rows->integer(1));
    TRY_ASSIGN(item.version.origin, impl.store.origin_of(rows->integer(2)));
    item.seq = rows->is_null(3) ? 0 : static_cast<StreamSeq>(rows->integer(3));
    item.hash = static_cast<uint64_t>(rows->integer(4));
    const auto state = static_cast<RowState>(rows->integer(5));
    item.live = state != RowState::dead;
    item.row = {};
    if (by.rows && item.live) TRY(take_row(impl, table, by.seed, state, item));
    const bool pruned_soon = !item.live && item.seq != 0 && item.seq <= floor;
    if (!fn(item, pruned_soon)) return false;
  }
}

Result<Table*> table_of(Replica::Impl& impl, const std::string& name) {
  Table* const table = impl.table_by_name(name);
  if (table == nullptr || !table->running() || !table->baseline) {
    return make_error(Errc::not_found, "table " + name + " is not replicated here now");
  }
  return table;
}

}  // namespace

Result<RangeDigest> Replica::range_digest(const CompareBy& by, const KeyRange& range, int64_t limit) {
  Impl& impl = *impl_;
  TRY_ASSIGN(Table* const table, table_of(impl, range.table));
  RangeDigest out;
  out.position = impl.state.position.seq;
  out.floor = floor();
  const auto schema = table->permanent_id ? impl.registers.newest_of(*table->permanent_id) : std::nullopt;
  out.newest = schema.value_or(0);
  out.pending = !schema;
  int64_t seen = 0;
  TRY_ASSIGN(const bool end, walk(impl, *table, by, range, out.floor, [&](const RangeKey& item, bool pruned) {
    out.reach = item.key;
    if (!pruned) {
      ++out.registers;
      add(out.sum, register_digest(by.seed, item));
      out.newest = std::max(out.newest, item.seq);
      out.pending = out.pending || item.seq == 0;
    }
    return ++seen < limit;
  }));
  out.cut = !end;
  return out;
}

Result<RangeKeys> Replica::range_keys(const CompareBy& by, const KeyRange& range, int64_t limit, size_t max_bytes) {
  Impl& impl = *impl_;
  TRY_ASSIGN(Table* const table, table_of(impl, range.table));
  RangeKeys out;
  out.position = impl.state.position.seq;
  out.floor = floor();
  out.floor_hlc = impl.state.floor.hlc;
  size_t bytes = 0;
  TRY_ASSIGN(const bool end, walk(impl, *table, by, range, out.floor, [&](const RangeKey& item, bool pruned) {
    if (pruned) return true;
    bytes += item.key.size();
    // At least one, however long: else nothing would ever be said of it.
    if (!out.keys.empty() && (bytes > max_bytes || static_cast<int64_t>(out.keys.size()) >= limit)) return false;
    out.keys.push_back(item);
    return true;
  }));
  out.cut = !end;
  return out;
}

// It was deleted long ago, and this file missed that. It goes as a delete of today; nobody meant it to, so it is kept.
Status Replica::Impl::remove_pruned(Table& table, const std::string& key, const Register& held, const Version& stamp) {
  if (held.live()) {
    TRY(keep_row(table, key, held, "repair", "other nodes do not have it: it was deleted there so long ago that nobody knows when"));
    TRY(erase_row(table, key, held));
  }
  return store.put(table.id, key, true, stamp, std::nullopt, 0, RowState::dead);
}

Result<DrainResult> Replica::repair(const std::string& name, const std::vector<RepairAction>& actions, bool polite, int64_t* done) {
  Impl& impl = *impl_;
  DrainResult result;
  *done = 0;
  int64_t acted = 0;
  TRY(impl.write(polite, &result.held_us, [&]() -> Status {
    // What the log holds comes first, as before every apply: a register that it changes is no longer what the plan saw.
    for (bool more = true; more;) {
      more = false;
      TRY(impl.drain_log(result.units, impl.tracing ? &result.changes : nullptr, &more));
    }
    if (impl.state.membership != Membership::member) return ok();
    if (name.empty()) {
      TRY(impl.tell_again(""));
      impl.state.start_outbox();
      acted = 1;
      return ok();
    }
    TRY_ASSIGN(Table* const table, table_of(impl, name));
    std::optional<Version> stamp;
    std::vector<std::string> raised;  // shelved rows that rank higher now
    for (const RepairAction& action : actions) {
      TRY_ASSIGN(const auto held, impl.store.find(table->id, action.key));
      if (!held || held->version != action.version || !held->seq) continue;
      ++acted;
      if (mutated(Mutation::repair_not_published)) continue;
      TRY(impl.note_spoken_of(*table, action.key));
      if (action.op == RepairOp::republish) {
        TRY_ASSIGN(Statement* const mark, impl.store.statement(sql::kUnacknowledge));
        mark->bind(1, table->id).bind_blob(2, action.key);
        TRY(mark->run());
        continue;
      }
      if (!stamp) stamp = Version{impl.state.clock.tick(impl.env.now(), impl.env.now()), impl.self};
      if (action.op == RepairOp::restamp) {
        TRY(impl.store.put(table->id, action.key, true, *stamp, std::nullopt, held->hash, held->state));
        if (held->shelved()) raised.push_back(action.key);
      } else {
        TRY_IN("remove " + describe_key(action.key), impl.remove_pruned(*table, action.key, *held, *stamp));
      }
    }
    Settle settle(impl, *table);
    for (const std::string& key : raised) {
      TRY_ASSIGN(const auto now, impl.store.find(table->id, key));
      settle.shelved(key, *now);
    }
    if (!raised.empty()) TRY(settle.run());
    TRY(impl.settle_freed());
    if (acted > 0) impl.state.start_outbox();
    return ok();
  }));
  *done = acted;
  return result;
}

}  // namespace marmot::replica
