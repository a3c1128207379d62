#include "common/replica/quarantine.hpp"

#include "common/core/row_hash.hpp"
#include "common/replica/engine.hpp"
#include "common/replica/scope.hpp"
#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

// Not where nothing of ours is, nor where an agent of before was the last one.
Result<bool> has_short_messages(sqlite::Database& db) {
  TRY_ASSIGN(const int64_t there, db.query_integer("SELECT count(*) FROM pragma_table_info('__marmot_quarantine', 'main') WHERE name = 'hash'"));
  return there != 0;
}

}  // namespace

// Anybody who may write to the stream can put garbage into it: a file keeps what tells one message from another, and is not filled.
Status Replica::Impl::quarantine(const Incoming& message, const std::string& reason) {
  log(LogLevel::error, "message " + std::to_string(message.seq) + " is quarantined (" + reason + "): see `marmot quarantine`");
  TRY_ASSIGN(Statement* const insert, store.statement(sql::kQuarantine));
  insert->bind(1, static_cast<int64_t>(message.seq)).bind(2, message.at).bind(3, reason);
  insert->bind_blob(4, std::string_view(message.bytes).substr(0, kQuarantinedHead)).bind(5, static_cast<int64_t>(message.bytes.size()));
  insert->bind(6, static_cast<int64_t>(bytes_hash(message.bytes)));
  TRY(insert->run());
  TRY_ASSIGN(Statement* const drop, store.statement(sql::kQuarantineDropOldest));
  drop->bind(1, kMostQuarantined);
  TRY(drop->run());
  const int64_t gone = sqlite3_changes(db.get());
  if (gone == 0) return ok();
  TRY_ASSIGN(const auto before, store.meta_integer(meta::kQuarantineDropped));
  return store.set_meta(meta::kQuarantineDropped, before.value_or(0) + gone);
}

Result<Quarantine> read_quarantine(sqlite::Database& db) {
  Quarantine out;
  TRY_ASSIGN(const bool readable, has_short_messages(db));
  if (!readable) return out;
  TRY_ASSIGN(out.dropped, db.query_integer("SELECT coalesce((SELECT value FROM main.__marmot_meta WHERE key = 'quarantine_dropped'), 0)"));
  TRY_ASSIGN(Statement rows, db.prepare("SELECT seq, at, reason, size, hash, data FROM main.__marmot_quarantine ORDER BY at DESC, seq DESC"));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    out.messages.push_back({static_cast<StreamSeq>(rows.integer(0)), rows.integer(1), std::string(rows.text(2)), rows.integer(3),
                            static_cast<uint64_t>(rows.integer(4)), std::string(rows.blob(5))});
  }
}

Status empty_quarantine(sqlite::Database& db) {
  TRY_ASSIGN(Scope scope, Scope::begin(db));
  TRY(db.exec("DELETE FROM main.__marmot_quarantine; DELETE FROM main.__marmot_meta WHERE key = 'quarantine_dropped'"));
  return scope.commit();
}

Status shorten_quarantine(sqlite::Database& db) {
  TRY_ASSIGN(const bool done, has_short_messages(db));
  if (done) return ok();
  return db.exec("ALTER TABLE main.__marmot_quarantine ADD COLUMN size INT NOT NULL DEFAULT 0;"
                 "ALTER TABLE main.__marmot_quarantine ADD COLUMN hash INT NOT NULL DEFAULT 0;"
                 "UPDATE main.__marmot_quarantine SET size = length(data), data = substr(data, 1, " + std::to_string(kQuarantinedHead) + ")");
}

}  // namespace marmot::replica
