// What a MySQL function is made of here: a row in a table, and a body that reads its arguments from a Call and gives one answer to
// it. No function knows SQLite: common/mysql/glue hands them to a connection, the MySQL port uses them through the same table.
//
// Types. Values have SQLite's storage classes; what MySQL's types are in them (docs/mysql-functions.md has the whole table):
//   integers          INTEGER; an unsigned one above 2^63-1: TEXT of its digits
//   DECIMAL           INTEGER without a fraction, REAL with one, while that is exact (15 digits); else TEXT of its digits
//   FLOAT, DOUBLE     REAL. As an argument it is the shortest decimal that reads back as it, so ROUND(1.005, 2) is exact
//   CHAR, VARCHAR ... TEXT; BINARY, BLOB: BLOB; what AES_DECRYPT and UNCOMPRESS give back: TEXT where it is text (is_readable())
//   DATE, TIME, DATETIME, TIMESTAMP, YEAR: TEXT as MySQL prints it, YEAR: INTEGER
//   JSON              TEXT with subtype 'J', as SQLite's own JSON functions mark it
// A DATE, TIME or DATETIME carries its type to the function around it, as a subtype: TIME(DATE(d)) is midnight, TIME('2020-01-01') 00:20:20.
#pragma once

#include <bitset>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/core/value.hpp"
#include "common/mysql/functions/decimal.hpp"
#include "common/mysql/functions/errors.hpp"

namespace marmot::mysql {

class Call;
class Session;

enum Flag : uint32_t {
  kPure = 0,     // same arguments, same answer, for ever: usable in indexes and generated columns
  kSession = 1,  // reads the session or the clock, or gives something else each time: never deterministic
  kEffect = 2,   // has an effect, or waits: only in SQL that the application itself runs
  kStrict = 4,   // NULL when any argument is NULL; the body is not called then
};

inline constexpr int kMany = 127;  // as many arguments as SQLite takes

using ArgumentSet = std::bitset<kMany + 1>;

struct Function {
  std::string_view name;  // as the manual writes it
  int min, max;           // arguments
  uint32_t flags;
  void (*fn)(Call&);
};

// An aggregate of one group, which may also be a window's: rows come by step(), and leave by inverse() in the order they came.
class Aggregate {
 public:
  virtual ~Aggregate() = default;
  virtual void step(Call& call) = 0;     // answers nothing; may fail
  virtual void inverse(Call& call) = 0;  // the oldest row of the window leaves
  virtual void value(Call& call) = 0;    // the answer for the rows there are; may be asked again
};

struct AggregateFunction {
  std::string_view name;
  int min, max;
  uint32_t flags;
  std::unique_ptr<Aggregate> (*make)();
};
template <class T>
std::unique_ptr<Aggregate> make_aggregate() {
  return std::make_unique<T>();
}

// What a function keeps between the calls of one place in one statement (RAND's generator, a compiled regular expression).
struct Kept {
  virtual ~Kept() = default;
};

// Where it is kept: `argument` is the constant that it was made of, or kStatement. Lost whenever the statement is run anew.
class Keeper {
 public:
  static constexpr int kStatement = -1;  // by the whole statement, for every place in it
  virtual ~Keeper() = default;
  virtual std::shared_ptr<Kept> kept(int argument) = 0;  // nullptr: nothing (any more)
  virtual void keep(int argument, std::shared_ptr<Kept> what) = 0;
};

// What a function said its text is; text of any other origin is plain.
enum class Temporal : uint8_t { none, date, time, datetime };

struct Answer {
  ValueType type = ValueType::null;
  int64_t integer = 0;
  double real = 0;
  std::string bytes;
  bool json = false;  // text that is a JSON document
  bool readable = false;  // a binary string that leaves as TEXT where it is text: see Call::readable_done()
  Temporal temporal = Temporal::none;
  int error = 0;      // MySQL's number, and `bytes` its message; 0: none
};

// One call. Arguments count from 0 and are borrowed for its length; the answer is NULL until given. One thread.
class Call {
 public:
  // `json`: bit i is set when argument i is a JSON document (SQLite's subtype 'J'). `temporals`: the first arguments', as far as known.
  // `readable`: those blobs that SQLite has as TEXT.
  Call(std::string_view name, std::span<const ValueView> arguments, const ArgumentSet& json, Session& session, Keeper& keeper, Answer& answer,
       std::span<const Temporal> temporals = {}, const ArgumentSet& readable = {})
      : name_(name), arguments_(arguments), json_(json), readable_(readable), session_(session), keeper_(keeper), answer_(answer), temporals_(temporals) {}

  std::string_view name() const { return name_; }
  Session& session() { return session_; }
  Keeper& keeper() { return keeper_; }
  int count() const { return static_cast<int>(arguments_.size()); }
  const ValueView& value(int i) const { return arguments_[static_cast<size_t>(i)]; }
  bool is_null(int i) const { return value(i).type == ValueType::null; }
  bool is_number(int i) const { return value(i).type == ValueType::integer || value(i).type == ValueType::real; }
  bool is_blob(int i) const { return value(i).type == ValueType::blob; }
  // Two texts, in the order of the collation of text without one; BLOBs by their bytes. Below 0, 0, above 0.
  int compare_texts(int a, int b);
  bool is_json(int i) const { return json_[static_cast<size_t>(i)]; }
  // A blob that SQLite has as TEXT, so that it equals the text that it was made of: bytes to functions, as in MySQL.
  bool is_readable(int i) const { return readable_[static_cast<size_t>(i)]; }

  Temporal temporal(int i) const { return static_cast<size_t>(i) < temporals_.size() ? temporals_[static_cast<size_t>(i)] : Temporal::none; }

  // An argument as MySQL takes it in a string or number context; NULL: "", 0. Text that is no number is its numeric beginning, with
  // a warning (1292 ER_TRUNCATED_WRONG_VALUE). integer(): a number rounded half away from zero, the digits that text begins with
  // ('1.9' is 1, '1e3' is 1); at most what 64 bits hold. A DATE, TIME or DATETIME is the number of its digits: 20010203101112.5.
  std::string_view text(int i);
  int64_t integer(int i);
  double real(int i);
  Decimal decimal(int i);
  bool truth(int i) { return real(i) != 0; }
  // As BIGINT UNSIGNED: integer()'s number; negative ones in two's complement, larger ones all ones (manual 14.12).
  uint64_t bits(int i);

  // Answers. A text longer than the session's max_allowed_packet is NULL with a warning (1301). real(): what is not finite is
  // error 1690 ER_DATA_OUT_OF_RANGE.
  void null() { answer_.type = ValueType::null; }
  void integer_is(int64_t value);
  void unsigned_is(uint64_t value);
  void real_is(double value);
  void decimal_is(const Decimal& value);
  void text_is(std::string_view value);
  void blob_is(std::string_view value);
  void json_is(std::string_view document);
  void temporal_is(Temporal type, std::string_view value);  // a text that says what it is
  void same_as(int i);  // argument i, unchanged
  Answer& answer() { return answer_; }
  // For building in place: give buffer() its content, then call text_done(), blob_done() or json_done().
  std::string& buffer() { return answer_.bytes; }
  void text_done() { checked(ValueType::text); }
  void blob_done() { checked(ValueType::blob); }
  // A binary string that was made of a text: TEXT to SQLite where it is UTF-8 without NUL, so that it equals that text; else a BLOB.
  void readable_done();
  void json_done();
  // True: a result of `bytes` is within max_allowed_packet; false: it is NULL, and the session is warned.
  bool fits(uint64_t bytes);

  // The statement fails with MySQL's error `code`.
  void fail(int code, std::string_view message);
  bool failed() const { return answer_.error != 0; }
  void warn(int code, std::string_view message);

  // The one `T` that this place of the statement keeps for argument `i` (made by `make()`, a std::shared_ptr<T>); T is a Kept.
  template <class T, class Make>
  std::shared_ptr<T> kept(int i, Make make) {
    if (auto there = std::dynamic_pointer_cast<T>(keeper_.kept(i))) return there;
    std::shared_ptr<T> made = make();
    if (made != nullptr) keeper_.keep(i, made);
    return made;
  }

 private:
  void checked(ValueType type);
  Decimal integer_text(int i);  // of text or a BLOB, as integer() reads it

  std::string_view name_;
  std::span<const ValueView> arguments_;
  ArgumentSet json_, readable_;
  Session& session_;
  Keeper& keeper_;
  Answer& answer_;
  std::span<const Temporal> temporals_;
  std::forward_list<std::pair<int, std::string>> printed_;  // numbers that text(i) was asked for; allocates nothing until one is
};

}  // namespace marmot::mysql
