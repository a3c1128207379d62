#!/usr/bin/python3
"""MySQL functions beside SQLite's own, calls a second, in one process and one run.

usage: functions.py LIBMARMOT [--smoke]

Each line: a function of ours, and the nearest built-in of SQLite's over the same column. What a call costs is the CPU time of
SELECT count(f(column)) over a table less that of SELECT count(column).
"""
import argparse
import os
import sqlite3
import time

# (ours, SQLite's nearest; None: it has none). s: a sentence; d: a datetime; n: an integer; r: a real; j: a document
PAIRS = [
    ("mysql_concat_ws(',', s, n)", "printf('%s,%d', s, n)"), ("mysql_concat(s, n)", "s || n"), ("mysql_date_format(d, '%Y-%m-%d %H:%i')", "strftime('%Y-%m-%d %H:%M', d)"),
    ("mysql_substring_index(s, ' ', 2)", "substr(s, 1, 10)"), ("mysql_md5(s)", "hex(s)"), ("mysql_lower(s)", "lower(s)"), ("mysql_upper(s)", "upper(s)"),
    ("mysql_substring(s, 3, 5)", "substr(s, 3, 5)"), ("mysql_replace(s, 'o', '0')", "replace(s, 'o', '0')"), ("mysql_char_length(s)", "length(s)"),
    ("mysql_trim(s)", "trim(s)"), ("mysql_locate('row', s)", "instr(s, 'row')"), ("mysql_if(n > 5, s, d)", "iif(n > 5, s, d)"), ("mysql_round(r, 2)", "round(r, 2)"),
    ("mysql_date_add(d, 1, 'DAY')", "datetime(d, '+1 day')"), ("mysql_datediff(d, '2020-01-01')", "julianday(d) - julianday('2020-01-01')"),
    ("mysql_year(d)", "strftime('%Y', d)"), ("mysql_unix_timestamp(d)", "strftime('%s', d)"), ("mysql_json_extract(j, '$.a')", "json_extract(j, '$.a')"),
    ("mysql_regexp_like(s, 'row [0-9]+')", "s LIKE '%row %'"),
]


def seconds(connection, expression, repeats):
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        connection.execute(f"SELECT count({expression}) FROM t").fetchone()
        best = min(best, time.process_time() - began)
    return best


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("library")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    rows, repeats = (2000, 1) if options.smoke else (200000, 5)
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(os.path.abspath(options.library).removesuffix(".so"))
    connection.execute("SELECT marmot_set_time_zone('+00:00')").fetchone()
    connection.execute("CREATE TABLE t(n INTEGER, r REAL, s TEXT, d TEXT, j TEXT)")
    connection.execute("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ?) INSERT INTO t SELECT i % 10, i / 7.0, 'this is row ' || i || ' of the table', "
                       "datetime(1600000000 + i, 'unixepoch'), json_object('a', i, 'b', 'x') FROM c", (rows,))
    print("| function | calls/s | SQLite's nearest | calls/s | ratio |\n|---|---|---|---|---|")
    for ours, theirs in PAIRS:
        # The column alone is measured each time, beside the two: the machine is not alike for long.
        bare = seconds(connection, "s", repeats)
        speeds = [rows / max(seconds(connection, expression, repeats) - bare, 1e-9) for expression in (ours, theirs)]
        print(f"| `{ours}` | {speeds[0]:,.0f} | `{theirs}` | {speeds[1]:,.0f} | {speeds[0] / speeds[1]:.2f} |")
    if options.smoke:
        print("1 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    main()
