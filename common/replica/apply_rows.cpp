// The rows of one unit for one table: which win, and how they are written (docs/design.md, "Apply").
#include <algorithm>

#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/shelf.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// A row of a unit that is newer than what stands here.
struct Winner {
  const UnitRow* row = nullptr;
  Version version;
  uint64_t hash = 0;
  std::optional<Register> before;
  bool was_visible = false;
  bool same_content = false;  // visible, and only the version moves
};

// The rows of one unit for one table, decided and written.
class TableApply {
 public:
  TableApply(Replica::Impl& impl, const Unit& unit, Table& table, std::vector<SentColumn> map, StreamSeq seq, ApplyResult& result)
      : impl_(impl), unit_(unit), table_(table), map_(std::move(map)), seq_(seq), result_(result) {}

  Status run(const std::vector<const UnitRow*>& rows) {
    for (const UnitRow* row : rows) TRY(decide(*row));
    if (winners_.empty()) return ok();
    table_.id_use.touched = true;
    for (const Winner& winner : winners_) impl_.note_applied_id(table_, *winner.row, winner.version);
    // In place first: rows that keep their key are updated. Where a unique index is in the way, or a row comes from the
    // shelf, who is visible has to be settled.
    Status written = shelf_touched_ ? Status(make_error(Errc::constraint, "")) : in_savepoint([&] { return write_in_place(); });
    if (!written && written.error().code == Errc::constraint) written = in_savepoint([&] { return write_settled(); });
    TRY(written);
    return impl_.settle_freed();
  }

 private:
  // The last message that touched the row.
  std::optional<StreamSeq> seq_of(const UnitRow& row) const {
    if (row.seq == kNotInStream) return std::nullopt;
    return row.seq != 0 ? row.seq : seq_;
  }

  // As the table will hold them.
  void values_of(const UnitRow& row, std::vector<ValueView>& out) {
    out.clear();
    for (size_t i = 0; i < map_.size(); ++i) {
      const bool unfilled = map_[i].at < 0 && mutated(Mutation::default_not_filled);
      out.push_back(unfilled ? ValueView() : table_.value_for(i, map_[i], &unit_.values[row.first_value], impl_.coercer, coerced_));
    }
  }

  Status decide(const UnitRow& row) {
    const Version& version = unit_.versions[row.version];
    TRY_ASSIGN(auto local, impl_.store.find(table_.id, row.key));
    TRY(impl_.recall(table_, row.key, version, local));
    Winner winner{&row, version};
    if (row.op != Op::remove) {
      values_of(row, values_);
      winner.hash = table_.hash(values_);
    }
    if (!local && row.op != Op::remove) TRY(match_baseline_row(row, winner.hash, local));
    // A former life of this agent said so, before the file was put back, and the application has changed the row since: its change needs a version.
    if (impl_.touched_since(table_, row.key, local, version)) {
      Register here = local.value_or(Register{});
      here.version = version;
      return impl_.send_again(table_, row.key, local.has_value(), here, here.hash);
    }
    if (local && impl_.pruned(*local)) {  // as on the nodes that have deleted it already
      winner.before = *local;
      winners_.push_back(winner);
      return ok();
    }
    if (local) {
      if (both_inserted(row, version, *local, winner.hash)) TRY(keep_both_inserted(row, version, *local));
      const bool overwrites = mutated(Mutation::snapshot_overwrites) && impl_.merging != nullptr;
      const bool stale = mutated(Mutation::version_check) || overwrites ? version == local->version
                         : mutated(Mutation::node_tie_break) ? version.hlc < local->version.hlc || version == local->version
                                                             : version <= local->version;
      if (stale) {
        // A snapshot that has got less than the stream had told this file: what told it was cut off with the stream's end,
        // and retention hides where. It is sent again.
        if (impl_.merging && local->seq && version != local->version) return impl_.store.unmark(table_.id, row.key);
        // Ours and unacknowledged stays so until its own message comes round.
        // What a floor had refused is older than what has come since: the register stays where its own message put it, as on its sender's file.
        if (const auto seq = seq_of(row); seq && !impl_.applying_refused && (local->seq || version == local->version)) {
          TRY(impl_.store.mark(table_.id, row.key, *seq));
        }
        if (!local->seq && version != local->version) {
          TRY(impl_.note_spoken_of(table_, row.key));
          impl_.overruled = impl_.overruled || impl_.waits_misdated(local->version, false);
        }
        if (local->shelved()) impl_.state.retire_due = true;
        return ok();
      }
      winner.before = *local;
      winner.was_visible = local->visible();
      winner.same_content = local->visible() && row.op != Op::remove && local->hash == winner.hash;
      if (winner.same_content) {
        TRY_ASSIGN(winner.same_content, same_here(row, winner.hash));
      }
      shelf_touched_ = shelf_touched_ || local->shelved();
    }
    winners_.push_back(winner);
    return ok();
  }

  // The row's bytes are those in values_: of two rows of one hash, `verify --repair` sends one under a new version (decision 0027). A row
  // that is not what its register says is left to the scrub.
  Result<bool> same_here(const UnitRow& row, uint64_t hash) {
    std::vector<ValueView> here;
    TRY_ASSIGN(const bool there, table_.read(row.key, here));
    const bool as_kept = there && table_.hash(here) == hash;
    const bool same = !as_kept || std::equal(here.begin(), here.end(), values_.begin(), values_.end(), same_value);
    table_.release();
    return same;
  }

  // Files copied from one another hold the same keyless rows, mostly under the same rowids: when such a row, not yet
  // replicated, equals the one that arrives, it is that row.
  Status match_baseline_row(const UnitRow& row, uint64_t hash, std::optional<Register>& local) {
    TRY_ASSIGN(const DecodedKey key, decode_key(row.key));
    if (!key.is_rowid) return ok();
    TRY_ASSIGN(std::string own, table_.key_at(key.rowid.rowid));
    if (own == row.key) return ok();
    TRY_ASSIGN(auto baseline, impl_.store.find(table_.id, own));
    const auto is_twin = [&] { return baseline && baseline->live() && baseline->origin_id == 0 && baseline->hash == hash; };
    while (!is_twin() && impl_.state.membership != Membership::member) {
      TRY_ASSIGN(own, impl_.take_brought_along(table_, hash));
      if (own.empty()) return ok();
      TRY_ASSIGN(baseline, impl_.store.find(table_.id, own));
    }
    if (!is_twin()) return ok();
    TRY_ASSIGN(const auto here, table_.rowid_to_keep(own));
    if (!here) return ok();
    TRY(table_.forget_rowid(own));
    TRY(table_.adopt_rowid(row.key, *here));
    TRY(impl_.store.remove(table_.id, own));
    TRY(impl_.drop_unique(table_, own));
    TRY(impl_.store.put(table_.id, row.key, false, Version{}, std::nullopt, hash, RowState::live));
    local = baseline;
    return ok();
  }

  // What was inserted here and never acknowledged, or came as another node's. Ours without a sequence that is no insert has
  // been in a stream that was lost; and a keyless row's name says in which one file it was inserted, unless it is a former key.
  static bool both_inserted(const UnitRow& row, const Version& version, const Register& local, uint64_t hash) {
    if (row.op != Op::insert || !local.live() || local.origin_id == 0 || local.hash == hash) return false;
    if (local.version.origin.node == version.origin.node || (!local.seq && !is_inserted(local.state))) return false;
    const auto key = decode_key(row.key);
    return key && (!key->is_rowid || key->rowid.life == kFormerKey);
  }

  // Two applications took the same id: the loser is kept in full.
  Status keep_both_inserted(const UnitRow& row, const Version& incoming, const Register& local) {
    std::vector<ValueView> here, arrived;
    std::string storage;
    TRY_ASSIGN(const bool there, impl_.read_row(table_, row.key, local, here, storage));
    if (!there) return ok();
    values_of(row, arrived);
    const bool incoming_wins = incoming > local.version;
    Conflict conflict;
    conflict.kind = "insert";
    conflict.table = table_.info.name;
    conflict.key = row.key;
    conflict.winner = incoming_wins ? incoming : local.version;
    conflict.loser = incoming_wins ? local.version : incoming;
    conflict.winner_row = impl_.json_of(table_, incoming_wins ? arrived : here);
    conflict.loser_row = impl_.json_of(table_, incoming_wins ? here : arrived);
    table_.release();
    return impl_.keep_conflict(conflict);
  }

  template <class Body>
  Status in_savepoint(Body&& body) {
    TRY(impl_.db.exec("SAVEPOINT __marmot_apply"));
    const int64_t shelved = impl_.state.shelved, conflicts = impl_.state.conflicts;
    const auto lost_lately = impl_.state.lost_lately;
    Status done = body();
    if (!done && !impl_.db.in_transaction()) return ended(std::move(done).error());
    if (!done) {
      TRY(impl_.db.exec("ROLLBACK TO __marmot_apply"));
      impl_.state.shelved = shelved;
      impl_.state.conflicts = conflicts;
      impl_.state.lost_lately = lost_lately;
      impl_.freed.erase(table_.id);
      impl_.store.forget();
    }
    TRY(impl_.db.exec("RELEASE __marmot_apply"));
    return done;
  }

  // SQLite itself rolled everything back: the disk is full, or a virtual table could not even take back what it had begun, in
  // which case the words are those of what it began.
  static Error ended(Error error) {
    if (error.code == Errc::constraint || error.code == Errc::schema) return make_error(Errc::corrupt, std::move(error.message), SQLITE_CORRUPT_VTAB);
    return error;
  }

  Error failed(const UnitRow& row, Error error) const {
    return std::move(error).in(std::string(op_name(row.op)) + " " + table_.info.name + " " + describe_key(row.key));
  }

  Status remove(const UnitRow& row) {
    if (auto done = table_.remove(row.key); !done) return failed(row, std::move(done).error());
    return table_.forget_rowid(row.key);  // at once: the next insert may be given its rowid
  }

  Status insert(const UnitRow& row) {
    values_of(row, values_);
    if (auto done = table_.insert(row.key, values_, std::nullopt); !done) return failed(row, std::move(done).error());
    return ok();
  }

  Status write_in_place() {
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove && winner.was_visible) TRY(remove(*winner.row));
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove || !winner.was_visible || winner.same_content) continue;
      values_of(*winner.row, values_);
      const auto there = table_.update(winner.row->key, values_);
      if (!there) return failed(*winner.row, there.error());
      if (!*there) TRY(insert(*winner.row));  // REPLACE took it away unseen, and did not know of this change
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op != Op::remove && !winner.was_visible) TRY(insert(*winner.row));
    }
    for (const Winner& winner : winners_) {
      TRY(keep_version(winner));
      if (winner.row->op == Op::remove) TRY(impl_.drop_unique(table_, winner.row->key));
      else TRY(impl_.keep_unique(table_, winner.row->key));
    }
    return ok();
  }

  // All changing rows out, then in again as the rule has it (shelf.hpp).
  Status write_settled() {
    Settle settle(impl_, table_);
    for (const Winner& winner : winners_) {
      if (!winner.before || winner.same_content) continue;
      // An update knew the row; a delete or an insert of its key may not have seen what waits here.
      if (winner.before->shelved() && winner.row->op != Op::update && winner.before->hash != winner.hash) {
        TRY(impl_.keep_shelved_row(table_, winner.row->key, *winner.before, "", nullptr, "", ""));
      }
      TRY(settle.take_out(winner.row->key, *winner.before));
      if (winner.row->op == Op::remove) TRY(table_.forget_rowid(winner.row->key));
    }
    for (const Winner& winner : winners_) {
      TRY(keep_version(winner));
      if (winner.row->op == Op::remove || winner.same_content) continue;
      settle.put_in(winner.row->key, winner.version, RowState::live,
                    [this, row = winner.row](std::vector<ValueView>& values) { values_of(*row, values); });
    }
    return settle.run();
  }

  Status keep_version(const Winner& winner) {
    const UnitRow& row = *winner.row;
    TRY(impl_.store.put(table_.id, row.key, winner.before.has_value(), winner.version, seq_of(row), winner.hash,
                        row.op != Op::remove ? RowState::live : RowState::dead));
    if (!mutated(Mutation::hlc_not_raised)) impl_.state.clock.observe(winner.version.hlc);
    ++result_.rows_changed;
    if (impl_.tracing) {
      result_.changes.push_back(Change{true, table_.info.name, row.op, describe_key(row.key), winner.version, seq_});
    }
    return ok();
  }

  Replica::Impl& impl_;
  const Unit& unit_;
  Table& table_;
  std::vector<SentColumn> map_;
  StreamSeq seq_;
  ApplyResult& result_;
  std::vector<Winner> winners_;
  bool shelf_touched_ = false;  // one of them is on the shelf
  std::vector<ValueView> values_;
  std::deque<std::string> coerced_;
};

}  // namespace

void Replica::Impl::forget_brought_along() {
  brought_along.clear();
  given_out.clear();
}

Result<std::string> Replica::Impl::take_brought_along(const Table& table, uint64_t hash) {
  const auto [rows, made] = brought_along.try_emplace(table.id);
  if (made) {
    brought_along_made = true;
    TRY_ASSIGN(Statement* const select, store.statement(sql::kBroughtAlong));
    select->bind(1, table.id);
    for (;;) {
      TRY_ASSIGN(const bool more, select->step());
      if (!more) break;
      TRY_ASSIGN(const DecodedKey key, decode_key(select->blob(0)));
      if (key.is_rowid) rows->second.emplace(static_cast<uint64_t>(select->integer(1)), key.rowid);
    }
  }
  const auto found = rows->second.find(hash);
  if (found == rows->second.end()) return std::string();
  std::string key;
  append_rowid_part(key, found->second.life, found->second.rowid);
  given_out.emplace_back(table.id, *found);
  rows->second.erase(found);
  return key;
}

Status Replica::Impl::apply_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, Table& table,
                                 std::vector<SentColumn> map, StreamSeq seq, ApplyResult& result) {
  return TableApply(*this, unit, table, std::move(map), seq, result).run(rows);
}

}  // namespace marmot::replica
