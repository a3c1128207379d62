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

COUNTS = ["0", "1", "2", "3", "-1", "-2", "7", "100", "2.5", "'1'", "'x'", "9223372036854775807", "-9223372036854775807"]
BYTES = ["x''", "x'00'", "x'c3a9'", "x'61206220'", "x'ff41'"]
WORDS = ["''", "'a'", "'abc'", "'Hello World'", "'naïve'", "'日本語'", "'😀x'", "'a,b,,c'", "' x '", "'ABC'", "'%_'", "'ÀÉÎ'", "'it''s'", "'a\\b'", "12", "-1.5"]
STRINGS = WORDS + BYTES
QUOTED = [word for word in STRINGS if word[-1] == "'"]  # MariaDB mistakes the character set of a number beside text
SHORT = ["''", "'a'", "'b'", "'é'", "'ab'", "','", "' '", "'日'", "'A'", "x'61'", "1"]
BASE64 = ["''", "'YQ=='", "'YWI='", "'YWJj'", "'YWJjZA'", "'Y W J j'", "'Y!=='", "'===='", "'YQ=a'", "'4pyT8J+Yig=='", "'AAAA'", "'+/+/'", "'-_-_'", "12", "1234", "x'5951'"]
LOCALES = ["'en_US'", "'de_DE'", "'de_CH'", "'fr_FR'", "'hi_IN'", "'en_IN'", "'pt_BR'", "'ru_RU'", "'pl_PL'", "'tr_TR'", "'ja_JP'", "'sv_SE'", "'it_CH'", "'ar_SA'",
           "'cs_CZ'", "'el_GR'", "'id_ID'", "'nl_NL'", "'ta_IN'", "'zz_ZZ'", "'EN_us'"]
COMPARED = ["''", "'a'", "'A'", "'b'", "'é'", "'E'", "'ß'", "'ss'", "'æ'", "'ae'", "'abc'", "'ABD'", "'a b'", "'a-b'", "'日本'", "'か'", "'カ'", "'Ж'", "'ж'", "'_'", "'1'", "'10'",
            "'a '", "'ÅÄÖ'", "'aao'", "'z'", "'😀'", "'ñ'", "'N'"]
PATTERNS = ["''", "'%'", "'_'", "'a%'", "'%a'", "'%B%'", "'a_c'", "'A\\_C'", "'\\%'", "'_b_'", "'%é%'", "'日_語'", "'%%'", "'a\\'", "'%a%b%c%'", "'___'", "'E%'", "'ss'", "1"]
SUBJECTS = ["''", "'abc'", "'aXbYc'", "'Hello, World'", "'2024-01-15'", "'foo.bar@example.com'", "'aaa'", "'ÀÉÎ'", "'日本語 text'", "'a1b22c333'", "'  x  '", "'ABC abc'", "'😀x😀'", "12345"]
EXPRESSIONS = ["'a'", "'^a'", "'c$'", "'[0-9]+'", "'[a-z]+'", "'\\d{2,}'", "'(a|b)+'", "'\\w+@\\w+'", "'^$'", "'x?y'", "'.'", "'[^a-z ]'", "'(.)\\1'", "'\\bx\\b'", "'[[:digit:]]+'",
               "'[[:space:]]'", "'é'", "'日.'", "'a.*c'", "'a.*?c'", "'(?i)ABC'", "'(?=a)b'", "'\\.'", "'😀'", "'('", "'['", "1"]

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
    "strings": {
        "ASCII": [STRINGS], "BIN": [ANY], "BIT_LENGTH": [STRINGS], "CHAR": [NUMBERS + ["'65'", "'x'"], ["66", "0", "256", "-1"]], "CHAR_LENGTH": [STRINGS], "CHARACTER_LENGTH": [WORDS],
        "CONCAT": [STRINGS, STRINGS], "CONCAT_WS": [SHORT, STRINGS, STRINGS], "ELT": [COUNTS[:-1], STRINGS, WORDS], "EXPORT_SET": [INTEGERS + ["'5'", "2.5"], ["'Y'", "'é'", "1"], ["'N'", "''"], ["','", "''", "'-'"], ["4", "0", "8", "-1", "64", "65"]],
        "FIELD": [COMPARED, COMPARED, COMPARED], "FIND_IN_SET": [SHORT, ["''", "'a,b,,c'", "','", "'A,É'", "'日,b'", "'ab'", "1", "x'612c62'"]],
        "FORMAT": [ANY, ["0", "1", "2", "5", "-1", "10", "'2'", "1.5"], LOCALES], "FROM_BASE64": [BASE64], "HEX": [ANY + BYTES],
        "INSERT": [STRINGS, COUNTS, COUNTS, SHORT], "INSTR": [COMPARED + ["'xaéb'"], COMPARED], "LCASE": [STRINGS], "LEFT": [STRINGS, COUNTS], "LENGTH": [STRINGS], "LIKE": [PATTERNS, WORDS],
        "LOCATE": [COMPARED, COMPARED + ["'xaéb'", "'ssßa'"], ["1", "2", "0", "-1"]], "LOWER": [STRINGS], "LPAD": [QUOTED, ["0", "1", "2", "5", "-1", "20", "2.5", "'7'"], SHORT[1:]], "LTRIM": [STRINGS],
        "MAKE_SET": [INTEGERS + ["5", "2.5", "'3'"], QUOTED, QUOTED, SHORT], "MID": [STRINGS, COUNTS, COUNTS], "OCT": [ANY], "OCTET_LENGTH": [STRINGS], "ORD": [STRINGS], "QUOTE": [STRINGS], "REPEAT": [SHORT, COUNTS],
        "REPLACE": [["'aAbaab'"] + STRINGS, SHORT[1:] + SHORT[:1], SHORT], "REVERSE": [STRINGS], "RIGHT": [STRINGS, COUNTS], "RPAD": [QUOTED, ["0", "1", "3", "6", "-1", "20"], SHORT[1:]], "RTRIM": [STRINGS],
        "SOUNDEX": [WORDS + ["'Robert'", "'Rupert'", "'Tymczak'", "'Pfister'", "'Honeyman'", "'Jackson'", "'O''Hara'", "'Ümläüt'", "'Żółw'", "'bbbb'", "'b1b'", "'hhh'", "'a-e-i'"]],
        "SPACE": [["0", "1", "3", "-1", "2.5", "'2'", "'x'"]], "STRCMP": [COMPARED, COMPARED], "SUBSTR": [STRINGS, COUNTS], "SUBSTRING": [STRINGS, COUNTS, COUNTS],
        "SUBSTRING_INDEX": [["'a.b.c.d'", "'aaaa'", "''", "'日本日本'", "'aXbxc'", "1.5", "x'612e62'"], ["'.'", "'a'", "'aa'", "''", "'x'", "'本'", "x'2e'"], ["0", "1", "2", "-1", "-2", "10", "-10", "2.5"]],
        "TO_BASE64": [STRINGS], "TRIM": [STRINGS], "UCASE": [STRINGS], "UNHEX": [["''", "'4D79'", "'4d7'", "'xyz'", "'é'", "12", "1.5", "-1", "'0x41'", "x'3431'", "' 41'"]], "UPPER": [STRINGS],
    },
    "regexp": {
        "REGEXP": [EXPRESSIONS, SUBJECTS], "REGEXP_INSTR": [SUBJECTS, EXPRESSIONS], "REGEXP_LIKE": [SUBJECTS, EXPRESSIONS, ["'c'", "'i'", "'m'", "'n'", "'ci'", "''"]],
        "REGEXP_REPLACE": [SUBJECTS, [e for e in EXPRESSIONS if e != "'^$'"], ["'-'", "''", "'é'", "'xx'"]], "REGEXP_SUBSTR": [SUBJECTS, EXPRESSIONS],
    },
}


ORDERED = COMPARED + ["' a'", "'a!'", "'ab'", "'é '", "'e'", "'ö'", "'o'", "'ü'", "'y'", "'Å'", "'Ä'", "'þ'", "'ð'", "'ø'", "'ł'", "'Đ'", "'Ї'", "'ї'", "'Ў'", "'у'", "'d'", "'œ'", "'oe'", "'ŝ'", "'s'", "'ǆ'", "'Σ'", "'ς'", "'σ'", "'й'", "'и'",
                      "'中'", "'国'", "'€'", "'$'", "'¿'", "'1a'", "'2'", "'😁'"]
LATIN = [text for text in ORDERED if all(ord(c) < 256 for c in text)] + ["'€'", "'œ'"]


def in_collation(ours, theirs, operator):
    return lambda a, b: (f"{a} COLLATE {ours} {operator} {b}", f"{a} COLLATE {theirs} {operator} {b}")


def in_swedish(operator):
    return lambda a, b: (f"{a} COLLATE latin1_swedish_ci {operator} {b}",
                         f"CONVERT({a} USING latin1) COLLATE latin1_swedish_ci {operator} CONVERT({b} USING latin1)")


def default_collation(argument):
    """As MySQL 8.0 compares it: its utf8mb4_0900_ai_ci is nearest to this one of MariaDB's."""
    return argument + " COLLATE utf8mb4_uca1400_nopad_ai_ci" if argument.startswith("'") else argument


def match_flags(argument):
    return {"'c'": "(?-i)", "'i'": "(?i)", "'m'": "(?m)", "'n'": "(?s)", "'ci'": "(?i)", "''": ""}[argument]


# Function: our form and the server's, where they differ; given the arguments.
FORMS = {
    "FIELD": lambda *a: (f"FIELD({', '.join(a)})", f"FIELD({', '.join([default_collation(a[0]), *a[1:]])})"),
    "INSERT": lambda *a: (f"INSERT_STR({', '.join(a)})", f"INSERT({', '.join(a)})"),
    "INSTR": lambda *a: (f"INSTR({a[0]}, {a[1]})", f"INSTR({default_collation(a[0])}, {a[1]})"),
    "LEFT": lambda *a: (f'"LEFT"({", ".join(a)})', f"LEFT({', '.join(a)})"),
    "LIKE": lambda *a: (f'"LIKE"({a[0]}, {a[1]})', f"{default_collation(a[1])} LIKE {a[0]}"),
    "LOCATE": lambda *a: (f"LOCATE({', '.join(a)})", f"LOCATE({', '.join([a[0], default_collation(a[1]), *a[2:]])})"),
    "RIGHT": lambda *a: (f'"RIGHT"({", ".join(a)})', f"RIGHT({', '.join(a)})"),
    "STRCMP": lambda *a: (f"STRCMP({a[0]}, {a[1]})", f"STRCMP({default_collation(a[0])}, {a[1]})"),
    "REGEXP": lambda *a: (f"REGEXP({a[0]}, {a[1]})", f"{a[1]} REGEXP {a[0]}"),
    # MariaDB has neither REGEXP_LIKE nor match types, and finds '' where MySQL finds nothing.
    "REGEXP_LIKE": lambda *a: (f"REGEXP_LIKE({', '.join(a)})", "NULL" if "NULL" in a else f"{a[0]} REGEXP CONCAT('{match_flags(a[2])}', {a[1]})"),
    "REGEXP_SUBSTR": lambda *a: (f"REGEXP_SUBSTR({', '.join(a)})", f"IF({a[0]} REGEXP {a[1]}, REGEXP_SUBSTR({', '.join(a)}), NULL)"),
}
for operator in ("=", "<"):
    for ours, theirs in (("utf8mb4_general_ci",) * 2, ("utf8mb4_unicode_ci",) * 2, ("utf8mb4_bin",) * 2, ("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_nopad_ai_ci"),
                         ("utf8mb4_0900_as_cs", "utf8mb4_uca1400_nopad_as_cs")):
        FORMS[f"{ours} {operator}"] = in_collation(ours, theirs, operator)
    FORMS[f"latin1_swedish_ci {operator}"] = in_swedish(operator)
FUNCTIONS["collations"] = {name: [pool, pool] for name in FORMS if "_c" in name or "_bin" in name
                           for pool in [LATIN if name.startswith("latin1") else ORDERED]}

MOST = 40  # cases a function


def line(function, arguments):
    if function not in FORMS:
        return f"{function}({', '.join(arguments)})"
    ours, theirs = FORMS[function](*arguments)
    return ours if ours == theirs else f"{ours} => {theirs}"


def cases(function, pools, most):
    alone = list(itertools.product(*pools))
    if len(alone) > most:
        alone = random.Random(function).sample(alone, most)
    for place in range(len(pools)):
        arguments = [pool[0] for pool in pools]
        arguments[place] = "NULL"
        alone.append(arguments)
    return [line(function, arguments) for arguments in alone]


def main():
    for chapter in sys.argv[1:] or sorted(FUNCTIONS):
        with open(os.path.join(HERE, chapter + "_generated.txt"), "w", encoding="utf-8") as file:
            file.write(f"# made by generate.py {chapter}\n")
            for function, pools in FUNCTIONS[chapter].items():
                most = MOST if len(pools) == 1 else 3 * MOST
                file.write("".join(case + "\n" for case in dict.fromkeys(cases(function, pools, most))))


if __name__ == "__main__":
    main()
