#include <doctest/doctest.h>

#include <memory>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"

using namespace marmot;

namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return make_error(Errc::bad_input, "odd", 7);
  return value / 2;
}

Result<int> quarter(int value) {
  TRY_ASSIGN(const int once, half(value));
  TRY_ASSIGN(const int twice, half(once));
  return twice;
}

Status check(int value) {
  TRY_IN("check " + std::to_string(value), quarter(value));
  return ok();
}

Status outer(int value) {
  TRY(check(value));
  return ok();
}

}  // namespace

TEST_CASE("result: a value or an error, never both") {
  const Result<int> good = half(4);
  REQUIRE(good);
  CHECK(*good == 2);
  const Result<int> bad = half(3);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Errc::bad_input);
  CHECK(bad.error().message == "odd");
}

TEST_CASE("result: TRY_ASSIGN goes on with the value and returns the error") {
  CHECK(*quarter(8) == 2);
  CHECK_FALSE(quarter(6));
}

TEST_CASE("result: an error keeps its code and detail and reads like a path as it travels up") {
  const Status failed = outer(6);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().message == "check 6: odd");
  CHECK(failed.error().code == Errc::bad_input);
  CHECK(failed.error().detail == 7);
  CHECK(make_error(Errc::io, "no").in("read").in("open").message == "open: read: no");
  CHECK(outer(8));
}

TEST_CASE("result: it carries a move-only value out") {
  const auto make = [](bool good) -> Result<std::unique_ptr<int>> {
    if (!good) return make_error(Errc::internal, "none");
    return std::make_unique<int>(5);
  };
  Result<std::unique_ptr<int>> made = make(true);
  REQUIRE(made);
  const std::unique_ptr<int> taken = *std::move(made);
  CHECK(*taken == 5);
  CHECK_FALSE(make(false));
}

TEST_CASE("ids: hexadecimal without leading zeros, up to all 64 bits") {
  CHECK(to_hex(0) == "0");
  CHECK(to_hex(255) == "ff");
  CHECK(to_hex(UINT64_MAX) == "ffffffffffffffff");
}
