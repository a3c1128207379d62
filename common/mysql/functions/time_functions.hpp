// The bodies of the date and time functions, by what they do; time.cpp has the table and says what each is called.
#pragma once

#include "common/mysql/functions/call.hpp"

namespace marmot::mysql::time {

// time_clock.cpp
void now(Call& call);
void sysdate(Call& call);
void curdate(Call& call);
void curtime(Call& call);
void utc_timestamp(Call& call);
void utc_date(Call& call);
void utc_time(Call& call);
void unix_timestamp(Call& call);
void from_unixtime(Call& call);
void convert_tz(Call& call);

// time_arithmetic.cpp
void date_add(Call& call);
void date_sub(Call& call);
void timestampadd(Call& call);
void timestampdiff(Call& call);
void addtime(Call& call);
void subtime(Call& call);
void timediff(Call& call);
void datediff(Call& call);
void timestamp(Call& call);
void period_add(Call& call);
void period_diff(Call& call);

// time_convert.cpp
void date_format(Call& call);
void time_format(Call& call);
void str_to_date(Call& call);
void get_format(Call& call);
void dayname(Call& call);
void monthname(Call& call);
void from_days(Call& call);
void makedate(Call& call);
void maketime(Call& call);
void sec_to_time(Call& call);
void extract(Call& call);

}  // namespace marmot::mysql::time
