// Functions of the clock and of time zones (manual 14.7).
#include "common/mysql/functions/time_clock.hpp"

#include "common/mysql/functions/session.hpp"
#include "common/mysql/functions/time_convert.hpp"
#include "common/mysql/functions/time_functions.hpp"
#include "common/mysql/functions/time_values.hpp"
#include "common/mysql/functions/time_zone.hpp"

namespace marmot::mysql {

namespace {

constexpr int kErTooBigPrecision = 1426;               // ER_TOO_BIG_PRECISION
constexpr int64_t kMostUnixSeconds = 32'536'771'199;   // 3001-01-18 23:59:59 UTC, since 8.0.28

struct StatementClock final : Kept {
  int64_t now_us = 0;
};

// A clock's time `unix_us` in `zone`; nullptr: UTC.
Moment clock_at(int64_t unix_us, const TimeZone* zone) {
  const int64_t micro = (unix_us % kMicro + kMicro) % kMicro;
  const int64_t seconds = (unix_us - micro) / kMicro;
  Moment out;
  out.microsecond = static_cast<int>(micro);
  set_unix_seconds(out, zone != nullptr ? zone->local(seconds) : seconds);
  out.digits = 6;
  return out;
}

// The precision, argument 0, of NOW(fsp) and its like: 0 to 6; -1: the call has failed.
int precision_of(Call& call) {
  if (call.count() == 0 || call.is_null(0)) return 0;
  const int64_t digits = call.integer(0);
  if (digits >= 0 && digits <= 6) return static_cast<int>(digits);
  call.fail(kErTooBigPrecision, "precision " + std::to_string(digits) + " is not from 0 to 6");
  return -1;
}

void answer_clock(Call& call, Moment moment, TimeKind kind) {
  const int digits = precision_of(call);
  if (digits < 0) return;
  moment.kind = kind;
  moment.digits = digits;
  answer(call, moment);
}

}  // namespace

int64_t statement_now_us(Call& call) {
  Session& session = call.session();
  return call
      .kept<StatementClock>(Keeper::kStatement,
                            [&] {
                              auto out = std::make_shared<StatementClock>();
                              out->now_us = session.timestamp_us != 0 ? session.timestamp_us : session.environment.now_us();
                              return out;
                            })
      ->now_us;
}

Moment local_now(Call& call) { return clock_at(statement_now_us(call), &zone_of(call.session())); }

namespace time {

void now(Call& call) { answer_clock(call, local_now(call), TimeKind::datetime); }
void curtime(Call& call) { answer_clock(call, local_now(call), TimeKind::time); }
void utc_timestamp(Call& call) { answer_clock(call, clock_at(statement_now_us(call), nullptr), TimeKind::datetime); }
void utc_time(Call& call) { answer_clock(call, clock_at(statement_now_us(call), nullptr), TimeKind::time); }

void sysdate(Call& call) {
  answer_clock(call, clock_at(call.session().environment.now_us(), &zone_of(call.session())), TimeKind::datetime);
}

void curdate(Call& call) {
  Moment out = local_now(call);
  out.kind = TimeKind::date;
  answer(call, out);
}

void utc_date(Call& call) {
  Moment out = clock_at(statement_now_us(call), nullptr);
  out.kind = TimeKind::date;
  answer(call, out);
}

void unix_timestamp(Call& call) {
  if (call.count() == 0) return call.integer_is(statement_now_us(call) / kMicro);
  const auto moment = datetime_today(call, 0, Dates::whole);
  if (!moment) return;
  const int64_t seconds = zone_of(call.session()).unix(unix_seconds(*moment));
  if (seconds < 0 || seconds > kMostUnixSeconds) return call.integer_is(0);
  if (moment->digits == 0) return call.integer_is(seconds);
  call.decimal_is(Decimal::parse(std::to_string(seconds * kMicro + moment->microsecond) + "e-6").rounded(moment->digits, false));
}

void from_unixtime(Call& call) {
  const auto since = decimal_microseconds(call, 0);
  if (!since || since->count < 0 || since->count / kMicro > kMostUnixSeconds) return;
  Moment out = clock_at(since->count, &zone_of(call.session()));
  out.digits = call.is_number(0) ? since->digits : out.microsecond != 0 ? 6 : 0;
  if (call.count() == 1) return answer(call, out);
  answer_format(call, out, 1);
}

namespace {
std::shared_ptr<const TimeZone> zone_argument(Call& call, int i) {
  struct Found final : Kept {
    std::shared_ptr<const TimeZone> zone;
  };
  return call
      .kept<Found>(i,
                   [&] {
                     auto out = std::make_shared<Found>();
                     out->zone = TimeZone::find(call.text(i));
                     return out;
                   })
      ->zone;
}
}  // namespace

void convert_tz(Call& call) {
  auto moment = datetime_today(call, 0, Dates::whole);
  const auto from = zone_argument(call, 1), to = zone_argument(call, 2);
  if (!moment || from == nullptr || to == nullptr) return;
  moment->kind = TimeKind::datetime;
  const int64_t seconds = from->unix(unix_seconds(*moment));
  // "If the value falls out of the supported range of TIMESTAMP when converted from from_tz to UTC, no conversion occurs."
  if (seconds > 0 && seconds <= kMostUnixSeconds) set_unix_seconds(*moment, to->local(seconds));
  answer(call, *moment);
}

}  // namespace time

}  // namespace marmot::mysql
