// Schema messages: registers out, registers in.
#include <algorithm>

#include "common/replica/column_id.hpp"
#include "common/base/mutation.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/local_schema.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// A table of ours that nobody knows yet is the one of that name in the stream: its registers move under that id, except where the stream has its
// own. What the application changed of it since the file joins has a version, and is merged with the stream's by that.
class Adoption {
 public:
  explicit Adoption(Replica::Impl& impl) : impl_(impl), registers_(impl.registers), db_(impl.db) {}

  // `incoming` may name a table of ours that was never sent.
  Status adopt(const SchemaRegister& incoming) {
    if (registers_.knows_table_id(incoming.id)) return ok();  // it has its place here
    for (const TableSpec& spec : registers_.tables()) {
      if (spec.dropped() || fold_name(spec.name) != fold_name(incoming.name)) continue;
      for (const Version& id : spec.ids) {
        const Registers::Entry ours = *registers_.find(SchemaKind::table, id, {});
        const bool brought_along = ours.value.id.empty();  // it gets its id when the file has joined
        if (ours.seq || !brought_along) continue;
        return move(id, incoming);
      }
    }
    return ok();
  }

  // Likewise a column of ours that nobody knows yet is the one that was made under that name in the stream, or has it now, with
  // the values that our rows have in it.
  Status adopt_columns() {
    TRY_ASSIGN(std::vector<LocalTable> tables, read_local_tables(db_));
    for (const SchemaRegister& ours : registers_.all()) {
      if (ours.kind != SchemaKind::column || ours.version != Version{} || ours.dropped) continue;
      const auto same = [&](const SchemaRegister& one) {
        return one.kind == SchemaKind::column && one.version != Version{} && !one.dropped && one.id != ours.id &&
               (same_column_id(one.id, ours.id) || fold_name(one.name) == fold_name(ours.name)) && registers_.root_of(one.table) == registers_.root_of(ours.table);
      };
      const std::vector<SchemaRegister> all = registers_.all();
      const auto known = std::find_if(all.begin(), all.end(), same);
      if (known == all.end()) continue;
      for (LocalTable& table : tables) {
        if (!table.permanent_id || registers_.root_of(*table.permanent_id) != registers_.root_of(ours.table)) continue;
        const auto here = [&](const std::string& id) {
          return std::find_if(table.column_ids.begin(), table.column_ids.end(), [&](const auto& one) { return one.second == id; });
        };
        if (here(ours.id) == table.column_ids.end() || here(known->id) != table.column_ids.end()) continue;
        const Replica::Impl::Refill due{table.id, ours.id, known->id};
        bool allows_null = true;
        TRY(impl_.refill(due, ours.id, &allows_null));
        if (!allows_null) later_.push_back(due);
        here(ours.id)->second = known->id;
        TRY(save_local_table(db_, table));
        TRY(db_.exec("UPDATE __marmot_table SET rehash = 1 WHERE id = " + std::to_string(table.id)));
      }
      TRY(registers_.remove(ours));
    }
    return ok();
  }

  // Where NULL was refused before the column was made as the stream has it.
  Status refill_rest() {
    bool allows_null = true;
    for (const auto& due : later_) TRY(impl_.refill(due, due.known, &allows_null));
    return ok();
  }

 private:
  Status move(const Version& from, const SchemaRegister& incoming) {
    const Version& to = incoming.table;
    for (SchemaRegister value : registers_.all()) {
      if ((value.kind != SchemaKind::column && value.kind != SchemaKind::adopted) || value.table != from) continue;
      TRY(registers_.remove(value));
      value.table = to;
      // What was dropped before the file met a stream is nothing to tell.
      const bool told = !value.dropped || value.version != Version{};
      if (told && registers_.find(value.kind, to, value.id) == nullptr) TRY(registers_.put(value, std::nullopt));
    }
    for (const SchemaKind kind : {SchemaKind::text, SchemaKind::table}) {
      const Registers::Entry* const entry = registers_.find(kind, from, {});
      if (entry == nullptr) continue;
      SchemaRegister value = entry->value;
      TRY(registers_.remove(value));
      value.table = to;
      if (kind == SchemaKind::table) value.id = incoming.id;
      if (value.version != Version{}) TRY(registers_.put(value, std::nullopt));
    }
    TRY_ASSIGN(std::vector<LocalTable> tables, read_local_tables(db_));
    for (LocalTable& table : tables) {
      if (table.permanent_id != from) continue;
      table.permanent_id = to;
      TRY(save_local_table(db_, table));
    }
    return ok();
  }

  Replica::Impl& impl_;
  Registers& registers_;
  sqlite::Database& db_;
  std::vector<Replica::Impl::Refill> later_;
};

// The later version wins. But what was dropped stays so, for its rows and values are gone where it was done; nobody uses its
// id again. Of a table it says by whom and when (Registers::dropped_by_writer): what another node made of it later, and without knowing of
// that, is no part of it. A file that was put back may have called one table otherwise in each of its lives.
SchemaRegister merge_registers(const SchemaRegister& a, const SchemaRegister& b) {
  const bool later = a.kind == SchemaKind::table && a.dropped != b.dropped ? b.dropped : b.version > a.version;
  SchemaRegister out = later || mutated(Mutation::schema_version_check) ? b : a;
  if (out.kind == SchemaKind::table || out.kind == SchemaKind::column) out.dropped = a.dropped || b.dropped;
  out.id = a.id.empty() || b.id.empty() ? std::max(a.id, b.id) : std::min(a.id, b.id);
  return out;
}

}  // namespace

Status Replica::Impl::settle_schema_versions() {
  TRY(tell_again("WHERE seq = 0"));
  TRY(send_former_again());
  std::vector<SchemaRegister> ours = registers.unsent();
  std::optional<Version> version;
  for (SchemaRegister& one : ours) {
    const bool unnamed = one.kind == SchemaKind::table && one.id.empty();  // also where it was changed while the file joined
    if ((one.version != Version{} && !unnamed) || one.kind == SchemaKind::number) continue;
    if (!version) version = Version{state.clock.tick(env.now(), env.now()), self};
    if (one.version == Version{}) one.version = *version;
    if (unnamed) one.id = registers.free_table_id(one.name);
    TRY(registers.put(one, std::nullopt));
  }
  return settle_numbers();
}

Status Replica::Impl::publish_schema(UnitStream& out, bool rows_follow) {
  const std::vector<SchemaRegister> unsent = registers.unsent();
  if (unsent.empty()) return ok();
  tables_dirty = true;
  // In flight until its message comes round, so that the next drain does not send it again.
  for (const SchemaRegister& one : unsent) TRY(registers.set_seq(one, Registers::kInFlight));
  return out.schema(unsent, rows_follow);
}

Status Replica::Impl::apply_schema(const std::vector<SchemaRegister>& incoming, StreamSeq seq) {
  tables_dirty = true;
  bool changed = false, echoed = false;
  for (const SchemaRegister& one : incoming) {
    state.clock.observe(one.version.hlc);
    const Registers::Entry* entry = registers.find(one.kind, one.table, one.id);
    if (entry == nullptr && one.kind == SchemaKind::table && !one.dropped) {
      TRY(Adoption(*this).adopt(one));
      entry = registers.find(one.kind, one.table, one.id);
      changed = changed || entry != nullptr;
    }
    if (entry == nullptr) {
      TRY(registers.put(one, seq));
      changed = true;
      continue;
    }
    const SchemaRegister ours = entry->value;
    TRY_ASSIGN(const bool former, keep_former_number(ours, one, seq));
    changed = changed || former;
    const SchemaRegister merged = merge_registers(ours, one);
    overruled = overruled || (merged == ours && one != ours && waits_misdated(ours.version, entry->seq && *entry->seq != Registers::kInFlight));
    if (merged != ours) {
      // What is ours alone is still to be sent: the later version is not all there is to a register.
      const bool told = merged == one || (entry->seq && *entry->seq != Registers::kInFlight);
      TRY(registers.put(merged, told ? std::optional(seq) : std::nullopt));  // what is on its way is not this
      changed = true;
    } else if (one == ours && (!entry->seq || *entry->seq < seq)) {
      echoed = echoed || entry->seq == Registers::kInFlight;
      TRY(registers.set_seq(one, seq));
    }
  }
  if (!changed && echoed) {  // what the application did here: another column's name may be free now
    TRY_ASSIGN(const bool fit, schema_fits());
    changed = !fit;
  }
  if (!changed) return ok();
  Adoption adoption(*this);
  TRY(adoption.adopt_columns());
  TRY(migrate());
  TRY(refresh_schema());
  TRY(adoption.refill_rest());
  return forget_waiting();  // what waited for a table that is dropped now
}

}  // namespace marmot::replica
