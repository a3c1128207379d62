// The rows of one unit for one table: which win, and how they are written (DESIGN "Apply").
#include "common/replica/engine.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// A row of a unit that is newer than what stands here.
struct Winner {
  const UnitRow* row = nullptr;
  Version version;
  uint64_t hash = 0;
  bool had_register = false;
  bool was_live = false;
  bool same_content = false;  // only the version moves
};

// The rows of one unit for one table, decided and written.
class TableApply {
 public:
  TableApply(Replica::Impl& impl, const Unit& unit, Table& table, std::vector<int> map, StreamSeq seq, ApplyResult& result)
      : impl_(impl), unit_(unit), table_(table), map_(std::move(map)), seq_(seq), result_(result) {}

  Status run(const std::vector<const UnitRow*>& rows) {
    for (const UnitRow* row : rows) TRY(decide(*row));
    if (winners_.empty()) return ok();
    // In place first: rows that keep their key are updated. A unique index in the way (a value swap) needs every changing
    // row taken out before any is put in.
    Status written = in_savepoint([&] { return write_in_place(); });
    if (!written && (written.error().detail & 0xff) == SQLITE_CONSTRAINT && !table_.info.unique.empty()) {
      written = in_savepoint([&] { return take_out_and_put_in(); });
    }
    TRY(written);
    for (const Winner& winner : winners_) TRY(keep_version(winner));
    return ok();
  }

 private:
  void values_of(const UnitRow& row, std::vector<ValueView>& out) const {
    out.clear();
    for (const int column : map_) out.push_back(unit_.values[row.first_value + static_cast<size_t>(column)]);
  }

  Status decide(const UnitRow& row) {
    const Version& version = unit_.versions[row.version];
    TRY_ASSIGN(auto local, impl_.store.find(table_.id, row.key));
    Winner winner{&row, version};
    if (row.op != Op::remove) {
      values_of(row, values_);
      winner.hash = table_.hash(values_);
    }
    if (!local && row.op != Op::remove) TRY(match_baseline_row(row, winner.hash, local));
    if (local) {
      const bool both_insert = row.op == Op::insert && local->live() && local->origin_id != 0 &&
                               local->version.origin.node != version.origin.node && local->hash != winner.hash;
      if (both_insert) TRY(keep_conflict(row, version, *local));
      if (version <= local->version) {
        // Ours and unacknowledged stays so until its own message comes round.
        if (local->seq || version == local->version) TRY(impl_.store.mark(table_.id, row.key, seq_));
        return ok();
      }
      winner.had_register = true;
      winner.was_live = local->live();
      winner.same_content = local->live() && row.op != Op::remove && local->hash == winner.hash;
    }
    winners_.push_back(winner);
    return ok();
  }

  // Files copied from one another hold the same keyless rows under the same rowids: when such a row, not yet replicated,
  // equals the one that arrives, it is that row.
  Status match_baseline_row(const UnitRow& row, uint64_t hash, std::optional<Register>& local) {
    TRY_ASSIGN(const DecodedKey key, decode_key(row.key));
    if (!key.is_rowid || key.rowid.origin == impl_.self.node) return ok();
    std::string own;
    append_rowid_part(own, impl_.self.node, key.rowid.rowid);
    TRY_ASSIGN(const auto baseline, impl_.store.find(table_.id, own));
    if (!baseline || !baseline->live() || baseline->origin_id != 0 || baseline->hash != hash) return ok();
    TRY_ASSIGN(const auto here, table_.rowid_to_keep(own));
    if (!here) return ok();
    TRY(table_.forget_rowid(own));
    TRY(table_.adopt_rowid(row.key, *here));
    TRY_ASSIGN(Statement* const remove, impl_.store.statement(sql::kDeleteVersion));
    remove->bind(1, table_.id).bind_blob(2, own);
    TRY(remove->run());
    TRY(impl_.drop_unique(table_, own));
    TRY(impl_.store.put(table_.id, row.key, false, Version{}, std::nullopt, hash, RowState::live));
    local = baseline;
    return ok();
  }

  // Two applications took the same id: the loser is kept in full.
  Status keep_conflict(const UnitRow& row, const Version& incoming, const Register& local) {
    const bool incoming_wins = incoming > local.version;
    std::vector<ValueView> loser;
    if (incoming_wins) {
      TRY_ASSIGN(const bool there, table_.read(row.key, loser));
      if (!there) return ok();
    } else {
      values_of(row, loser);
    }
    std::string json = "{";
    for (size_t i = 0; i < loser.size(); ++i) {
      TRY_ASSIGN(Statement* const member, impl_.store.statement(sql::kJsonMember));
      const std::string& name = table_.info.columns[static_cast<size_t>(table_.stored()[i])].name;
      member->bind(1, name).bind(2, loser[i]);
      TRY_ASSIGN(const bool made, member->step());
      if (made) json += (i == 0 ? "" : ", ") + std::string(member->text(0));
      member->reset();
    }
    json += "}";
    const Version& winner = incoming_wins ? incoming : local.version;
    const Version& lost = incoming_wins ? local.version : incoming;
    TRY_ASSIGN(Statement* const insert, impl_.store.statement(sql::kConflict));
    insert->bind(1, impl_.env.now()).bind(2, table_.info.name).bind_blob(3, row.key);
    int at = 4;
    for (const Version* version : {&winner, &lost}) {
      insert->bind(at++, static_cast<int64_t>(version->hlc.value));
      insert->bind(at++, static_cast<int64_t>(version->origin.node.value));
      insert->bind(at++, static_cast<int64_t>(version->origin.incarnation.value));
    }
    insert->bind(at, json);
    TRY(insert->run());
    if (sqlite3_changes(impl_.db.get()) > 0) {
      impl_.log(LogLevel::warn, "conflict: two nodes inserted " + table_.info.name + " " + describe_key(row.key) + "; node " +
                                    std::to_string(winner.origin.node.value) + " wins, the other row is in marmot_conflicts");
    }
    return ok();
  }

  template <class Body>
  Status in_savepoint(Body&& body) {
    TRY(impl_.db.exec("SAVEPOINT __marmot_apply"));
    Status done = body();
    if (!done && !impl_.db.in_transaction()) return done;  // SQLite itself rolled everything back (disk full)
    if (!done) TRY(impl_.db.exec("ROLLBACK TO __marmot_apply"));
    TRY(impl_.db.exec("RELEASE __marmot_apply"));
    return done;
  }

  Error failed(const UnitRow& row, Error error) const {
    return std::move(error).in(std::string(op_name(row.op)) + " " + table_.info.name + " " + describe_key(row.key));
  }

  Status remove(const UnitRow& row) {
    if (auto done = table_.remove(row.key); !done) return failed(row, std::move(done).error());
    // At once: the next insert may be given its rowid.
    return row.op == Op::remove ? table_.forget_rowid(row.key) : ok();
  }

  Status insert(const UnitRow& row, std::optional<int64_t> rowid) {
    values_of(row, values_);
    if (auto done = table_.insert(row.key, values_, rowid); !done) return failed(row, std::move(done).error());
    return ok();
  }

  Status write_in_place() {
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove && winner.was_live) TRY(remove(*winner.row));
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op == Op::remove || !winner.was_live || winner.same_content) continue;
      values_of(*winner.row, values_);
      if (auto done = table_.update(winner.row->key, values_); !done) return failed(*winner.row, std::move(done).error());
    }
    for (const Winner& winner : winners_) {
      if (winner.row->op != Op::remove && !winner.was_live) TRY(insert(*winner.row, std::nullopt));
    }
    return ok();
  }

  Status take_out_and_put_in() {
    std::vector<std::optional<int64_t>> rowids(winners_.size());
    for (size_t i = 0; i < winners_.size(); ++i) {
      if (!winners_[i].was_live || winners_[i].same_content) continue;
      TRY_ASSIGN(rowids[i], table_.rowid_to_keep(winners_[i].row->key));
      TRY(remove(*winners_[i].row));
    }
    // Rows that go back under their rowid first: SQLite may choose that very rowid for a new one.
    for (const bool back : {true, false}) {
      for (size_t i = 0; i < winners_.size(); ++i) {
        const Winner& winner = winners_[i];
        if (winner.row->op == Op::remove || winner.same_content || rowids[i].has_value() != back) continue;
        TRY(insert(*winner.row, rowids[i]));
      }
    }
    return ok();
  }

  Status keep_version(const Winner& winner) {
    const UnitRow& row = *winner.row;
    const bool live = row.op != Op::remove;
    TRY(impl_.store.put(table_.id, row.key, winner.had_register, winner.version, seq_, winner.hash,
                         live ? RowState::live : RowState::dead));
    impl_.state.clock.observe(winner.version.hlc);
    const std::string key(row.key);
    if (live) {
      TRY(impl_.keep_unique(table_, key));
    } else {
      TRY(impl_.drop_unique(table_, key));
    }
    ++result_.rows_changed;
    if (impl_.tracing) {
      result_.changes.push_back(Change{true, table_.info.name, row.op, describe_key(row.key), winner.version, seq_});
    }
    return ok();
  }

  Replica::Impl& impl_;
  const Unit& unit_;
  Table& table_;
  std::vector<int> map_;
  StreamSeq seq_;
  ApplyResult& result_;
  std::vector<Winner> winners_;
  std::vector<ValueView> values_;
};

}  // namespace

Status Replica::Impl::apply_rows(const Unit& unit, const std::vector<const UnitRow*>& rows, Table& table,
                                 std::vector<int> map, StreamSeq seq, ApplyResult& result) {
  return TableApply(*this, unit, table, std::move(map), seq, result).run(rows);
}

}  // namespace marmot::replica
