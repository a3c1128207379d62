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


def main():
    lines = ["# Written by generate_cast.py."]

    def say(value, kind, server=None):
        lines.append(f"\"CAST\"({value}, '{kind.lower()}') => CAST({server or value} AS {kind})")

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
