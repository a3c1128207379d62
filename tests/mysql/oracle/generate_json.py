#!/usr/bin/python3
"""json_generated.txt: every JSON function over documents, paths and values of every kind.  generate_json.py > json_generated.txt

Left out, because MySQL and MariaDB answer otherwise for a documented reason and json.txt has the cases, cited: malformed documents and
paths (MySQL: errors, MariaDB: NULL), an element's leg behind a value that is no array (MySQL wraps it). Objects have their keys in
MySQL's order, so that what * finds comes in the same order from both."""
import itertools
import json
import re

DOCUMENTS = [
    "null", "true", "false", "0", "-1", "9223372036854775807", "1.5", "-0.25", '""', '"abc"', '"a\\"b\\\\c"', '"é漢😀"', "[]", "{}", "[1]", "[1, 2, 3]",
    '["a", "b", null]', "[[1, 2], [3, [4, 5]]]", '{"a": 1}', '{"a": 1, "b": [1, 2, 3]}', '{"a": {"b": {"c": 42}}}',
    '[{"a": 1}, {"a": 2, "b": "x"}, 7]', '{"": 1, "a": null, "bb": true, "a b": [true, {"c": "d"}]}', '{"é": "ü", "key": {"k": [[], {}]}}',
]
CONTAINERS = [document for document in DOCUMENTS if document[0] in "[{"]
ARRAYS = [document for document in DOCUMENTS if document[0] == "["]
OBJECTS = [document for document in DOCUMENTS if document[0] == "{"]
MALFORMED = ["", " ", "{", "[1,", "nul", "'a'", '"abc', "[1 2]", '{"a" 1}', "{a: 1}", "01", "+1", ".5", "1e", "--1", "[1]]", '"\\u12"', "tru e"]
MEMBER_PATHS = ["$", "$.a", "$.b", "$.a.b", "$.a.b.c", '$."a b"', "$.bb", "$.key.k", "$.missing.a"]
WILD_PATHS = ["$.*", "$.*.*", "$[*]", "$[*].a", "$**.a", "$**.b", "$**.c", "$[*][*]", "$.b[*]", "$.a.*", "$**.k"]
CELL_PATHS = ["$[0]", "$[1]", "$[2]", "$[1][1]", "$[1][1][0]", "$[9]", "$[last]", "$[last-1]", "$[last-9]", "$[1 to 2]", "$[0 to last]", "$[last-1 to last]"]
SCALARS = ["NULL", "0", "1", "-7", "9223372036854775807", "1.5", "-0.001", "1e100", "''", "'abc'", "'a\"b'", "'é😀'", "'[1, 2]'", "'a\\b'", "'null'"]
VALUES = ["NULL", "1", "2.5", "'x'", "'[1]'", """JSON_ARRAY(1, 'a')""", """JSON_OBJECT('k', NULL)""", """JSON_EXTRACT('[true]', '$[0]')"""]


def text(value):
    return "'" + value.replace("'", "''") + "'"


cases = {}  # each once, in order


def ask(expression):
    cases[expression] = True


def call(name, *arguments):
    ask(f"{name}({', '.join(arguments)})")


def value_at(document, path):
    """What a path of members names; None: null, or nothing."""
    value = json.loads(document)
    for key in re.findall(r'\.("[^"]*"|\w+)', path):
        value = value.get(key.strip('"')) if isinstance(value, dict) else None
    return value


def is_wrapped(document, path):
    """The path asks a cell of what is no array: MySQL wraps it, MariaDB does not."""
    return "[" in path and (document[0] != "[" or path.count("[") > 1 or "[" in path.replace("$[", "", 1))


def one_document():
    for name in ("JSON_TYPE", "JSON_VALID", "JSON_DEPTH", "JSON_LENGTH", "JSON_KEYS", "JSON_PRETTY", "JSON_UNQUOTE", "JSON_QUOTE"):
        for document in DOCUMENTS:
            call(name, text(document))
        call(name, "NULL")
    for document in MALFORMED:
        call("JSON_VALID", text(document))
    for blank in (" 1 ", "  [1 , 2]", '{ "a" :  1 }', "[ ]", "{ }"):
        for name in ("JSON_VALID", "JSON_LENGTH", "JSON_TYPE", "JSON_DEPTH"):
            call(name, text(blank))
    for scalar in SCALARS:
        call("JSON_ARRAY", scalar)
        call("JSON_ARRAY", scalar, "1", scalar)
        call("JSON_OBJECT", "'key'", scalar)
        if scalar.startswith("'"):
            call("JSON_QUOTE", scalar)
            call("JSON_OBJECT", scalar, "1")
    for quoted in ('"a"', '"\\n"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\"', 'a"', '"a', '"', '""', "a", '[1, "x"]', '"\\/"', '"tab\\tx"'):
        if quoted != '"\\"':
            call("JSON_UNQUOTE", text(quoted))


def searching():
    for document, path in itertools.product(DOCUMENTS, MEMBER_PATHS + WILD_PATHS):
        if not is_wrapped(document, path) or path in ("$[*]", "$[*].a", "$.b[*]"):
            call("JSON_EXTRACT", text(document), text(path))
    for document, path in itertools.product(ARRAYS, CELL_PATHS):
        if not is_wrapped(document, path):
            call("JSON_EXTRACT", text(document), text(path))
            if " to " not in path:
                call("JSON_LENGTH", text(document), text(path))
    for document, path in itertools.product(CONTAINERS, MEMBER_PATHS):
        call("JSON_LENGTH", text(document), text(path))
        call("JSON_KEYS", text(document), text(path))
        call("JSON_EXTRACT", text(document), "'$'", text(path))
    for document, how, paths in itertools.product(CONTAINERS, ("one", "all"), (("$",), ("$.a",), ("$.a", "$.b"), ("$.x", "$.a"), ("$[0]", "$[1]"), ("$**.b",), ("$.*",), ("$[*]",))):
        if not any(is_wrapped(document, path) for path in paths):
            call("JSON_CONTAINS_PATH", text(document), text(how), *map(text, paths))
    candidates = ["1", "2", '"a"', "null", "true", "42", "[1]", "[2, 1]", "[]", "{}", '{"a": 1}', '{"b": [3]}', "[[1]]", '{"a": {"b": {}}}', "1.0"]
    for document, candidate in itertools.product(CONTAINERS, candidates):
        if candidate != "[[1]]" or document[1] in "[{":  # json.txt
            call("JSON_CONTAINS", text(document), text(candidate))
    for document, candidate in itertools.product(OBJECTS, candidates[:6]):
        if '"a":' in document:
            call("JSON_CONTAINS", text(document), text(candidate), "'$.a'")
    several = ["1", '"a"', "null", "[]", "{}", "[1]", "[2, 5]", '["a", null]', '{"a": 1}', '{"a": 2, "b": 1}', "[[1, 2]]", '[{"a": 1}]', "true"]
    for first, second in itertools.product(several, several):
        call("JSON_OVERLAPS", text(first), text(second))
    strings = ['["abc", [{"k": "10"}, "def"], {"x": "abc"}, {"y": "bcd"}]', '{"a": "abc", "b": "abd", "d": {"e": "a%c"}}', '"abc"', '["", "é", "éa"]']
    for document, how, pattern in itertools.product(strings, ("one", "all"), ("abc", "10", "%", "a%", "%c", "_bc", "%b%", "", "é", "é_", "___", "a|%c", "x")):
        call("JSON_SEARCH", text(document), text(how), text(pattern))
    for pattern in ("a|%c", "a%c", "|a%", "%|%%"):
        call("JSON_SEARCH", text(strings[1]), "'all'", text(pattern), "'|'")
    for document, path in itertools.product(OBJECTS, MEMBER_PATHS):
        if not isinstance(value_at(document, path), (list, dict, bool)):  # json.txt
            call("JSON_VALUE", text(document), text(path))


def changing():
    documents = ["[]", "{}", "[1, 2, 3]", '{"a": 1, "b": [2, 3]}', '{"a": {"b": {"c": 42}}}', "[[1], {}]"]
    for name, document, path in itertools.product(("JSON_SET", "JSON_INSERT", "JSON_REPLACE"), documents, ("$.a", "$.x", "$.a.b", '$."x y"', "$.b.c.d")):
        for value in ("9", "'[1]'", "JSON_ARRAY(1, 'a')", "NULL"):
            call(name, text(document), text(path), value)
    for name, document, path in itertools.product(("JSON_SET", "JSON_INSERT", "JSON_REPLACE", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT"), ("[]", "[1, 2, 3]", "[[1], {}]"),
                                                  ("$[0]", "$[1]", "$[2]", "$[7]", "$[last]")):
        if name == "JSON_ARRAY_INSERT" and path == "$[last]" or document == "[]" and path == "$[last]":
            continue  # json.txt
        if name == "JSON_ARRAY_APPEND" and path != "$[last]" and int(path[2]) >= len(json.loads(document)):
            continue  # json.txt
        call(name, text(document), text(path), "'x'")
    for document in documents:
        for path in ("$", "$.a", "$.b", "$.x", "$.a.b"):
            if value_at(document, path) is not None:
                call("JSON_ARRAY_APPEND", text(document), text(path), "7")
            if path != "$":
                call("JSON_REMOVE", text(document), text(path))
        for path in ("$[0]", "$[1]", "$[last]", "$[5]"):
            if document[0] == "[":
                call("JSON_REMOVE", text(document), text(path))
    for value in VALUES:
        call("JSON_SET", "'{}'", "'$.a'", value, "'$.b'", value)
        call("JSON_ARRAY_APPEND", "'[0]'", "'$'", value, "'$'", value)
        call("JSON_ARRAY_INSERT", "'[0]'", "'$[0]'", value, "'$[1]'", value)
    merged = ["1", '"a"', "null", "[]", "[1, [2]]", "{}", '{"a": 1}', '{"a": null, "b": 2}', '{"a": [1], "b": {"c": 1}}', '{"a": {"x": 1}, "b": {"d": null}}']
    for name, first, second in itertools.product(("JSON_MERGE_PRESERVE", "JSON_MERGE_PATCH"), merged, merged):
        call(name, text(first), text(second))
    for name in ("JSON_SET", "JSON_INSERT", "JSON_REPLACE", "JSON_ARRAY_APPEND", "JSON_ARRAY_INSERT"):
        call(name, "NULL", "'$[0]'", "1")
        call(name, "'[1]'", "NULL", "1")


def aggregates():
    for values in ("1", "NULL", "'a'", "1.5"):
        ask(f"JSON_ARRAYAGG(x) FROM (SELECT {values} AS x) t")
        ask(f"JSON_OBJECTAGG('k', x) FROM (SELECT {values} AS x) t")
    rows = "(SELECT 1 AS k, 'a' AS x UNION ALL SELECT 2, NULL UNION ALL SELECT 3, 'c' UNION ALL SELECT 4, '\"') t"
    for argument in ("k", "x", "k * 1.5", "COALESCE(x, 'none')"):
        ask(f"JSON_ARRAYAGG({argument}) FROM {rows}")
        ask(f"JSON_OBJECTAGG(k, {argument}) FROM {rows}")
        ask(f"JSON_ARRAYAGG({argument}) FROM {rows} WHERE k > 9")
        ask(f"JSON_OBJECTAGG(k, {argument}) FROM {rows} WHERE k > 9")
        ask(f"JSON_LENGTH(JSON_ARRAYAGG({argument})) FROM {rows}")


if __name__ == "__main__":
    print("# Made by generate_json.py.")
    one_document()
    searching()
    changing()
    aggregates()
    print("\n".join(cases))
