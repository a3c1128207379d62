#!/usr/bin/python3
"""Writes cast_generated.txt: every type of CAST() over numbers, texts, binary strings, dates and JSON."""
import os

NUMBERS = ["0", "1", "-1", "255", "1.5", "-1.5", "2.5", "0.05", "99.995", "1e3", "1e-7", "1e18", "-1e18", "9223372036854775807", "-9223372036854775808", "123456.789", "20010203",
           "101112", "69", "70", "1901", "2156"]
TEXTS = ["", " ", "abc", "12abc", " 12", "-12", "+5", "1.9", "-1.9", "1e3", ".5", "18446744073709551615", "18446744073709551616", "9223372036854775808", "-9223372036854775809", "0x10",
         "2001-02-03", "2001-02-03 10:11:12.5678905", "10:11:12.9999996", "-10:11:12", "20010203101112", "2001-02-30", "0000-00-00", "838:59:59", "900:00:00", "ä€😀z", "69", "1979aaa"]
BINARIES = ["x''", "x'31'", "x'6162'"]
TYPES = ["SIGNED", "UNSIGNED INTEGER", "DECIMAL", "DECIMAL(5,2)", "DECIMAL(30,10)", "DOUBLE", "CHAR", "CHAR(2)", "BINARY", "BINARY(3)", "DATE", "DATETIME", "DATETIME(3)", "TIME", "TIME(6)"]
TEMPORALS = [("DATE('2001-02-03')", "DATE('2001-02-03')"), ("TIMESTAMP('2001-02-03 10:11:12.5')", "TIMESTAMP('2001-02-03 10:11:12.5')"), ("TIME('10:11:12')", "TIME('10:11:12')")]


# What MySQL 8.0 answers otherwise than MariaDB, by value and type.
CITED = {
    ("TIMESTAMP('2001-02-03 10:11:12.5')", "SIGNED"): "INTEGER 20010203101113 -- manual 13.2.8: DATETIME(N) is a DECIMAL with N digits, which rounds; MariaDB cuts",
    ("TIMESTAMP('2001-02-03 10:11:12.5')", "UNSIGNED INTEGER"): "INTEGER 20010203101113 -- manual 13.2.8: DATETIME(N) is a DECIMAL with N digits, which rounds; MariaDB cuts",
    ("-1.5", "UNSIGNED INTEGER"): "INTEGER 18446744073709551614 -- Item_typecast_unsigned (item_func.cc): a negative DECIMAL in two's complement; MariaDB gives 0",
    ("-1e18", "UNSIGNED INTEGER"): "INTEGER 17446744073709551616 -- Item_typecast_unsigned (item_func.cc): a negative number in two's complement; MariaDB gives 0",
    ("'ä€😀z'", "BINARY(3)"): "BINARY c3a4e2 -- manual 14.10, BINARY(N): no more than N bytes; MariaDB takes 3 characters",
    **{(value, "TIME(6)"): f"TIME {sign}838:59:59.000000 -- manual 13.2.1: TIME ends at 838:59:59.000000"
       for value, sign in (("1e18", ""), ("-1e18", "-"), ("9223372036854775807", ""), ("-9223372036854775808", "-"), ("'900:00:00'", ""))},
}


def main():
    lines = ["# Written by generate_cast.py."]

    def say(value, kind, server=None):
        cited = CITED.get((value, kind))
        lines.append(f"\"CAST\"({value}, '{kind.lower()}') => CAST({server or value} AS {kind})" + (f" == {cited}" if cited else ""))

    for kind in TYPES:
        for value in ["NULL"] + NUMBERS + [f"'{text}'" for text in TEXTS] + BINARIES:
            say(value, kind)
        for ours, theirs in TEMPORALS:
            if not (ours.startswith("TIME(") and kind[:4] == "DATE"):  # whose date would be today's: cast.txt has them
                say(ours, kind, theirs)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cast_generated.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
