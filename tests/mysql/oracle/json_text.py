"""JSON text as MySQL 8.0 prints it (manual 13.5, "Normalization, Merging, and Autowrapping of JSON Values"): MariaDB keeps a document's
own text, so its answers are printed anew before they are compared. Written apart from common/mysql, which it checks."""
import json

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def string(text):
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def real(value):
    """The shortest digits, an exponent from 1e15 and below 1e-15, always told from an integer."""
    digits, _, exponent = repr(value).partition("e")
    sign = "-" if digits.startswith("-") else ""
    whole, _, fraction = digits.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0").rstrip("0")
    if not digits:
        return sign + "0.0"
    if point > 15 or point < -14:
        return sign + digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1}"
    if point <= 0:
        return sign + "0." + "0" * -point + digits
    return sign + digits[:point].ljust(point, "0") + "." + (digits[point:] or "0")


def integer(text):
    value = int(text)
    return value if -2**63 <= value < 2**64 else float(text)


def parse(text):
    return json.loads(text, parse_int=integer, strict=False)


def printed(value, indent=None):
    """On one line; or, with indent=0, as JSON_PRETTY."""
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return real(value)
    deeper = None if indent is None else indent + 2
    if isinstance(value, list):
        items, brackets = [printed(item, deeper) for item in value], "[]"
    else:
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        items, brackets = [string(key) + ": " + printed(value[key], deeper) for key in keys], "{}"
    if indent is None or not items:
        return brackets[0] + ", ".join(items) + brackets[1]
    return brackets[0] + ",".join("\n" + " " * deeper + item for item in items) + "\n" + " " * indent + brackets[1]


def agrees(ours, theirs):
    try:
        value = parse(theirs)
    except ValueError:
        return False
    return ours in (printed(value), printed(value, 0))
