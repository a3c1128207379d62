// The C boundary. What SQLite calls is a guest in another program: whatever goes wrong here becomes an SQL error that names
// the function, never an exception in C code and never abort().
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "common/base/result.hpp"
#include "common/sqlite/api.hpp"

namespace marmot::sqlite {

// Runs `body` (a Status()); hands a failure to `report(rc, text)`. Returns an SQLite result code.
template <class Body, class Report>
int guarded(Body&& body, Report&& report) noexcept {
  try {
    const Status status = body();
    if (status) return SQLITE_OK;
    const int rc = status.error().detail != 0 ? status.error().detail : SQLITE_ERROR;
    report(rc, status.error().message.c_str());
    return rc;
  } catch (const std::bad_alloc&) {
    report(SQLITE_NOMEM, "out of memory");
    return SQLITE_NOMEM;
  } catch (const std::exception& failure) {
    report(SQLITE_INTERNAL, failure.what());
    return SQLITE_INTERNAL;
  } catch (...) {
    report(SQLITE_INTERNAL, "unknown failure");
    return SQLITE_INTERNAL;
  }
}

}  // namespace marmot::sqlite
