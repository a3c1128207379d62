#!/usr/bin/python3
"""The generated part of the corpus of date and time functions: every one over NULL, empty, negative, huge, fractional, Unicode, malformed
and boundary arguments.

usage: generate_time.py > time_generated.txt

What MySQL and MariaDB answer differently is left to time.txt, which cites the manual: hours above 23 in EXTRACT, periods without a month,
fractions in TIME_TO_SEC, Unix times beyond 2038, times with a fraction at 838:59:59.
"""
import itertools

DATES = ["NULL", "''", "'abc'", "'2020-02-29'", "'1999-12-31 23:59:59.999999'", "'0000-00-00'", "'2008-00-00'", "'2008-02-00'", "'9999-12-31 23:59:59'",
         "'0001-01-01'", "'0000-01-01'", "'2021-02-29'", "'2020-13-01'", "'20200229'", "'200229'", "20200229", "200229", "20200229101112", "0", "-1", "1",
         "9223372036854775807", "-9223372036854775808", "101.5", "200229.5", "'2020-02-29T10:11:12'", "'2020/2/9 1.2.3'", "' 2020-02-29 '", "'2020-02-29x'",
         "'٢٠٢٠-٠٢-٢٩'", "'é'", "X'323032302D30322D3239'", "'1-2-3'", "'69-12-31'", "'70-01-01'", "'2100-02-29'", "'2000-02-29'", "'2020-06-31'",
         "'2020-12-31 23:59'", "'2020-12-31 24:00:00'", "'99991231235959'", "'2020-02-29 10:11:12.9999999'"]
TIMES = ["NULL", "''", "'abc'", "'10:11:12'", "'-10:11:12.5'", "'838:59:59'", "'839:00:00'", "'-839:00:00'", "'1 10:11'", "'10'", "'101112'", "101112", "-101112",
         "0", "'00:00:00.000001'", "'10:60:00'", "'10:11:60'", "'2020-02-29 10:11:12.25'", "20200229101112", "1.5", "'1.5'", "9223372036854775807", "'é'", "'10:11'",
         "'-0:0:1'", "X'31303A3131'", "' 10:11:12x'", "'99999999999'", "'0:0:0.9999996'", "'1 2'", "'+1:2:3'", "'1:2:3.123456789'"]
UNITS = ["MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "SECOND_MICROSECOND", "MINUTE_MICROSECOND", "MINUTE_SECOND",
         "HOUR_MICROSECOND", "HOUR_SECOND", "HOUR_MINUTE", "DAY_MICROSECOND", "DAY_SECOND", "DAY_MINUTE", "DAY_HOUR", "YEAR_MONTH"]
SPECIFIERS = "a b c D d e f H h I i j k l M m p r S s T U u V v W w X x Y y %% q".split()
LOCALES = ["en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR", "ja_JP", "ru_RU", "pl_PL", "de_AT", "sv_SE", "zh_CN"]
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC", "+05:45", "-03:30", "America/Sao_Paulo"]


def say(ours, theirs=None):
    print(ours if theirs is None or theirs == ours else f"{ours} => {theirs}")


def one_argument():
    for function in ["YEAR", "QUARTER", "MONTH", "DAY", "DAYOFMONTH", "DAYOFWEEK", "WEEKDAY", "DAYOFYEAR", "WEEK", "WEEKOFYEAR", "YEARWEEK", "DAYNAME", "MONTHNAME",
                     "LAST_DAY", "TO_DAYS", "TO_SECONDS", "DATE", "TIMESTAMP"]:
        rounds = function in ("DATE", "LAST_DAY")  # see time.txt
        for date in DATES:
            if not (rounds and "9999999" in date) and not (function == "LAST_DAY" and date == "'2008-02-00'"):
                say(f"{function}({date})")
    for function in ["HOUR", "MINUTE", "SECOND", "MICROSECOND", "TIME"]:
        for time in TIMES:
            if function != "MICROSECOND" or ("839" not in time and "9223" not in time):
                say(f"{function}({time})")
    for time in ["NULL", "''", "'10:11:12'", "'-10:11:12'", "'838:59:59'", "'839:00:00'", "101112", "'abc'", "'2020-02-29 10:11:12'"]:
        say(f"TIME_TO_SEC({time})")


def two_arguments():
    times = ["NULL", "'10:11:12'", "'-10:11:12.5'", "'838:59:58'", "0", "'abc'", "'2020-02-29 10:11:12'", "'1999-12-31 23:59:59.999999'", "TIME('1:2:3.25')"]
    for first, second in itertools.product(times, times):
        both = {first, second}
        if "'838:59:58'" not in both:
            say(f"ADDTIME({first}, {second})")
            say(f"SUBTIME({first}, {second})")
        apart = {first[:4], second[:4]} == {"'202", "'199"} or both == {"'-10:11:12.5'", "'838:59:58'"}
        if not apart:
            say(f"TIMEDIFF({first}, {second})")
    dates = ["NULL", "'2020-02-29'", "'1999-12-31 23:59:59.999999'", "'0000-01-01'", "'9999-12-31'", "'2008-00-00'", "20200229", "'abc'", "''"]
    for first, second in itertools.product(dates, dates):
        say(f"DATEDIFF({first}, {second})")
    for date, time in itertools.product(dates, ["NULL", "'10:11:12'", "'-10:11:12.5'", "'abc'", "0", "'24:00:00'"]):
        if "-00-00" not in date:
            say(f"TIMESTAMP({date}, {time})")


def intervals():
    counts = {"single": ["1", "-1", "0", "13", "'2'", "'abc'", "NULL", "9223372036854775807", "-9223372036854775808", "2.5"],
              "compound": ["'1:1'", "'-1 10'", "'1 2:3:4.5'", "5", "'x'", "NULL", "'1-1'", "'99:99:99'", "''"]}
    dates = ["'2020-02-29'", "'1999-12-31 23:59:59'", "DATE('2020-01-31')", "TIMESTAMP('2020-01-31 10:00:00.5')", "TIME('10:11:12')", "20191231"]
    turn = 0
    for unit in UNITS:
        for count in counts["compound" if "_" in unit else "single"]:
            for date in dates:
                turn += 1
                if unit == "YEAR" and "9223" in count:
                    continue  # both servers count in 32 bits there
                if turn % 2 and count not in ("1", "'1:1'"):
                    continue
                sign = ["ADD", "SUB"][turn % 3 == 0]
                say(f"DATE_{sign}({date}, {count}, '{unit}')", f"DATE_{sign}({date}, INTERVAL {count} {unit})")
    for unit in UNITS[:9]:
        for count, date in itertools.product(["1", "-7", "'3'", "NULL"], ["'2020-02-29'", "'2020-02-29 23:59:59.5'"]):
            say(f"TIMESTAMPADD('{unit}', {count}, {date})", f"TIMESTAMPADD({unit}, {count}, {date})")
        for first, second in [("'2020-02-29'", "'2021-02-28'"), ("'2021-02-28 12:00:00'", "'2020-02-29 11:59:59.5'"), ("'2000-01-31'", "'2000-02-29'"),
                              ("'0001-01-01'", "'9999-12-31 23:59:59'"), ("NULL", "'2020-01-01'"), ("'2020-00-01'", "'2020-01-01'"), ("20200101", "20210101")]:
            say(f"TIMESTAMPDIFF('{unit}', {first}, {second})", f"TIMESTAMPDIFF({unit}, {first}, {second})")
    for unit in UNITS:
        for date in ["'2019-07-02 01:02:03.000123'", "'2019-07-02'", "NULL", "'abc'", "20190702010203", "TIMESTAMP('2019-12-31 23:59:59.5')"]:
            say(f"EXTRACT('{unit}', {date})", f"EXTRACT({unit} FROM {date})")
    for days in ["31", "-31", "1.5", "'1'", "NULL", "9223372036854775807", "'abc'", "0"]:
        say(f"ADDDATE('2008-01-02', {days})")
        say(f"SUBDATE('2008-01-02 12:00:00', {days})")


def weeks():
    for year in (1900, 1999, 2000, 2004, 2005, 2008, 2009, 2010, 2011, 2012, 2016, 2020, 2021, 2023):
        for mode in range(8):
            say(f"WEEK('{year}-01-01', {mode})")
            say(f"WEEK('{year}-12-31', {mode})")
            say(f"YEARWEEK('{year}-{1 + (year + mode) % 3:02}-0{1 + mode}', {mode})")
            say(f"YEARWEEK('{year}-12-{24 + mode}', {mode})")
    for mode in range(8):
        say(f"WEEK(IIF(marmot_set_variable('default_week_format', {mode}), '2009-01-0{mode + 1}', ''))", f"WEEK('2009-01-0{mode + 1}', {mode})")
    say("marmot_set_variable('default_week_format', 0)", "1")


def formats():
    dates = ["'2009-10-04 22:23:05.000123'", "'2000-01-01'", "'1900-12-31 00:00:00'", "'2020-02-29 12:30:00.5'", "20111111111111", "'9999-12-31 23:59:59.999999'",
             "'0001-01-01'"]
    for specifier, date in itertools.product(SPECIFIERS, dates):
        say(f"DATE_FORMAT({date}, '%{specifier}')")
    for day in range(1, 32):
        say(f"DATE_FORMAT('2020-01-{day:02}', '%D %e %a %W %w %j')")
    for specifier, time in itertools.product(SPECIFIERS, ["'22:23:05.000123'", "'-1:02:03'", "'100:00:00'", "'2020-02-29 12:30:00'"]):
        say(f"TIME_FORMAT({time}, '%{specifier}')")
    for argument in ["NULL", "''", "'abc'", "'%'", "'%%%'", "'é%Yé'", "12", "'%Y %'"]:
        say(f"DATE_FORMAT('2020-02-29', {argument})")
        say(f"TIME_FORMAT('10:11:12', {argument})")
    for locale in LOCALES:
        for month in range(1, 13):
            date = f"2023-{month:02}-{month + 9}"
            say(f"DATE_FORMAT(IIF(marmot_set_variable('lc_time_names', '{locale}'), '{date}', ''), '%W %a %d %M %b')", f"DATE_FORMAT('{date}', '%W %a %d %M %b', '{locale}')")
        say(f"DAYNAME(IIF(marmot_set_variable('lc_time_names', '{locale}'), '2023-01-01', ''))", f"DATE_FORMAT('2023-01-01', '%W', '{locale}')")
        say(f"MONTHNAME(IIF(marmot_set_variable('lc_time_names', '{locale}'), '2023-03-01', ''))", f"DATE_FORMAT('2023-03-01', '%M', '{locale}')")
    say("marmot_set_variable('lc_time_names', 'en_US')", "1")


def scans():
    texts = ["'2020'", "'02'", "'7'", "'123456'", "'Monday'", "'may'", "'Feb'", "'PM'", "'-1'", "''", "'99'", "'2nd'"]
    for specifier in SPECIFIERS:
        for text in texts:
            if specifier == "e" or specifier == "%%":
                continue
            say(f"STR_TO_DATE({text}, '%{specifier}')")
    for specifier in "a b c D d e f H h I i k l M m p S s T U u V v W w X x y".split():
        for text in ["'12'", "'5'", "'Tue'", "'December'"]:
            if specifier == "y" and text == "'5'":
                continue  # 29 February 2005
            say(f"STR_TO_DATE('2020-02-29 {text[1:-1]}', '%Y-%m-%d %{specifier}')")


def made():
    numbers = ["NULL", "0", "1", "-1", "59", "60", "366", "2011", "'12'", "'abc'", "1.5", "9223372036854775807", "-9223372036854775808"]
    for first, second in itertools.product(numbers, numbers):
        say(f"MAKEDATE({first}, {second})")
    for hour, minute, second in itertools.product(["NULL", "0", "12", "-12", "838", "839", "'7'", "1.5"], ["0", "59", "60", "-1", "NULL"], ["0", "59.5", "60", "'3'"]):
        if hour not in ("838", "839") or second in ("0", "60"):
            say(f"MAKETIME({hour}, {minute}, {second})")
    for number in numbers + ["3020399", "3020400", "-3020399", "86399.999999", "'1.5'", "''"]:
        if "9223372036854775807" not in number and "9223372036854775808" not in number:
            say(f"SEC_TO_TIME({number})")
    for number in numbers + ["365", "367", "730669", "3652424", "3652425", "3652499", "''"]:
        say(f"FROM_DAYS({number})")
    for period, months in itertools.product(["NULL", "200801", "6912", "7001", "101", "'200812'", "999912"], ["NULL", "0", "1", "-1", "24", "'3'", "-12"]):
        say(f"PERIOD_ADD({period}, {months})")
    for first, second in itertools.product(["NULL", "200801", "6912", "7001", "'200812'", "999912"], repeat=2):
        say(f"PERIOD_DIFF({first}, {second})")
    for kind, name in itertools.product(["DATE", "TIME", "DATETIME", "TIMESTAMP"], ["EUR", "USA", "JIS", "ISO", "INTERNAL", "xyz"]):
        say(f"GET_FORMAT('{kind}', '{name}')", f"GET_FORMAT({kind}, '{name}')")


def clocks():
    for seconds in ["NULL", "0", "1", "-1", "1447430881", "1447430881.5", "2147483647", "'1447430881'", "'1.5'", "'abc'", "''", "0.000001", "'1447430881abc'"]:
        say(f"FROM_UNIXTIME({seconds})")
        say(f"FROM_UNIXTIME({seconds}, '%Y-%m-%d %H:%i:%s.%f')")
    for date in ["NULL", "'2015-11-13 10:20:19'", "'2015-11-13 10:20:19.012'", "'abc'", "''", "20151113102019", "'2015-00-00'", "'2015-02-29'", "'2038-01-19 03:14:07'", "151113"]:
        say(f"UNIX_TIMESTAMP({date})")
    # Either side of where clocks go forward and back.
    locals_ = ["2024-03-31 01:59:59", "2024-03-31 02:30:00", "2024-03-31 03:00:00", "2024-10-27 01:30:00", "2024-10-27 02:30:00", "2024-10-27 03:00:00", "2024-03-10 02:30:00",
               "2024-11-03 01:30:00", "2024-04-07 01:45:00", "2024-10-06 02:15:00", "2018-11-04 00:30:00", "1985-06-01 12:00:00.25"]
    for zone in ZONES:
        for local in locals_:
            say(f"CONVERT_TZ('{local}', '{zone}', 'UTC')")
            say(f"CONVERT_TZ('{local}', 'UTC', '{zone}')")
        for local in locals_[:8]:
            say(f"UNIX_TIMESTAMP(IIF(marmot_set_time_zone('{zone}'), '{local}', ''))", f"UNIX_TIMESTAMP(CONVERT_TZ('{local}', '{zone}', 'UTC'))")
        for seconds in ["1711846800", "1711846799", "1729990800", "1447430881.5"]:
            say(f"FROM_UNIXTIME(IIF(marmot_set_time_zone('{zone}'), {seconds}, 0))", f"CONVERT_TZ(FROM_UNIXTIME({seconds}), 'UTC', '{zone}')")
        say(f"NOW(IIF(marmot_set_time_zone('{zone}'), 6, 0))", f"CONVERT_TZ(NOW(6), 'UTC', '{zone}')")
    say("marmot_set_time_zone('+00:00')", "1")
    for date, source, target in itertools.product(["NULL", "'abc'", "'2020-01-01'"], ["NULL", "'UTC'", "'nowhere'"], ["'Europe/Berlin'", "''", "'+13:00'", "'/etc/passwd'"]):
        say(f"CONVERT_TZ({date}, {source}, {target})")
    for function in ["NOW", "CURTIME", "UTC_TIME", "UTC_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", '"CURRENT_TIME"', '"CURRENT_TIMESTAMP"']:
        for precision in ["", "0", "1", "2", "3", "4", "5", "6", "7"]:
            say(f"{function}({precision})", f"{function.strip(chr(34))}({precision})")
    for function in ["CURDATE", "UTC_DATE", '"CURRENT_DATE"']:
        say(f"{function}()", f"{function.strip(chr(34))}()")


def main():
    print("# Made by generate_time.py: do not edit.")
    for chapter in (one_argument, two_arguments, intervals, weeks, formats, scans, made, clocks):
        print(f"# {chapter.__name__}")
        chapter()


if __name__ == "__main__":
    main()
