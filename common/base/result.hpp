// Errors by value. A failed operation is a Result; a bug is an assertion; a protocol outcome (stale, lost) is an
// ordinary value. Add the verb as an error travels up, so that it reads like a path:
// "apply message 42: insert users: UNIQUE constraint failed".
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace marmot {

// What a caller can do about a failure; the message tells a person.
enum class Errc {
  bad_input,     // the caller's argument, option or file is wrong: the message names it and the cure
  not_found,     // what was asked for does not exist
  busy,          // somebody holds the lock: try again later
  full,          // disk or quota is full: nothing was changed
  io,            // the operating system refused
  corrupt,       // bytes do not decode, or do not match their checksum
  newer_format,  // bytes of a later Marmot: upgrade this one
  unreadable,    // this SQLite does not understand the file's schema: try again later, as with a lock
  constraint,    // SQLite refused a row (extended code in `detail`)
  schema,        // the table is not what was expected
  unavailable,   // a server is away
  timeout,       // a deadline passed
  stale,         // the file is not as this process left it: it was rolled back or replaced; open it again
  refused,       // a rule says no (a second agent, a file that never belonged)
  internal,      // an invariant of ours broke where aborting is not allowed
};

struct Error {
  Errc code = Errc::internal;
  std::string message;
  int detail = 0;  // the library's own extended code (SQLite, errno, natsStatus); 0 when there is none

  // "verb: message". Returns *this, so that it chains in a return statement.
  Error&& in(std::string_view verb) && {
    message.insert(0, ": ");
    message.insert(0, verb);
    return std::move(*this);
  }
};

inline Error make_error(Errc code, std::string message, int detail = 0) {
  return Error{code, std::move(message), detail};
}

// Either a T or an Error. Never empty.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() & { return *std::get_if<0>(&state_); }
  const T& operator*() const& { return *std::get_if<0>(&state_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  Error& error() & { return *std::get_if<1>(&state_); }
  const Error& error() const& { return *std::get_if<1>(&state_); }
  Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_.has_value(); }
  Error& error() & { return *error_; }
  const Error& error() const& { return *error_; }
  Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;
inline Status ok() { return {}; }

}  // namespace marmot

#define MARMOT_CONCAT_(a, b) a##b
#define MARMOT_CONCAT(a, b) MARMOT_CONCAT_(a, b)

// Returns the error of `expr` from the calling function, or goes on.
#define TRY(expr)                                                                  \
  do {                                                                             \
    auto&& MARMOT_CONCAT(try_status_, __LINE__) = (expr);                          \
    if (!MARMOT_CONCAT(try_status_, __LINE__)) return std::move(MARMOT_CONCAT(try_status_, __LINE__)).error(); \
  } while (false)

// As TRY, with the verb that failed put in front.
#define TRY_IN(verb, expr)                                                         \
  do {                                                                             \
    auto&& MARMOT_CONCAT(try_status_, __LINE__) = (expr);                          \
    if (!MARMOT_CONCAT(try_status_, __LINE__)) return std::move(MARMOT_CONCAT(try_status_, __LINE__)).error().in(verb); \
  } while (false)

// `TRY_ASSIGN(auto x, f())`: x is f()'s value, or the function returns f()'s error.
#define TRY_ASSIGN(declaration, expr)                                  \
  auto MARMOT_CONCAT(try_result_, __LINE__) = (expr);                      \
  if (!MARMOT_CONCAT(try_result_, __LINE__)) return std::move(MARMOT_CONCAT(try_result_, __LINE__)).error(); \
  declaration = *std::move(MARMOT_CONCAT(try_result_, __LINE__))
