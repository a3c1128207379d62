"""How a test is declared: a function that takes a Context, under a name that is its claim."""

CASES = []


class Case:
    def __init__(self, function, claim, seconds, short, long, alone):
        self.function = function
        self.name = function.__name__
        self.claim = claim
        self.seconds = seconds
        self.short = short
        self.long = long
        self.alone = alone


def case(claim, seconds=120, short=False, long=False, alone=False):
    """`short`: belongs to the short set for sanitizer builds. `long`: only with --long. `alone`: it measures time, and nothing
    runs beside it."""
    def declare(function):
        CASES.append(Case(function, claim, seconds, short, long, alone))
        return function
    return declare
