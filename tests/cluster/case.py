"""How a test is declared: a function that takes a Context, under a name that is its claim."""

CASES = []


class Case:
    def __init__(self, function, claim, seconds, short, long):
        self.function = function
        self.name = function.__name__
        self.claim = claim
        self.seconds = seconds
        self.short = short
        self.long = long


def case(claim, seconds=60, short=False, long=False):
    """`short`: belongs to the short set for sanitizer builds. `long`: only with --long."""
    def declare(function):
        CASES.append(Case(function, claim, seconds, short, long))
        return function
    return declare
