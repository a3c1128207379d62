// Control flow, comparison, bits (MySQL 8.0 manual, 14.5, 14.4, 14.12). CAST and CONVERT are in cast.cpp.
#include <array>
#include <bit>

#include "common/mysql/functions/table.hpp"

namespace marmot::mysql {

namespace {

// --- control flow: 14.5 ------------------------------------------------------------------------------------------------------

// IF(condition, then, else)
void if_(Call& call) { call.same_as(!call.is_null(0) && call.truth(0) ? 1 : 2); }
// IFNULL(a, b)
void if_null(Call& call) { call.same_as(call.is_null(0) ? 1 : 0); }
// COALESCE(a, ...)
void coalesce(Call& call) {
  for (int i = 0; i < call.count(); ++i) {
    if (!call.is_null(i)) return call.same_as(i);
  }
}

// --- comparison: 14.4 --------------------------------------------------------------------------------------------------------

// As MySQL compares two values that are not NULL (14.3): two texts by the collation, numbers exactly, a text and a number as DOUBLEs.
int compare(Call& call, int a, int b) {
  const bool text_a = !call.is_number(a), text_b = !call.is_number(b);
  if (text_a && text_b) return call.compare_texts(a, b);
  if (text_a || text_b) {
    const double x = call.real(a), y = call.real(b);
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const auto order = call.decimal(a).compare(call.decimal(b));
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

// NULLIF(a, b): NULL when they are equal, else a
void null_if(Call& call) {
  if (!call.is_null(0) && !call.is_null(1) && compare(call, 0, 1) == 0) return call.null();
  call.same_as(0);
}

// ISNULL(x), as IS_NULL where the grammar forbids it
void is_null(Call& call) { call.integer_is(call.is_null(0) ? 1 : 0); }

// GREATEST(a, b, ...), LEAST(a, b, ...): numbers and texts together are compared, and answered, as texts
void extreme(Call& call, int wanted) {
  bool text = false;
  for (int i = 0; i < call.count(); ++i) text |= !call.is_number(i);
  int best = 0;
  for (int i = 1; i < call.count(); ++i) {
    const int order = text ? call.compare_texts(i, best) : compare(call, i, best);
    if (order * wanted > 0) best = i;
  }
  if (text && call.is_number(best)) return call.text_is(call.text(best));
  call.same_as(best);
}
void greatest(Call& call) { extreme(call, 1); }
void least(Call& call) { extreme(call, -1); }

// INTERVAL(n, n1, n2, ...) with n1 < n2 < ...: how many of them are not above n; -1 for NULL. As INTERVAL_ where the grammar forbids it
void interval(Call& call) {
  if (call.is_null(0)) return call.integer_is(-1);
  int below = 1, above = call.count();
  while (below < above) {
    const int middle = below + (above - below) / 2;
    const bool not_above = call.is_null(middle) || (call.is_number(0) && call.is_number(middle) ? compare(call, middle, 0) <= 0 : call.real(middle) <= call.real(0));
    if (not_above) below = middle + 1;
    else above = middle;
  }
  call.integer_is(below - 1);
}

// --- bits: 14.12 -------------------------------------------------------------------------------------------------------------

// BIT_COUNT(n): of 64 bits; of a BLOB, of all its bytes
void bit_count(Call& call) {
  if (!call.is_blob(0)) return call.integer_is(std::popcount(call.bits(0)));
  int64_t out = 0;
  for (const char byte : call.text(0)) out += std::popcount(static_cast<unsigned char>(byte));
  call.integer_is(out);
}

constexpr std::array kComparisonFunctions = {
    Function{"BIT_COUNT", 1, 1, kStrict, bit_count},
    Function{"COALESCE", 1, kMany, kPure, coalesce},
    Function{"GREATEST", 2, kMany, kStrict, greatest},
    Function{"IF", 3, 3, kPure, if_},
    Function{"IFNULL", 2, 2, kPure, if_null},
    Function{"INTERVAL", 2, kMany, kPure, interval},
    Function{"INTERVAL_", 2, kMany, kPure, interval},
    Function{"ISNULL", 1, 1, kPure, is_null},
    Function{"IS_NULL", 1, 1, kPure, is_null},
    Function{"LEAST", 2, kMany, kStrict, least},
    Function{"NULLIF", 2, 2, kPure, null_if},
};

}  // namespace

std::span<const Function> comparison_functions() { return kComparisonFunctions; }

}  // namespace marmot::mysql
