#include "common/mysql/glue/register.hpp"

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/mysql/functions/collation.hpp"
#include "common/mysql/functions/table.hpp"
#include "common/sqlite/database.hpp"
#include "common/sqlite/guarded.hpp"

// Newer than the oldest SQLite we build with; older ones ignore it.
#ifndef SQLITE_RESULT_SUBTYPE
#define SQLITE_RESULT_SUBTYPE 0x001000000
#endif

namespace marmot::mysql {

namespace {

constexpr unsigned kJsonSubtype = 'J', kReadableSubtype = 'B';
constexpr std::array<unsigned, 4> kTemporalSubtypes = {0, 'D', 'T', 'S'};  // by Temporal

Temporal temporal_of(unsigned subtype) {
  for (size_t i = 1; i < kTemporalSubtypes.size(); ++i) {
    if (kTemporalSubtypes[i] == subtype) return static_cast<Temporal>(i);
  }
  return Temporal::none;
}
constexpr int kStatementSlot = -20261121;  // auxiliary data with a negative number belongs to the whole statement (vdbeapi.c)

struct Installed;

struct Binding {
  Installed* installed;
  const Function* function;            // or
  const AggregateFunction* aggregate;  // this
};

// What one connection's registrations share: each holds one reference.
struct Installed {
  std::shared_ptr<Session> session;
  bool all = false;  // the connection has been given Names::all
  std::vector<std::unique_ptr<Binding>> bindings;
  size_t references = 0;
  std::weak_ptr<Kept> of_statement = {};  // what was kept last by a whole statement; its auxiliary data own it
};

void let_go(void* bound) {
  Installed* installed = static_cast<Binding*>(bound)->installed;
  if (--installed->references == 0) delete installed;
}

// --- one call ----------------------------------------------------------------------------------------------------------

class SqliteKeeper final : public Keeper {
 public:
  explicit SqliteKeeper(sqlite3_context* context) : context_(context) {}
  std::shared_ptr<Kept> kept(int argument) override {
    auto* there = static_cast<std::shared_ptr<Kept>*>(sqlite3_get_auxdata(context_, slot(argument)));
    if (there != nullptr || argument != kStatement) return there != nullptr ? *there : nullptr;
    // A trigger's program has auxiliary data of its own. Where one statement runs alone, what is still owned is that statement's.
    std::shared_ptr<Kept> outer = installed().of_statement.lock();
    if (outer != nullptr && !runs_alone()) outer.reset();
    if (outer != nullptr) keep(argument, outer);
    return outer;
  }
  void keep(int argument, std::shared_ptr<Kept> what) override {
    if (argument == kStatement) installed().of_statement = what;
    sqlite3_set_auxdata(context_, slot(argument), new std::shared_ptr<Kept>(std::move(what)),
                        [](void* kept) { delete static_cast<std::shared_ptr<Kept>*>(kept); });
  }

 private:
  Installed& installed() const { return *static_cast<const Binding*>(sqlite3_user_data(context_))->installed; }
  bool runs_alone() const {
    sqlite3* const db = sqlite3_context_db_handle(context_);
    int busy = 0;
    for (sqlite3_stmt* one = sqlite3_next_stmt(db, nullptr); one != nullptr && busy < 2; one = sqlite3_next_stmt(db, one)) busy += sqlite3_stmt_busy(one) != 0 ? 1 : 0;
    return busy == 1;
  }
  static int slot(int argument) { return argument == kStatement ? kStatementSlot : argument; }
  sqlite3_context* context_;
};

ValueView view_of(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: return ValueView::of_integer(sqlite3_value_int64(value));
    case SQLITE_FLOAT: return ValueView::of_real(sqlite3_value_double(value));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return ValueView::of_text({text, static_cast<size_t>(sqlite3_value_bytes(value))});
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
      return ValueView::of_blob({bytes, static_cast<size_t>(sqlite3_value_bytes(value))});
    }
    default: return {};
  }
}

// The arguments of one call, borrowed from SQLite.
class Arguments {
 public:
  Arguments(int count, sqlite3_value** values) : count_(static_cast<size_t>(count)) {
    if (count_ > few_.size()) many_.resize(count_);
    ValueView* out = count_ > few_.size() ? many_.data() : few_.data();
    for (size_t i = 0; i < count_; ++i) {
      out[i] = view_of(values[i]);
      any_null_ |= out[i].type == ValueType::null;
      if (i >= json_.size() || out[i].type != ValueType::text) continue;
      const unsigned subtype = sqlite3_value_subtype(values[i]);
      if (subtype == kJsonSubtype) json_.set(i);
      if (subtype == kReadableSubtype) {
        out[i] = ValueView::of_blob(out[i].bytes);
        readable_.set(i);
      }
      if (i < temporals_.size()) temporals_[i] = temporal_of(subtype);
    }
  }
  std::span<const ValueView> values() const { return {count_ > few_.size() ? many_.data() : few_.data(), count_}; }
  const ArgumentSet& json() const { return json_; }
  const ArgumentSet& readable() const { return readable_; }
  std::span<const Temporal> temporals() const { return temporals_; }
  bool any_null() const { return any_null_; }

 private:
  size_t count_;
  ArgumentSet json_, readable_;
  bool any_null_ = false;
  std::array<Temporal, 8> temporals_{};
  std::array<ValueView, 8> few_;
  std::vector<ValueView> many_;
};

void give(sqlite3_context* context, std::string_view name, const Answer& answer) {
  if (answer.error != 0) {
    const std::string message = std::string(name) + ": " + answer.bytes + " (MySQL " + std::to_string(answer.error) + ")";
    return sqlite3_result_error(context, message.data(), static_cast<int>(message.size()));
  }
  switch (answer.type) {
    case ValueType::null: return sqlite3_result_null(context);
    case ValueType::integer: return sqlite3_result_int64(context, answer.integer);
    case ValueType::real: return sqlite3_result_double(context, answer.real);
    case ValueType::text:
      sqlite3_result_text64(context, answer.bytes.data(), answer.bytes.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      if (answer.json) sqlite3_result_subtype(context, kJsonSubtype);
      if (answer.temporal != Temporal::none) sqlite3_result_subtype(context, kTemporalSubtypes[static_cast<size_t>(answer.temporal)]);
      return;
    case ValueType::blob:
      if (!answer.readable) return sqlite3_result_blob64(context, answer.bytes.data(), answer.bytes.size(), SQLITE_TRANSIENT);
      sqlite3_result_text64(context, answer.bytes.data(), answer.bytes.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
      return sqlite3_result_subtype(context, kReadableSubtype);
  }
}

std::string wrong_count(std::string_view name, int min, int max) {
  return std::string(name) + " takes " + (max == kMany ? "at least " + std::to_string(min) : std::to_string(min) + " to " + std::to_string(max)) +
         " arguments (MySQL 1582)";
}

// Runs `body`, and hands its answer over; with `answers` false only its error.
template <class Body>
void answered(sqlite3_context* context, std::string_view name, bool answers, Body&& body) {
  Answer answer;
  sqlite::guarded(
      [&] {
        body(answer);
        if (answers || answer.error != 0) give(context, name, answer);
        return ok();
      },
      [&](int rc, const char* text) {
        if (rc == SQLITE_NOMEM) return sqlite3_result_error_nomem(context);
        sqlite3_result_error(context, (std::string(name) + ": " + text).c_str(), -1);
      });
}

extern "C" void call_scalar(sqlite3_context* context, int count, sqlite3_value** values) {
  const auto& bound = *static_cast<const Binding*>(sqlite3_user_data(context));
  const Function& function = *bound.function;
  if (count < function.min || count > function.max) {
    return sqlite3_result_error(context, wrong_count(function.name, function.min, function.max).c_str(), -1);
  }
  answered(context, function.name, true, [&](Answer& answer) {
    const Arguments arguments(count, values);
    if ((function.flags & kStrict) != 0 && arguments.any_null()) return;
    SqliteKeeper keeper(context);
    Call call(function.name, arguments.values(), arguments.json(), *bound.installed->session, keeper, answer, arguments.temporals(), arguments.readable());
    function.fn(call);
  });
}

// --- aggregates --------------------------------------------------------------------------------------------------------

// The group's state lies behind a pointer in SQLite's zeroed memory; final() frees it.
Aggregate** state_of(sqlite3_context* context) {
  return static_cast<Aggregate**>(sqlite3_aggregate_context(context, static_cast<int>(sizeof(Aggregate*))));
}

void with_state(sqlite3_context* context, int count, sqlite3_value** values, void (Aggregate::*method)(Call&), bool answers) {
  const auto& bound = *static_cast<const Binding*>(sqlite3_user_data(context));
  const AggregateFunction& function = *bound.aggregate;
  if (values != nullptr && (count < function.min || count > function.max)) {
    return sqlite3_result_error(context, wrong_count(function.name, function.min, function.max).c_str(), -1);
  }
  answered(context, function.name, answers, [&](Answer& answer) {
    Aggregate** state = state_of(context);
    if (state == nullptr) throw std::bad_alloc();
    if (*state == nullptr) *state = function.make().release();
    const Arguments arguments(count, values);
    SqliteKeeper keeper(context);
    Call call(function.name, arguments.values(), arguments.json(), *bound.installed->session, keeper, answer, arguments.temporals(), arguments.readable());
    ((**state).*method)(call);
  });
}

extern "C" void aggregate_step(sqlite3_context* context, int count, sqlite3_value** values) { with_state(context, count, values, &Aggregate::step, false); }
extern "C" void aggregate_inverse(sqlite3_context* context, int count, sqlite3_value** values) { with_state(context, count, values, &Aggregate::inverse, false); }
extern "C" void aggregate_value(sqlite3_context* context) { with_state(context, 0, nullptr, &Aggregate::value, true); }
extern "C" void aggregate_final(sqlite3_context* context) {
  aggregate_value(context);
  if (Aggregate** state = state_of(context)) delete std::exchange(*state, nullptr);
}

// --- registration ------------------------------------------------------------------------------------------------------

int sqlite_flags(uint32_t flags) {
  int out = SQLITE_UTF8 | SQLITE_SUBTYPE | SQLITE_RESULT_SUBTYPE;
  if ((flags & (kSession | kEffect)) == 0) out |= SQLITE_DETERMINISTIC;
  return out | ((flags & kEffect) != 0 ? SQLITE_DIRECTONLY : SQLITE_INNOCUOUS);
}

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

// The names of the connection's functions, in lower case.
Result<std::set<std::string>> names_there(sqlite3* db) {
  sqlite::Database here = sqlite::Database::borrow(db);
  TRY_ASSIGN(sqlite::Statement row, here.prepare("SELECT DISTINCT name FROM pragma_function_list"));
  std::set<std::string> out;
  for (;;) {
    TRY_ASSIGN(const bool more, row.step());
    if (!more) return out;
    out.insert(lower(row.text(0)));
  }
}

int create(sqlite3* db, const std::string& name, Binding* bound) {
  const bool scalar = bound->function != nullptr;
  const int min = scalar ? bound->function->min : bound->aggregate->min;
  const int max = scalar ? bound->function->max : bound->aggregate->max;
  const int flags = sqlite_flags(scalar ? bound->function->flags : bound->aggregate->flags);
  const int arguments = min == max ? min : -1;  // -1: call_scalar counts them
  ++bound->installed->references;  // let_go() also runs when this fails
  return scalar ? sqlite3_create_function_v2(db, name.c_str(), arguments, flags, bound, call_scalar, nullptr, nullptr, let_go)
                : sqlite3_create_window_function(db, name.c_str(), arguments, flags, bound, aggregate_step, aggregate_final, aggregate_value,
                                                 aggregate_inverse, let_go);
}

extern "C" int call_collation(void* bound, int left_size, const void* left, int right_size, const void* right) {
  // Out of memory in a comparison has no way to be told: the strings' bytes decide then, as they do for SQLite's own BINARY.
  const std::string_view a(static_cast<const char*>(left), static_cast<size_t>(left_size));
  const std::string_view b(static_cast<const char*>(right), static_cast<size_t>(right_size));
  try {
    return static_cast<const Collation*>(bound)->compare(a, b);
  } catch (const std::exception&) {
    return a.compare(b);
  }
}

// The collations that the connection lacks; one of the host's keeps its meaning, whichever names are asked for.
Status add_collations(sqlite3* db) {
  sqlite::Database here = sqlite::Database::borrow(db);
  TRY_ASSIGN(sqlite::Statement row, here.prepare("SELECT name FROM pragma_collation_list"));
  std::set<std::string> there;
  for (;;) {
    TRY_ASSIGN(const bool more, row.step());
    if (!more) break;
    there.insert(lower(row.text(0)));
  }
  for (const Collation& collation : collations()) {
    const std::string name(collation.name);
    if (there.count(name) != 0) continue;
    const int rc = sqlite3_create_collation_v2(db, name.c_str(), SQLITE_UTF8, const_cast<Collation*>(&collation), call_collation, nullptr);
    if (rc != SQLITE_OK) return sqlite::error_of(db, rc).in(name);
  }
  return ok();
}

// How the first registration of a connection is found again: this function puts it where the pointer it is given points to.
constexpr const char* kFindFunction = "marmot_mysql_session";
constexpr const char* kFindPointer = "marmot_mysql_session";

extern "C" void call_find(sqlite3_context* context, int, sqlite3_value** values) {
  auto* out = static_cast<Installed**>(sqlite3_value_pointer(values[0], kFindPointer));
  if (out != nullptr) *out = static_cast<const Binding*>(sqlite3_user_data(context))->installed;
}

// Lives as long as the connection.
Installed* find_installed(sqlite3* db) {
  Installed* out = nullptr;
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, "SELECT marmot_mysql_session(?1)", -1, &statement, nullptr) != SQLITE_OK) return nullptr;
  sqlite3_bind_pointer(statement, 1, &out, kFindPointer, nullptr);
  sqlite3_step(statement);
  sqlite3_finalize(statement);
  return out;
}

}  // namespace

std::shared_ptr<Session> session_of(sqlite3* db) {
  const Installed* const there = find_installed(db);
  return there != nullptr ? there->session : nullptr;
}

Status register_functions(sqlite3* db, Names names, std::shared_ptr<Session> session) {
  Installed* const first = find_installed(db);
  if (first != nullptr && (first->all || names == Names::absent)) return ok();
  TRY_ASSIGN(const std::set<std::string> there, names_there(db));
  auto* installed = new Installed{first != nullptr ? first->session : std::move(session), names == Names::all, {}, 1};
  struct Release {
    Installed* installed;
    ~Release() {
      if (--installed->references == 0) delete installed;
    }
  } release{installed};
  Status done = ok();
  const auto create_once = [&](const std::string& name, Binding* bound, bool wanted) {
    if (!done || !wanted) return;
    const int rc = create(db, name, bound);
    if (rc == SQLITE_OK) return;
    Error error = sqlite::error_of(db, rc).in(name);
    if (rc == SQLITE_BUSY) error.message += "; load it with no statement running: .load, or your driver's load_extension(), not SELECT load_extension()";
    done = std::move(error);
  };
  const auto bind = [&](const Function* function, const AggregateFunction* aggregate) {
    return installed->bindings.emplace_back(std::make_unique<Binding>(Binding{installed, function, aggregate})).get();
  };
  const auto add = [&](const Function* function, const AggregateFunction* aggregate, std::string_view manual_name) {
    Binding* bound = bind(function, aggregate);
    const std::string name = lower(manual_name);
    const bool ours = name.rfind("marmot_", 0) == 0;  // not MySQL's at all
    create_once("mysql_" + name, bound, !ours && there.count("mysql_" + name) == 0);
    create_once(name, bound, there.count(name) == 0 || (names == Names::all && !ours));
  };
  for (const auto& chapter : chapters()) {
    for (const Function& function : chapter) add(&function, nullptr, function.name);
  }
  for (const auto& chapter : aggregate_chapters()) {
    for (const AggregateFunction& function : chapter) add(nullptr, &function, function.name);
  }
  TRY(done);
  TRY(add_collations(db));
  if (first != nullptr) {
    first->all = true;
    return ok();
  }
  ++installed->references;
  const int rc = sqlite3_create_function_v2(db, kFindFunction, 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, bind(nullptr, nullptr), call_find, nullptr, nullptr, let_go);
  return rc == SQLITE_OK ? ok() : Status(sqlite::error_of(db, rc).in(kFindFunction));
}

}  // namespace marmot::mysql
