#!/usr/bin/python3
"""Writes CHAPTER_generated.txt: every function of a chapter over arguments at its edges.

usage: generate.py [CHAPTER...]

The choice is fixed by the function's name, so adding one changes no other's cases.
"""
import itertools
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

INTEGERS = ["0", "1", "-1", "2", "7", "10", "255", "-128", "2147483648", "9223372036854775807", "-9223372036854775807"]
FRACTIONS = ["0.5", "-0.5", "1.5", "2.5", "-2.5", "1.005", "0.1", "123.456", "-999.999", "0.0001", "99999.99999"]
TEXTS = ["''", "'abc'", "'12'", "'-1.5'", "'12abc'", "'Hello World'", "'naïve'", "'日本語'", "'a,b,,c'", "' x '"]
NUMBERS = INTEGERS + FRACTIONS
ANGLES = ["0", "0.5", "1", "-1", "1.5", "-0.25", "2", "100", "'0.5'", "'x'"]
DIGITS = ["0", "1", "2", "-1", "-2", "5", "-30", "30"]
ANY = NUMBERS + TEXTS
BASES = ["2", "8", "10", "16", "36", "-10", "-2", "1", "37", "0"]

# Function: the pool of each argument. NULL is tried in every place besides.
FUNCTIONS = {
    "numeric": {
        "ABS": [ANY], "ACOS": [ANGLES], "ASIN": [ANGLES], "ATAN": [ANGLES], "ATAN2": [ANGLES, ANGLES], "CEIL": [ANY], "CEILING": [NUMBERS],
        "CONV": [["'a'", "'ff'", "'-17'", "'6E'", "10", "'zz'", "''", "'18446744073709551615'", "'18446744073709551616'", "'1.9'", "-1"], BASES, BASES],
        "COS": [ANGLES], "COT": [["0.5", "1", "-1", "100", "'0.5'"]], "CRC32": [ANY], "DEGREES": [ANY], "EXP": [["0", "1", "-1", "2.5", "709", "710", "-800", "'1'", "'x'"]],
        "FLOOR": [ANY], "LN": [ANY], "LOG": [ANY], "LOG10": [ANY], "LOG2": [ANY],
        "MOD": [NUMBERS + ["'7.5'", "'abc'"], NUMBERS + ["'2'", "''"]],
        "POW": [["0", "1", "2", "-2", "0.5", "10", "'3'"], ["0", "1", "2", "-1", "0.5", "308", "'2'"]], "POWER": [["2", "-2", "0.5"], ["3", "-2", "1.5"]],
        "RADIANS": [ANY], "ROUND": [ANY, DIGITS], "SIGN": [ANY], "SIN": [ANGLES], "SQRT": [ANY], "TAN": [ANGLES], "TRUNCATE": [ANY, DIGITS],
        "RAND": [["0", "1", "2", "3", "-1", "10", "4294967295", "4294967296"]],
    },
}
MOST = 40  # cases a function


def cases(function, pools, most):
    alone = [f"{function}({', '.join(arguments)})" for arguments in itertools.product(*pools)]
    if len(alone) > most:
        alone = random.Random(function).sample(alone, most)
    for place in range(len(pools)):
        arguments = [pool[0] for pool in pools]
        arguments[place] = "NULL"
        alone.append(f"{function}({', '.join(arguments)})")
    return alone


def main():
    for chapter in sys.argv[1:] or sorted(FUNCTIONS):
        with open(os.path.join(HERE, chapter + "_generated.txt"), "w", encoding="utf-8") as file:
            file.write(f"# made by generate.py {chapter}\n")
            for function, pools in FUNCTIONS[chapter].items():
                most = MOST if len(pools) == 1 else 3 * MOST
                file.write("".join(line + "\n" for line in dict.fromkeys(cases(function, pools, most))))


if __name__ == "__main__":
    main()
