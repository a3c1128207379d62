"""Why a statement that SQLite can parse is not judged: it cannot mean the same there, or MySQL 8.0 answers otherwise than MariaDB.
A rule sees the statement and what was expected of it, never our answer; only documented_error() does. It counts for what passes as well."""
import re
from decimal import Decimal

MARIADB_ONLY = set("""decode_oracle default_regex_flags des_decrypt des_encrypt json_compact json_detailed json_equals json_exists json_loose json_normalize json_query
kdf natural_sort_key sformat sys_guid to_char chr""".split())
GONE_IN_8 = set("decode encode encrypt old_password password".split())
NOT_LISTED = re.compile(r"^(row|procedure|f\d+(_\w+)?)$")
STATE = set("get_lock is_free_lock is_used_lock last_insert_id release_all_locks release_lock database user current_user session_user connection_id version found_rows row_count".split())
TEMPORAL = (r"(?:now|curdate|curtime|current_timestamp|current_time|current_date|last_day|sec_to_time|from_unixtime|date_add|date_sub|adddate|subdate|addtime|subtime|maketime|makedate|"
            r"timestamp|str_to_date|from_days|time|date)")
TYPES = r"(?:signed|unsigned|char|nchar|binary|date|datetime|time|decimal|double|float|int)"
COMPARES = r"(?:=|<>|!=|<=>|<|>|\bin\b|\bbetween\b|\bwhen\b)"


def functions(case):
    return {name.lower() for name in re.findall(r"\b([A-Za-z_]\w*)\s*\(", case.plain)}


def numbers(case):
    return re.findall(r"(?<![\w.])(?:\d+\.?\d*|\.\d+)(?![\w.])", case.plain)


def beyond_double(case):
    """Exact numbers that SQLite reads as another DOUBLE."""
    return any(Decimal(repr(float(n))) != Decimal(n) for n in numbers(case) if not (n.isdigit() and int(n) < 2**63))


def text_is_compared(case):
    """A literal with a literal or a number; a row that has one."""
    operand = r"(?:''|-?\d[\d.]*)"
    return (re.search(rf"(?is)''\s*(?:not\s+)?{COMPARES}\s*\(*\s*{operand}|{operand}\s*(?:not\s+)?{COMPARES}\s*\(*\s*''", case.plain)
            or re.search(rf"(?is)\([^()]*''[^()]*\)\s*(?:not\s+)?{COMPARES}\s*\(", case.plain))


def has(pattern):
    return lambda case: re.search(pattern, case.plain)


def calls(names):
    return lambda case: functions(case) & names


# (class, reason, rule)
RULES = [
    ("CAST", "CAST is SQLite's own grammar, with SQLite's types", has(rf"(?i)\bcast\s*\(|\bconvert\s*\(.*,\s*{TYPES}\b")),
    ("MariaDB's functions", "MySQL 8.0 has none of that name", calls(MARIADB_ONLY)),
    ("removed functions", "MySQL 8.0 has removed it (manual 1.3)", calls(GONE_IN_8)),
    ("functions not listed", "stored functions and ROW() are not in issue 4's list", lambda case: any(map(NOT_LISTED.match, functions(case)))),
    ("backslashes", "a backslash in a literal escapes nothing in SQLite", lambda case: any("\\" in s for s in case.strings)),
    ("adjacent literals", "'a' 'b' is one literal in MySQL, a literal and a name in SQLite", has(r"''\s+''")),
    ("operators of bits", "| & ~ << >> are SQLite's own, signed; || is OR in MySQL", has(r"[|&~]|<<|>>")),
    ("division", "/ is SQLite's own: of integers, an integer", has(r"/(?!\*)|(?i:\bdiv\b)")),
    ("modulo", "% is SQLite's own: of integers", has(r"%")),
    ("comparison of literals", "= < IN and so on are SQLite's own: texts by bytes, a text is no number", text_is_compared),
    ("comparison of JSON", "= takes a document's text, a JSON true is no 1", has(r"(?i)\bjson_(?:extract|value)\s*\([^()]*\)\s*=")),
    ("arithmetic of dates", "+ - * take a date's text as its year", has(rf"(?i)\b{TEMPORAL}\s*\((?:[^()]|\([^()]*\))*\)\s*[-+*]|[-+*]\s*{TEMPORAL}\s*\(")),
    ("arithmetic of DECIMAL", "SQLite has no DECIMAL: + - * of fractions are DOUBLE", has(r"\.\d+\)?\s*[-+*]\s*\(?-?\d*\.\d")),
    ("exact numbers", "a literal beyond 2^63-1, or with a fraction, is DOUBLE in SQLite, and this one is rounded", beyond_double),
    ("DOUBLE literals", "1e0 is DOUBLE in MySQL, and what SQLite has for DECIMAL as well (types table)", 
     lambda case: re.search(r"(?i)\b\d[\d.]*e[-+]?\d", case.plain) and functions(case) & {"addtime", "subtime", "sec_to_time", "from_unixtime", "maketime"}),
    ("CURRENT_TIME", "CURRENT_DATE, CURRENT_TIME and CURRENT_TIMESTAMP without brackets are SQLite's own", has(r"(?i)\bcurrent_(date|time|timestamp)\b(?!\s*\()")),
    ("hexadecimal literals", "0x41 is an integer in SQLite", has(r"(?i)\b0x[0-9a-f]+")),
    ("booleans", "TRUE and FALSE are 1 and 0 in SQLite: JSON has no booleans of them", lambda case: "json" in case.plain.lower() and re.search(r"(?i)\b(true|false)\b", case.plain)),
    ("character sets", "texts are UTF-8: the connection's character set and COLLATE do not reach functions",
     lambda case: functions(case) & {"charset", "collation", "coercibility", "weight_string"} or re.search(r"(?i)\bcollate\b", case.plain)),
    ("SET NAMES", "literals beyond ASCII under another character set than UTF-8",
     lambda case: not case.names.startswith("utf8mb") and case.names != "utf8" and not case.text.isascii()),
    ("other modes", "SET sql_mode, old_mode, default_regex_flags or rand_seed1 changes what the statement means", lambda case: case.strange),
    ("state", "what it tells was made by other statements or connections, or is the server's name", calls(STATE)),
    ("two arguments of LPAD", "LPAD and RPAD take three arguments in MySQL 8.0 (manual 14.8)", has(r"(?i)\b[lr]pad\s*\((?:[^(),]|\([^()]*(?:\([^()]*\)[^()]*)*\))*,(?:[^(),]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\)")),
    ("TIME's end", "838:59:59.000000 in MySQL (manual 13.2.1), .999999 in MariaDB", lambda case: any(re.search(r":\d\d:\d\d\.9999|838:59:59\.9", value) for value in case.row)),
    ("timestamps after 2038", "MySQL 8.0.28 goes to 3001, and UNIX_TIMESTAMP() of what is out of range is 0 (manual 14.7)",
     lambda case: functions(case) & {"unix_timestamp", "from_unixtime"} and "NULL" in case.row),
    ("TIME_TO_SEC", "whole seconds in MySQL (manual 14.7), a fraction in MariaDB", lambda case: "time_to_sec" in functions(case) and any("." in value for value in case.row)),
    ("SUBSTRING_INDEX", "a negative count is from the right (manual 14.8); in utf8mb4 MariaDB counts from the left",
     lambda case: "substring_index" in functions(case) and case.names != "latin1" and "-" in case.plain),
    ("RANDOM_BYTES", "an error outside of 1 to 1024 (manual 14.13), NULL in MariaDB", calls({"random_bytes"})),
    ("array indexes", "[-1] is MariaDB's; MySQL's paths have [last] (manual 13.5)",
     lambda case: "json" in case.plain.lower() and any(re.search(r"\$.*\[[^\]]*-\d", s) for s in case.strings)),
    ("zero dates", "MySQL 8.0's sql_mode has NO_ZERO_DATE, NO_ZERO_IN_DATE", lambda case: "str_to_date" in functions(case) and any("-00" in value for value in case.row)),
    ("comparison of times", "a TIME is text to SQLite's operators", has(rf"(?i)\b{TEMPORAL}\s*\((?:[^()]|\([^()]*\))*\)\s*[<>=]")),
    ("user variables", "SQLite has none: $@name in a path is NULL", lambda case: any("$@" in s for s in case.strings)),
    ("SHA2", "NULL where an argument is (manual 14.13), 256 bits in MariaDB", lambda case: "sha2" in functions(case) and "null" in case.plain.lower()),
    ("PCRE", "MySQL 8.0's regular expressions are ICU's (manual 14.8.2): other syntax, other matches after a replacement",
     lambda case: any(re.search(r"\(\*[A-Z]+\)|\(\?R\)|\(\?P|\(\?<", s) for s in case.strings)),
]

NOT_FOLLOWED = ("SET", "SET gave a variable a value that is no constant")


def reason(case):
    """The first class that the statement falls into; None: it is judged."""
    for name, why, rule in RULES:
        if rule(case):
            return name, why
    return None


# Errors that MySQL's manual documents for invalid documents, paths and patterns, where MariaDB answers NULL or 0 with a warning.
DOCUMENTED = re.compile(r"\(MySQL (3140|3141|3143|3146|3149|3154|3157|3165|3685|3688|3887)\)$")


def documented_error(case, error):
    """Our answer is an error: whether MySQL 8.0 documents it for functions of JSON and regular expressions."""
    if DOCUMENTED.search(error) and case.row and case.row[0] in ("NULL", "0"):
        return "documented errors", "invalid JSON, paths and patterns are errors in MySQL (manual 14.17, 14.8.2), NULL or 0 in MariaDB"
    return None

