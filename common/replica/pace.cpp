#include "common/replica/pace.hpp"

#include "sql.hpp"

namespace marmot::replica {

using sqlite::Statement;

namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;
constexpr int64_t kWeekMs = 7 * kDayMs;
constexpr double kFarMs = 1000.0 * 365 * static_cast<double>(kDayMs);

std::optional<int64_t> until(int64_t limit, const IdForecast& pace) {
  if (pace.highest >= limit) return 0;
  if (pace.grown <= 0) return std::nullopt;
  const double ms = static_cast<double>(limit - pace.highest) / static_cast<double>(pace.grown) * static_cast<double>(pace.window_ms);
  return ms < kFarMs ? std::optional(static_cast<int64_t>(ms)) : std::nullopt;
}

}  // namespace

Result<std::vector<IdForecast>> id_forecasts(sqlite::Database& db, WallMs now) {
  std::vector<IdForecast> out;
  TRY_ASSIGN(const int64_t kept, db.query_integer(sql::kHasPace));
  if (kept < 2) return out;  // its samples, and sqlite_sequence
  TRY_ASSIGN(Statement rows, db.prepare(sql::kSelectPace));
  for (;;) {
    TRY_ASSIGN(const bool more, rows.step());
    if (!more) return out;
    IdForecast one{std::string(rows.text(0)), rows.integer(1), now - rows.integer(2), rows.integer(1) - rows.integer(3), {}, {}};
    if (one.window_ms < kHourMs) continue;
    one.to_31_bits = until(int64_t{1} << 31, one);
    one.to_53_bits = until(int64_t{1} << 53, one);
    out.push_back(std::move(one));
  }
}

Status sample_pace(sqlite::Database& db, int64_t table_id, int64_t highest, WallMs now, WallMs& last) {
  if (last == 0) {
    TRY_ASSIGN(Statement newest, db.prepare(sql::kNewestPace));
    newest.bind(1, table_id);
    TRY(newest.step());
    last = newest.integer(0);
  }
  if (now >= last && now - last < kDayMs) return ok();
  TRY_ASSIGN(Statement put, db.prepare(sql::kPutPace));
  put.bind(1, table_id).bind(2, now).bind(3, highest);
  TRY(put.run());
  TRY_ASSIGN(Statement prune, db.prepare(sql::kPrunePace));
  prune.bind(1, table_id).bind(2, now).bind(3, now - kWeekMs);
  TRY(prune.run());
  last = now;
  return ok();
}

}  // namespace marmot::replica
