#include "common/sqlite/database.hpp"

#include <utility>

#include "common/core/wide_text.hpp"

namespace marmot::sqlite {

namespace {

// SQLite calls a schema malformed when one of its statements does not parse, which is what a later SQLite's look like to an
// earlier one: nothing in the file is broken. Empty: it is another error, or real damage.
std::string unreadable_schema(std::string_view message) {
  constexpr std::string_view kHead = "malformed database schema (", kFormat = "unsupported file format";
  std::string what;
  if (message == kFormat) {
    what = "the schema";
  } else {
    const size_t reason = message.find(") - ");
    if (message.substr(0, kHead.size()) != kHead || reason == std::string_view::npos) return {};
    const std::string_view why = message.substr(reason + 4);
    if (why == "invalid rootpage" || why == "orphan index") return {};
    what = quote_identifier(message.substr(kHead.size(), reason - kHead.size())) + " in the schema";
    message = why;
  }
  return what + " cannot be read by SQLite " + std::string(sqlite3_libversion()) + ", which this program runs with (" + std::string(message) +
         "): a newer SQLite made it, it seems, and the file is sound; run this program with that SQLite, or drop or change the object there";
}

}  // namespace

Error error_of(sqlite3* db, int rc) {
  const int extended = db != nullptr && sqlite3_extended_errcode(db) != SQLITE_OK ? sqlite3_extended_errcode(db) : rc;
  Errc code = Errc::internal;
  switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: code = Errc::busy; break;
    case SQLITE_FULL: code = Errc::full; break;
    case SQLITE_IOERR: code = Errc::io; break;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: code = Errc::io; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: code = Errc::corrupt; break;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG: code = Errc::constraint; break;
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: code = Errc::schema; break;
    default: break;
  }
  std::string message = db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
  if (code == Errc::corrupt || code == Errc::schema) {
    if (std::string unreadable = unreadable_schema(message); !unreadable.empty()) return make_error(Errc::unreadable, std::move(unreadable), extended);
  }
  return make_error(code, std::move(message), extended);
}

namespace {
// False: a UTF-16 file cannot hold it.
bool bind_wide(sqlite3_stmt* stmt, int index, std::string_view text) {
  const auto wide = widen_text(text);
  if (!wide) return false;
  const std::u16string marked = u'\uFEFF' + *wide;  // SQLite takes the first mark of byte order away
  sqlite3_bind_text64(stmt, index, reinterpret_cast<const char*>(marked.data()), marked.size() * 2, SQLITE_TRANSIENT, SQLITE_UTF16);
  return true;
}
}  // namespace

Statement& Statement::bind(int index, int64_t value) {
  sqlite3_bind_int64(stmt_, index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  if (wide_) return bind_wide(stmt_, index, text) ? *this : bind_blob(index, text);
  // A null pointer would bind NULL: an empty view may hold one.
  sqlite3_bind_text64(stmt_, index, text.data() != nullptr ? text.data() : "", text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind_blob(int index, std::string_view bytes) {
  if (bytes.empty()) sqlite3_bind_zeroblob(stmt_, index, 0);
  else sqlite3_bind_blob64(stmt_, index, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Statement& Statement::bind_null(int index) {
  sqlite3_bind_null(stmt_, index);
  return *this;
}

Statement& Statement::bind(int index, const ValueView& value) {
  switch (value.type) {
    case ValueType::null: return bind_null(index);
    case ValueType::integer: return bind(index, value.integer);
    case ValueType::real: sqlite3_bind_double(stmt_, index, value.real); return *this;
    case ValueType::text:
      if (!wide_) return bind(index, value.bytes);
      unfit_ = !bind_wide(stmt_, index, value.bytes) || unfit_;
      return *this;
    case ValueType::blob: return bind_blob(index, value.bytes);
  }
  return *this;
}

Result<bool> Statement::step() {
  if (unfit_) {
    reset();
    return make_error(Errc::constraint, "its text is no valid UTF-8, which a file in UTF-16 cannot hold");
  }
  const int rc = sqlite3_step(stmt_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) {
    sqlite3_reset(stmt_);
    return false;
  }
  Error error = error_of(sqlite3_db_handle(stmt_), rc);
  reset();
  return error;
}

Status Statement::run() {
  for (;;) {
    TRY_ASSIGN(const bool more, step());
    if (!more) return ok();
  }
}

void Statement::reset() {
  sqlite3_reset(stmt_);
  sqlite3_clear_bindings(stmt_);
  unfit_ = false;
  narrowed_.clear();
}

std::string_view Statement::text(int column) const {
  if (wide_) {
    if (sqlite3_column_type(stmt_, column) == SQLITE_BLOB) return blob(column);
    const auto* units = static_cast<const char16_t*>(sqlite3_column_text16(stmt_, column));
    if (units == nullptr) return {};
    narrowed_.resize(static_cast<size_t>(columns()));
    std::string& out = narrowed_[static_cast<size_t>(column)];
    out.clear();
    narrow_text({units, static_cast<size_t>(sqlite3_column_bytes16(stmt_, column)) / 2}, out);
    return out;
  }
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(stmt_, column));
  return data == nullptr ? std::string_view{} : std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(stmt_, column)));
}

std::string_view Statement::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(stmt_, column));
  return data == nullptr ? std::string_view{} : std::string_view(data, static_cast<size_t>(sqlite3_column_bytes(stmt_, column)));
}

ValueView Statement::value(int column) const {
  switch (sqlite3_column_type(stmt_, column)) {
    case SQLITE_INTEGER: return ValueView::of_integer(sqlite3_column_int64(stmt_, column));
    case SQLITE_FLOAT: return ValueView::of_real(sqlite3_column_double(stmt_, column));
    case SQLITE_TEXT: return ValueView::of_text(text(column));
    case SQLITE_BLOB: return ValueView::of_blob(blob(column));
    default: return ValueView::of_null();
  }
}

Result<Database> Database::open(const std::string& path, int flags) {
  sqlite3* handle = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_EXRESCODE, nullptr);
  Database db(handle, true);
  if (rc != SQLITE_OK) return error_of(handle, rc).in("open " + path);
  return db;
}

Database::~Database() {
  if (owned_) sqlite3_close_v2(db_);
}

Database::Database(Database&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), owned_(std::exchange(other.owned_, false)), wide_(other.wide_) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(owned_, other.owned_);
  std::swap(wide_, other.wide_);
  return *this;
}

Status Database::exec(const std::string& sql) {
  const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return error(rc);
  return ok();
}

Result<Statement> Database::prepare(std::string_view sql, bool keep) {
  sqlite3_stmt* stmt = nullptr;
  const char* tail = nullptr;
  const int rc = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), keep ? SQLITE_PREPARE_PERSISTENT : 0,
                                    &stmt, &tail);
  if (rc != SQLITE_OK) {
    Error failed = error(rc);
    if (failed.code == Errc::unreadable) return failed;  // no statement can be prepared
    return std::move(failed).in("prepare " + std::string(sql));
  }
  if (stmt == nullptr) return make_error(Errc::bad_input, "no statement in: " + std::string(sql));
  return Statement(stmt, wide_);
}

void Database::reset_statements() {
  for (sqlite3_stmt* one = sqlite3_next_stmt(db_, nullptr); one != nullptr; one = sqlite3_next_stmt(db_, one)) {
    if (sqlite3_stmt_busy(one) != 0) sqlite3_reset(one);
  }
}

Status Database::bump_schema_version() {
  TRY_ASSIGN(const int64_t version, query_integer("PRAGMA main.schema_version"));
  return exec("PRAGMA main.schema_version = " + std::to_string(version + 1));
}

Status Database::learn_encoding() {
  TRY_ASSIGN(const std::string encoding, query_text("PRAGMA encoding"));
  wide_ = encoding.starts_with("UTF-16");
  return ok();
}

Result<int64_t> Database::query_integer(std::string_view sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(const bool found, statement.step());
  if (!found) return make_error(Errc::not_found, "no row from: " + std::string(sql));
  return statement.integer(0);
}

Result<std::string> Database::query_text(std::string_view sql) {
  TRY_ASSIGN(Statement statement, prepare(sql));
  TRY_ASSIGN(const bool found, statement.step());
  if (!found) return make_error(Errc::not_found, "no row from: " + std::string(sql));
  return std::string(statement.text(0));
}

Result<Transaction> Transaction::begin(Database& db, Kind kind) {
  const bool within = db.in_transaction();
  if (Status begun = db.exec(kind == Kind::immediate ? "BEGIN IMMEDIATE" : "BEGIN"); !begun) {
    if (!within && db.in_transaction()) (void)db.exec("ROLLBACK");  // interrupted, and yet begun
    return std::move(begun).error();
  }
  return Transaction(db);
}

Transaction::~Transaction() { rollback(); }

Status Transaction::commit() {
  TRY(db_->exec("COMMIT"));
  db_ = nullptr;
  return ok();
}

void Transaction::rollback() {
  // SQLite may already have rolled back by itself (disk full, I/O error).
  if (db_ != nullptr && db_->in_transaction()) (void)db_->exec("ROLLBACK");
  db_ = nullptr;
}

namespace {
std::string quote(std::string_view text, char mark) {
  std::string out(1, mark);
  for (const char c : text) {
    if (c == mark) out += mark;
    out += c;
  }
  out += mark;
  return out;
}
}  // namespace

std::string quote_identifier(std::string_view name) { return quote(name, '"'); }
std::string quote_text(std::string_view text) { return quote(text, '\''); }

}  // namespace marmot::sqlite
