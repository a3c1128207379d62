// Ids that never collide (docs/decisions/0037-ids-that-never-collide.md). SQLite gives a row of an AUTOINCREMENT table the id
// max(sqlite_sequence.seq, highest rowid) + 1. So that number is moved to the start of a block of this node's own, in the transaction in
// which a higher id has come, or half of the block before it was used up: every id that this file hands out then lies in
// such a block, through whatever driver, and whether or not the agent runs.
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/merge.hpp"
#include "common/replica/pace.hpp"
#include "common/replica/snapshot.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// How far a file goes ahead that was rolled back, or put back: what it gave out since, it does not know. One copy can be put back twice: how far moves with
// the time at which the file is opened, faster than rounds are used up.
constexpr int64_t kFewestRoundsLost = 64, kMostRoundsLost = 1024;
constexpr WallMs kRoundLasts = 16;
constexpr int64_t kLoneBlock = 4;          // in place of a round where one node is alone
constexpr int64_t kUnsaidParts = 64;       // of a round that nobody has said anything of: those are large
constexpr WallMs kSecond = 1000;
constexpr uint64_t kClaimsInTurn = 3;      // one behind the other
constexpr uint64_t kMostUnheardClaims = 16;
constexpr int64_t kRoundsOfReach = 2;  // that an owner may be ahead of what is known of its ids when its slot is retired

std::optional<int64_t> id_of_key(std::string_view key) {
  const auto decoded = decode_key(key);
  if (!decoded || decoded->parts.size() != 1 || decoded->parts[0].type != ValueType::integer) return std::nullopt;
  return decoded->parts[0].integer;
}

}  // namespace

// An agent that is held up for a moment finds more given out than it did before.
void Replica::Impl::count_second(Table& table) {
  const Table::IdUse& use = table.id_use;
  Table::IdUse::Pace& pace = table.id_use.pace;
  paces_before.emplace_back(table.id, pace);
  const WallMs passed = env.now() - pace.second_at;
  pace.largest = std::max(pace.largest, use.given);
  pace.this_second += use.given;
  if (passed >= 0 && passed < kSecond) return;
  pace.a_second = passed < 0 || pace.second_at == 0 ? 0 : pace.this_second * kSecond / passed;
  pace.second_at = env.now();
  pace.this_second = passed < 0 || passed > 2 * kSecond ? use.given : 0;  // a burst begins
}

// At the pace of this second, as far as it has come, or of the one before.
int64_t Table::IdUse::Pace::in_quarter_second(WallMs now) const {
  constexpr WallMs kQuarter = kSecond / 4;
  return std::max(a_second / 4, this_second * kQuarter / std::max(kQuarter, now - second_at));
}

bool Replica::Impl::deals_ids() const { return settings.ids.mode != IdMode::off; }
bool Replica::Impl::says_ids() const { return deals_ids() && !settings.ids.held && state.ids_due && state.ids_unit == 0; }

bool Replica::Impl::was_here(NodeId node) const {
  return node == self.node || std::find(former_nodes.begin(), former_nodes.end(), node) != former_nodes.end();
}

// Asked for each row that is inserted: found out once for what is known of slots.
const Replica::Impl::SlotsHere& Replica::Impl::slots_here() {
  if (slots_known.of == dealt.changes()) return slots_known;
  slots_known = {dealt.changes(), dealt.slot_of(self.node), 0};
  for (auto node = former_nodes.begin(); !slots_known.slot && node != former_nodes.end(); ++node) slots_known.slot = dealt.slot_of(*node);
  for (const auto& one : dealt.slots()) {
    const bool other = !one.second.fact.retired && !was_here(one.second.fact.owner);
    if (other) ++slots_known.others;
  }
  if (mutated(Mutation::slot_taken_twice)) slots_known.slot = 0;
  return slots_known;
}

const IdGeometry& Replica::Impl::geometry_of(Table& table) {
  Table::IdUse& known = table.id_use;
  if (known.geometry_of == dealt.changes()) return known.geometry;
  known.geometry = IdGeometry{};
  const GeometryFact* best = nullptr;
  for (const auto& [id, entry] : dealt.geometries()) {
    const bool its = table.permanent_id && registers.root_of(id) == registers.root_of(*table.permanent_id);
    if (its && (best == nullptr || stands_before(entry.fact, *best))) best = &entry.fact;
  }
  if (best != nullptr) known.geometry = best->geometry;
  known.geometry_of = dealt.changes();
  return known.geometry;
}

// The next id that SQLite gives out is one more, where there is one.
Result<int64_t> Replica::Impl::highest_id(Table& table) {
  TRY_ASSIGN(Statement* const seq, store.statement(sql::kNextIdAfter));
  seq->bind(1, table.info.name);
  TRY_ASSIGN(const bool any, seq->step());
  table.id_use.listed = any;
  const int64_t moved = any ? seq->integer(0) : 0;
  seq->reset();
  TRY_ASSIGN(const int64_t highest, table.highest_rowid());
  return std::clamp(std::max(moved, highest), int64_t{0}, INT64_MAX - 1);
}

Status Replica::Impl::move_next_id(Table& table, int64_t first) {
  if (mutated(Mutation::ids_moved_apart)) TRY(db.exec("COMMIT; BEGIN IMMEDIATE"));
  TRY_ASSIGN(Statement* const move, store.statement(table.id_use.listed ? sql::kMoveNextId : sql::kMakeNextId));
  move->bind(1, table.info.name).bind(2, first - 1);
  return move->run();
}

IdDemand Replica::Impl::id_demand(Table& table, int slot, int64_t highest, int64_t given) {
  IdDemand out;
  out.slot = slot;
  out.highest_slot = dealt.highest_granted();
  out.highest_id = highest;
  // The first deal that is said takes over from one of large blocks.
  const Table::IdUse::Pace& pace = table.id_use.pace;
  out.used = std::max({given, pace.in_quarter_second(env.now()), geometry_of(table).number == 0 ? pace.largest : 0});
  out.now = env.now();
  out.busy_at = table.id_use.busy_at;
  out.extended = settings.ids.mode == IdMode::extended;
  const std::vector<std::string>& narrow = settings.ids.narrow;
  out.narrow = std::any_of(narrow.begin(), narrow.end(), [&](const std::string& name) { return fold_name(name) == fold_name(table.info.name); });
  return out;
}

// What this file gave out since the last drain. An application may have chosen ids itself.
void Replica::Impl::note_id(Table& table, std::string_view key) {
  if (!deals_ids()) return;
  const auto id = id_of_key(key);
  if (!id) return;
  Table::IdUse& its = table.id_use;
  ++its.given;
  if (!table.counts_ids()) return;
  ++state.ids_given;
  const SlotsHere& here = slots_here();
  if (here.others > 0 && (!here.slot || slot_of(geometry_of(table), *id) != here.slot)) ++state.ids_outside;
}

// An id that is in no block of its writer was dealt by another geometry than the one that stands here: its writer jumped ahead, and has not
// heard of this one. It goes on behind that id, whoever's block that is here. An id that a former life of this file gave out was in its block.
void Replica::Impl::note_applied_id(Table& table, const UnitRow& row, const Version& version) {
  if (!deals_ids() || !table.counts_ids() || row.op == Op::remove || version.origin == self) return;
  Table::IdUse& its = table.id_use;
  const int64_t id = id_of_key(row.key).value_or(0);
  its.came = std::max(its.came, id);
  if (was_here(version.origin.node)) its.of_former_life = true;
  else if (id > its.stray && slot_of(geometry_of(table), id) != dealt.slot_of(version.origin.node)) its.stray = id;
}

// Before the end of each transaction: the next id of every table that this transaction touched lies in a block of ours.
Status Replica::Impl::settle_ids() {
  if (!deals_ids()) return ok();
  for (const auto& table : tables) {
    if (!table->id_use.touched) continue;
    count_second(*table);
    if (table->counts_ids()) TRY(settle_ids_of(*table));
    table->id_use.forget_transaction();
    table->id_use.touched = false;
  }
  // What was given out since is known again where the stream ended when it was entered.
  const bool known = opened && state.membership == Membership::member && follows_to != 0 && state.position.seq >= follows_to;
  if (known && slots_here().slot) state.ids_lost = false;
  const bool waits = state.ids_unit != 0 || state.membership != Membership::member || state.no_slot_of == dealt.changes();
  if (!waits && (!dealt.slot_of(self.node) || !slots_to_retire().empty())) state.ids_due = true;
  return ok();
}

// How far beyond what it holds this file goes on, because it gave out ids of which it does not know any more.
int64_t Replica::Impl::ids_ahead(const IdGeometry& geometry, int64_t highest) {
  if (mutated(Mutation::ids_not_ahead)) return 0;
  const int64_t rounds = kFewestRoundsLost + opened_at / kRoundLasts % (kMostRoundsLost - kFewestRoundsLost);
  const int64_t dealt_round = geometry.number == 0 ? geometry.round() / kUnsaidParts : geometry.round();
  const int64_t ahead = rounds * (slots_here().others == 0 ? kLoneBlock : dealt_round);
  return highest < INT64_MAX - ahead ? ahead : 0;
}

Status Replica::Impl::settle_ids_of(Table& table) {
  Table::IdUse& its = table.id_use;
  const auto slot = slots_here().slot;
  const bool alone = slots_here().others == 0;
  const int64_t given = its.given;
  if (!slot) return ok();
  const IdGeometry& geometry = geometry_of(table);
  TRY_ASSIGN(const int64_t highest, highest_id(table));
  TRY(sample_pace(db, table.id, highest, env.now(), its.sampled_at));
  // What a former life sent last can come at any time, also after this file has read all that the stream held when it was entered: the ids
  // right behind it may be on their way too.
  const bool overtaken = its.of_former_life && its.came >= highest;
  const int64_t ahead = state.ids_lost || overtaken ? ids_ahead(geometry, highest) : 0;
  const bool leaves = ahead != 0 && (!opened || overtaken);  // the block that it is in
  if (alone) return leaves ? move_next_id(table, highest + ahead + 1) : ok();
  if (std::max(given, its.pace.in_quarter_second(env.now())) * 8 > geometry.block) its.busy_at = env.now();
  its.wanted = dealt.slot_of(self.node) ? better_geometry(geometry, id_demand(table, *slot, highest, given)) : std::nullopt;
  if (its.wanted) state.ids_due = true;
  if (its.wanted && mutated(Mutation::geometry_unapplied)) {
    const auto at_once = next_block(*its.wanted, *slot, highest, INT64_MAX);
    return at_once ? move_next_id(table, *at_once) : ok();
  }
  const bool beside_stray = its.stray == highest && highest > 0;
  const int64_t left = beside_stray ? 0 : left_in_block(geometry, *slot, highest + 1);
  if (!leaves && left * 2 > geometry.block) return ok();
  const bool far = settings.ids.mode == IdMode::extended || highest > kMaxCompactId;
  const int64_t skipped = std::max(ahead, beside_stray ? std::min(geometry.block, INT64_MAX - highest) : 0);
  const int64_t above = std::max(highest, ahead == 0 ? 0 : geometry.from) + skipped;
  const auto start = next_block(geometry, *slot, above, far ? INT64_MAX : kMaxCompactId);
  if (!start || mutated(Mutation::ids_stay)) return ok();
  return move_next_id(table, *start);
}

// Slots of this file's former lives, which no other file goes on with (node/former_ids.hpp), and those that an operator names.
std::vector<SlotFact> Replica::Impl::slots_to_retire() const {
  std::vector<SlotFact> out;
  for (const auto& one : dealt.slots()) {
    const SlotFact& fact = one.second.fact;
    if (fact.retired || fact.owner == self.node) continue;
    if (was_here(fact.owner) || state.retire.count(fact.slot) != 0) out.push_back(fact);
  }
  return out;
}

// Is nothing that the former owner of a retired slot may have given out above what is here by now?
Result<bool> Replica::Impl::reach_is_passed(int slot) {
  if (mutated(Mutation::retired_slot_at_once)) return true;
  TRY_ASSIGN(Statement* const select, store.statement(sql::kSelectReach));
  select->bind(1, int64_t{slot});
  std::map<Version, int64_t> reach;
  for (;;) {
    TRY_ASSIGN(const bool more, select->step());
    if (!more) break;
    reach[registers.root_of(unspell_version(select->text(0)))] = select->integer(1);
  }
  for (const auto& table : tables) {
    if (!table->counts_ids() || !table->permanent_id) continue;
    const auto its = reach.find(registers.root_of(*table->permanent_id));
    if (its == reach.end()) continue;
    TRY_ASSIGN(const int64_t highest, highest_id(*table));
    if (highest <= its->second) return false;
  }
  return true;
}

Status Replica::Impl::note_reach(int slot) {
  for (const auto& table : tables) {
    if (!table->counts_ids() || !table->permanent_id) continue;
    TRY_ASSIGN(const int64_t highest, highest_id(*table));
    const int64_t ahead = kRoundsOfReach * geometry_of(*table).round();
    const std::string id = spell_version(*table->permanent_id);
    TRY_ASSIGN(Statement* const put, store.statement(sql::kPutReach));
    put->bind(1, int64_t{slot}).bind(2, id).bind(3, highest > INT64_MAX - ahead ? INT64_MAX : highest + ahead);
    TRY(put->run());
  }
  return ok();
}

// The lowest free slot. Whoever has lost several claims passes over some, so that many nodes which come at once do not all want one, and
// so does whoever lacks messages of the stream: each can have been the claim of a slot that seems free.
Result<std::optional<SlotFact>> Replica::Impl::free_slot() {
  uint64_t pass = state.claims_lost < kClaimsInTurn ? 0 : self.node.value % state.claims_lost;
  if (gap_open()) pass += std::min(state.gap.last - state.gap.first + 1, kMostUnheardClaims);
  std::optional<SlotFact> last;
  for (int slot = 0; slot < kMaxSlots; ++slot) {
    const auto known = dealt.slots().find(slot);
    SlotFact claim{slot, 1, false, self.node, {}};
    if (known != dealt.slots().end()) {
      if (!known->second.fact.retired) continue;
      TRY_ASSIGN(const bool passed, reach_is_passed(slot));
      if (!passed) continue;
      claim.generation = known->second.fact.generation + 1;
    }
    last = claim;
    if (pass-- == 0) break;
  }
  if (!last) {
    state.no_slot_of = dealt.changes();
    log(LogLevel::error, "all " + std::to_string(kMaxSlots) + " slots of ids are taken: ids that this node gives out may be another node's too; retire "
                         "those of nodes that are gone (`marmot ids retire SLOT`)");
  }
  return last;
}

// What this node has to say of ids, one message at a time.
Status Replica::Impl::publish_ids(UnitStream& out) {
  codec::IdFacts facts = dealt.unsent();
  if (!facts.empty()) {
    tables_dirty = true;
    TRY(dealt.all_sent());
  }
  if (says_ids()) {
    state.ids_due = false;
    std::optional<SlotFact> claim;
    const auto own = dealt.slot_of(self.node);
    if (!own) {
      TRY_ASSIGN(claim, free_slot());
      if (claim) facts.slots.push_back(*claim);
    }
    for (SlotFact former : slots_to_retire()) {
      former.retired = true;
      former.place = {};
      facts.slots.push_back(former);
    }
    TRY(want_geometries(own, claim, facts));
    if (!facts.empty()) state.ids_unit = state.next_unit;
  }
  return facts.empty() ? ok() : out.ids(facts);
}

// Of each table whose ids should be dealt otherwise. With a claim: as if it were won.
Status Replica::Impl::want_geometries(const std::optional<int>& own, const std::optional<SlotFact>& claim, codec::IdFacts& facts) {
  if (!own && !claim) return ok();
  for (const auto& table : tables) {
    if (!table->counts_ids() || !table->permanent_id) continue;
    std::optional<IdGeometry> wanted = std::exchange(table->id_use.wanted, std::nullopt);
    if (claim) {
      TRY_ASSIGN(const int64_t highest, highest_id(*table));
      IdDemand demand = id_demand(*table, claim->slot, highest, 0);
      demand.parts_from_one = slots_here().others == 1;
      wanted = slots_here().others == 0 ? std::nullopt : better_geometry(geometry_of(*table), demand);
    }
    if (!wanted || wanted->number != geometry_of(*table).number + 1) continue;
    facts.geometries.push_back({*table->permanent_id, *wanted, {}});
  }
  return ok();
}

namespace {

// A copy from before its node had a slot hears which one that is: a former life has given out ids of it.
void leave_former_blocks(Replica::Impl& impl) {
  if (!impl.state.ids_lost || !impl.slots_here().slot) return;
  for (const auto& table : impl.tables) table->id_use.go_ahead();
}

}  // namespace

Status Replica::Impl::apply_ids(const codec::IdFacts& facts, const Origin& origin, uint64_t unit, StreamSeq seq) {
  tables_dirty = true;
  const StreamPlace here{state.position.stream_id, seq};
  const bool first = dealt.first_owner() == self.node;
  const uint64_t before = dealt.changes();
  const bool had_slot = slots_here().slot.has_value();
  if (facts.empty()) return ok();  // it was applied where it stood
  const bool own = origin == self && unit >= state.ids_unit;
  for (SlotFact fact : facts.slots) {
    if (fact.place == StreamPlace{}) fact.place = here;
    const auto known = dealt.slots().find(fact.slot);
    const bool granted = known != dealt.slots().end() && !known->second.fact.retired;
    TRY_ASSIGN(const bool changed, dealt.take(fact, seq, first));
    if (changed && fact.retired && granted) TRY(note_reach(fact.slot));
    if (changed && fact.retired) state.retire.erase(fact.slot);
  }
  for (GeometryFact fact : facts.geometries) {
    if (fact.place == StreamPlace{}) fact.place = here;
    TRY(dealt.take(fact, seq, first));
  }
  if (own) {
    state.ids_unit = 0;
    state.claims_lost = dealt.slot_of(self.node) ? 0 : state.claims_lost + 1;
  }
  if (before != dealt.changes()) touch_ids();
  if (!had_slot) leave_former_blocks(*this);
  return ok();
}

// What the snapshot's taker knew.
Status Replica::Impl::merge_ids() {
  IdRegistry theirs(merging->snapshot);
  TRY(theirs.load());
  tables_dirty = true;
  const bool had_slot = slots_here().slot.has_value();
  for (const auto& one : theirs.slots()) TRY(dealt.take(one.second.fact, merging->info.seq, false));
  for (const auto& one : theirs.geometries()) TRY(dealt.take(one.second.fact, merging->info.seq, false));
  touch_ids();
  if (!had_slot) leave_former_blocks(*this);
  return ok();
}

void Replica::Impl::touch_ids() {
  for (const auto& table : tables) table->id_use.touched = true;
}

// The application can set sqlite_sequence back without changing a row.
Result<bool> Replica::Impl::ids_moved_back() {
  const auto slot = slots_here().slot;
  if (!deals_ids() || slots_here().others == 0 || !slot) return false;
  for (const auto& table : tables) {
    if (!table->counts_ids()) continue;
    TRY_ASSIGN(const int64_t highest, highest_id(*table));
    if (left_in_block(geometry_of(*table), *slot, highest + 1) > 0) continue;
    table->id_use.touched = true;
    return true;
  }
  return false;
}

void Replica::hold_ids(bool on) {
  if (std::exchange(impl_->settings.ids.held, on) && !on) impl_->schema_version = -1;  // tables that were adopted meanwhile
}

Status Replica::retire_slot(int slot) {
  Impl& impl = *impl_;
  const auto known = impl.dealt.slots().find(slot);
  if (known == impl.dealt.slots().end() || known->second.fact.retired) {
    return make_error(Errc::not_found, "slot " + std::to_string(slot) + " is not granted to a node: `marmot ids` lists those that are");
  }
  if (known->second.fact.owner == impl.self.node) {
    return make_error(Errc::refused, "slot " + std::to_string(slot) + " is this node's own: retire it on another node, once this one is gone");
  }
  impl.state.retire.insert(slot);
  impl.state.ids_due = true;
  return ok();
}

bool Replica::deals_ids() const { return impl_->deals_ids(); }

bool Replica::ids_ready() const {
  return !impl_->deals_ids() || impl_->dealt.slot_of(impl_->self.node).has_value();
}

}  // namespace marmot::replica
