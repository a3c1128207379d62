"""MariaDB's test files read: each SELECT without FROM with what .result shows for it, and the settings that stand when it runs."""
import os
import re

SUITE = "/usr/share/mysql/mysql-test/main"
STRING = r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\""
COMMANDS = {"vertical_results", "horizontal_results", "enable_metadata", "disable_metadata", "disable_result_log", "enable_result_log"}
# What marmot_set_variable takes, and what it is in a server that the test suite starts (its clock stands at GMT+3).
VARIABLES = {"block_encryption_mode": "aes-128-ecb", "default_week_format": 0, "div_precision_increment": 4, "group_concat_max_len": 1048576, "lc_time_names": "en_US",
             "max_allowed_packet": 16777216, "time_zone": "+03:00", "timestamp": 0}
# Modes that change what an expression means.
MODES = re.compile(r"(?i)ansi|pipes_as_concat|no_backslash|high_not|no_zero|unsigned_subtraction|time_round|oracle|mssql|db2|maxdb|postgresql|pad_char|ignore_space")


def plain(text):
    """`text` with nothing in its strings and without comments."""
    return re.sub(r"/\*(?![!M]).*?\*/", " ", re.sub(STRING, "''", text), flags=re.S)


def events(path):
    """("command", name) for mysqltest's own words, ("sql", lines) for statements as .result echoes them"""
    with open(path, encoding="latin-1") as file:
        lines = file.read().split("\n")
    current, delimiter = [], ";"
    for line in lines:
        bare = line.strip()
        if not current:
            word = bare.lstrip("-").strip().rstrip(";").lower()
            if word in COMMANDS:
                yield "command", word
                continue
            if not bare or bare.startswith("#") or bare.startswith("--"):
                continue
            changed = re.match(r"(?i)delimiter\s+(\S+)$", bare)
            if changed:  # the command ends with the delimiter of before
                delimiter = changed[1].removesuffix(delimiter) or ";"
                continue
        current.append(line.rstrip() if not current else line.rstrip("\r"))
        if bare.endswith(delimiter) and delimiter == ";":
            yield "sql", [current[0].lstrip()] + current[1:]
            current = []
        elif bare.endswith(delimiter):
            current = []  # the body of a procedure


class Settings:
    """What SET has set. `strange`: settings that only the server has, by name. `users`: variables of the user's that are a text."""

    def __init__(self):
        self.values, self.strange, self.names, self.users = dict(VARIABLES), {}, "latin1", {}

    def spelled_out(self, statement):
        """`statement` with the texts that its @variables stand for."""
        def literal(match):
            return self.users.get((match[1] or "").lower(), match[0])
        return re.sub(rf"{STRING}|(?<![@\w])@(\w+)", literal, statement, flags=re.S)

    def take(self, statement):
        named = re.match(r"(?is)\s*set\s+@(\w+)\s*:?=\s*(.*?)\s*;?\s*$", statement)
        if named:
            self.users.pop(named[1].lower(), None)
            if re.fullmatch(rf"(?s){STRING}", named[2]):
                self.users[named[1].lower()] = named[2]
            return
        body = re.match(r"(?is)\s*set\s+(?!statement\b|@[^@])(.*?);?\s*$", statement)
        if not body:
            return
        names = re.match(r"(?is)names\s+'?(\w+)", body[1])
        if names:
            self.names = "latin1" if names[1].lower() == "default" else names[1].lower()
            return
        quoted = re.sub(STRING, lambda match: match[0].replace(",", "\x00"), body[1])
        for part in re.split(r",(?![^(]*\))", quoted):
            found = re.match(r"(?is)\s*(?:@@)?(global[\s.]+|session[\s.]+|local[\s.]+)?(?:@@)?(\w+)\s*:?=\s*(.*?)\s*$", part.replace("\x00", ","))
            if not found:
                continue
            scope, name, value = (found[1] or "").strip(" .").lower(), found[2].lower(), found[3]
            if scope == "global" and name != "max_allowed_packet":
                continue  # of other connections
            if name in VARIABLES:
                self.values[name] = VARIABLES[name] if value.lower() == "default" or value.startswith("@") else value  # @...: what was kept of it
            elif name in ("collation_connection", "character_set_connection", "character_set_results"):
                self.names = value.strip("'\"").split("_")[0].lower()
            elif name == "sql_mode" and not MODES.search(value) or value.lower() == "default" or value in ("''", '""'):
                self.strange.pop(name, None)
            elif name in ("sql_mode", "default_regex_flags", "old_mode", "old_passwords", "rand_seed1", "rand_seed2"):
                self.strange[name] = value


class Case:
    def __init__(self, name, text, rows, settings):
        self.name, self.text, self.row = name, text, rows
        self.names, self.strange, self.values = settings.names, dict(settings.strange), dict(settings.values)
        self.plain = plain(text)
        self.strings = re.findall(STRING, text)


def is_select_without_from(text):
    return re.match(r"(?i)\s*select\b", text) and not re.search(r"(?i)\b(from|into|procedure|for update)\b|@|;.*\S", text.rstrip().rstrip(";"))


def row_below(printed, at, vertical):
    """The first row that is printed for a statement, whose names are at line `at`."""
    if vertical:
        out = []
        while at < len(printed) and "\t" in printed[at]:
            out.append(printed[at].split("\t", 1)[1])
            at += 1
        return out
    if printed[at].startswith("Catalog\tDatabase\tTable"):
        at += 1
        while at < len(printed) and printed[at].startswith("def\t"):
            at += 1
    return printed[at + 1].split("\t") if at + 1 < len(printed) else [""]


def cases(name):
    """The SELECTs without FROM of a file whose rows .result shows."""
    path = os.path.join(SUITE, name)
    result = path[:-5] + ".result"
    if not os.path.exists(result):
        return
    with open(result, encoding="latin-1") as file:
        printed = file.read().split("\n")
    at, settings, commands = 0, Settings(), set()
    for kind, what in events(path):
        if kind == "command":
            commands.add(what)
            commands.discard({"horizontal_results": "vertical_results", "enable_result_log": "disable_result_log", "disable_metadata": "enable_metadata"}.get(what))
            continue
        text = "\n".join(what)
        settings.take(text)
        try:
            at = next(i for i in range(at, len(printed)) if printed[i:i + len(what)] == what) + len(what)
        except StopIteration:
            continue
        if "disable_result_log" in commands or at >= len(printed) or printed[at].startswith("ERROR"):
            continue
        text = settings.spelled_out(text)
        if is_select_without_from(plain(text)):
            yield Case(name, text.rstrip().rstrip(";"), row_below(printed, at, "vertical_results" in commands), settings)
