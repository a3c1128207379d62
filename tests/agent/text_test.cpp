#include "agent/report/text.hpp"

#include <doctest/doctest.h>

#include "agent/config/config.hpp"
#include "agent/report/progress.hpp"

using namespace marmot::agent;

TEST_CASE("text: numbers are grouped by thousands") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(counted(1, "row") == "1 row");
  CHECK(counted(15607, "row") == "15,607 rows");
}

TEST_CASE("text: durations") {
  CHECK(spoken_ms(0) == "0 ms");
  CHECK(spoken_ms(999) == "999 ms");
  CHECK(spoken_ms(2400) == "2.4 s");
  CHECK(spoken_ms(180'000) == "3 min");
  CHECK(spoken_ms(3 * 3'600'000) == "3.0 h");
  CHECK(spoken_ms(int64_t{4} * 86'400'000) == "4.0 d");
}

TEST_CASE("text: control characters in a name cannot move the cursor") {
  CHECK(printable("a\x1b[2J\nb") == "a\\x1b[2J\\x0ab");
  CHECK(printable("h\xc3\xa9") == "h\xc3\xa9");
}

TEST_CASE("text: columns are as wide as their widest cell, counted in characters; the last is not padded") {
  CHECK(columns({{"a", "b"}, {"l\xc3\xa4nger", "c"}}) == "a       b\nl\xc3\xa4nger  c\n");
  CHECK(columns({{"only"}}) == "only\n");
}

TEST_CASE("text: a near word is proposed, a far one is not") {
  CHECK(did_you_mean("tabels", {"tables", "exclude"}) == "tables");
  CHECK(did_you_mean("xyzzy", {"tables", "exclude"}) == "");
  CHECK(did_you_mean("", {"tables"}) == "");
}

TEST_CASE("progress: the bar shows the share, a total that is unknown shows the count") {
  CHECK(progress_line("copy", 50, 100) == "copy  [############            ]  50 %  50 of 100");
  CHECK(progress_line("copy", 0, 3) == "copy  [                        ]   0 %  0 of 3");
  CHECK(progress_line("copy", 5, 3) == "copy  [########################] 100 %  3 of 3");
  CHECK(progress_line("copy", 12345, 0) == "copy  12,345");
}
