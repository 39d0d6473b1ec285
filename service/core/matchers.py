"""Matchers, as strings in Alertmanager's syntax: which alerts a route, a silence or an inhibition is about.

    team="search"   team!="search"   service_name=~"Amazon .*"   team!~"a|b"   "cost center"="42"
    impact>=500     excess>100       actual<10   score>=0.8      severity>=high

The first line compares labels (`labels.routing_labels`); a label that is missing counts as empty, and a regular
expression has to match the whole value. A value with blanks or any of {}!=~<>,"'` has to be quoted; within quotes
`\\"`, `\\\\` and `\\n` are escapes, other backslashes stand for themselves, so that `"a\\.b"` is a pattern as written.
The second line is ours: numbers of the alert in its own unit (say `unit="USD"` beside them where there are several),
and severity by rank. `impact` (the money at stake in the whole episode) and `excess` (actual against expected in its
worst bucket) are compared by how much they are, so that `impact>=500` is true of a drop of 500 too: say `kind="spike"`
where only more spend matters.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from service.core.alerts import AlertKind, Severity
from service.core.labels import NUMBERS, Subject, severity_rank
from service.core.patterns import Pattern, PatternError

MAX_TEXT = 2048
"""Characters of one matcher."""

_NAME = re.compile(r"[^\s{}!=~,\\\"'`<>]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_OPERATOR = re.compile(r"=~|!=|!~|>=|<=|=|>|<")
_BARE = re.compile(r"[^\s{}!=~,\"'`<>]+")
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_CLOSED = {"severity": tuple(Severity), "kind": tuple(AlertKind)}
"""Labels of which every value is known: another one is a mistake."""


_ANY = (-math.inf, math.inf)
_RANGES = {"impact": (0.0, math.inf), "excess": (0.0, math.inf), "score": (0.0, 1.0)}
"""The ends of what a number can be."""


class MatcherError(ValueError):
    """A matcher that cannot be read; the message says what was expected and where."""


class Op(StrEnum):
    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"
    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="


_COMPARE: dict[Op, Callable[[float, float], bool]] = {
    Op.ABOVE: operator.gt,
    Op.AT_LEAST: operator.ge,
    Op.BELOW: operator.lt,
    Op.AT_MOST: operator.le,
}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition. value: as written, without quotes. Raises MatcherError for what makes no sense."""

    name: str
    op: Op
    value: str
    _pattern: Pattern | None = field(init=False, repr=False, compare=False, default=None)
    _bound: float = field(init=False, repr=False, compare=False, default=0.0)

    def __post_init__(self) -> None:
        if self.op in _COMPARE:
            object.__setattr__(self, "_bound", _bound(self.name, self.op, self.value))
            return
        if self.name in NUMBERS:
            raise MatcherError(f"{self.name} is a number: expected {self.name} with >=, >, <= or <, got {self.op}")
        if self.op in (Op.REGEX, Op.NOT_REGEX):
            try:
                object.__setattr__(self, "_pattern", Pattern(self.value))
            except PatternError as error:
                raise MatcherError(f"{self.name}{self.op}: {error}") from None
        elif self.value and self.name in _CLOSED and self.value not in _CLOSED[self.name]:
            raise MatcherError(f"{self.name} is one of {', '.join(_CLOSED[self.name])}, got {self.value!r}")

    def __str__(self) -> str:
        """As it would be written; reading it again gives an equal matcher."""
        name = self.name if _NAME.fullmatch(self.name) else _quoted(self.name)
        return f"{name}{self.op}{self.value if self.op in _COMPARE else _quoted(self.value)}"

    def holds(self, subject: Subject) -> bool:
        if self.op in _COMPARE:
            number = subject.severity if self.name == "severity" else subject.numbers[self.name]
            return _COMPARE[self.op](number, self._bound)
        return self._holds_for(subject.labels.get(self.name, ""))

    @property
    def selects(self) -> bool:
        """Whether it can leave an alert out, as far as can be known: `team=~".*"` and `impact>=0` cannot."""
        if self.name == "severity" and self.op in _COMPARE:
            return not all(_COMPARE[self.op](severity_rank(one), self._bound) for one in Severity)
        if self.op in _COMPARE:
            return not all(_COMPARE[self.op](one, self._bound) for one in _RANGES.get(self.name, _ANY))
        if self.name in _CLOSED:
            return not all(self._holds_for(one.value) for one in _CLOSED[self.name])
        return not self._holds_for("")

    def _holds_for(self, value: str) -> bool:
        found = self._pattern.matches(value) if self._pattern is not None else value == self.value
        return found is (self.op in (Op.EQUAL, Op.REGEX))


def parse_matcher(text: str) -> Matcher:
    """Read one matcher. Raises MatcherError."""
    reader = _Reader(text)
    matcher = reader.matcher()
    reader.end()
    return matcher


def matchers_in(text: str) -> list[Matcher]:
    """Read a text that holds one matcher, or several with commas between them, also in braces. Raises MatcherError."""
    return _Reader(text).matchers()


def parse_matchers(texts: Iterable[str]) -> tuple[Matcher, ...]:
    """Read a list of such texts.

    Raises MatcherError, whose message says which of the list it is.
    """
    found: list[Matcher] = []
    for number, text in enumerate(texts):
        try:
            found += matchers_in(text)
        except MatcherError as error:
            raise MatcherError(f"[{number}]: {error}") from None
    return tuple(found)


def all_hold(matchers: Sequence[Matcher], subject: Subject) -> bool:
    """So none at all match everything."""
    return all(matcher.holds(subject) for matcher in matchers)


def _bound(name: str, op: Op, value: str) -> float:
    if name == "severity":
        try:
            return severity_rank(Severity(value))
        except ValueError:
            raise MatcherError(f"severity is one of {', '.join(Severity)}, got {value!r}") from None
    if name not in NUMBERS:
        raise MatcherError(f"{op} compares severity and the numbers {', '.join(NUMBERS)}, not {name!r}")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise MatcherError(f"{name}{op}: expected a number, got {value!r}")
    return number


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


class _Reader:
    """Reads from left to right; every error names the character it met."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise MatcherError(f"expected at most {MAX_TEXT} characters, got {len(text)}")
        self._text = text
        self._at = 0

    def matchers(self) -> list[Matcher]:
        braces = self._skip("{")
        found: list[Matcher] = []
        while not (braces and self._skip("}")):
            found.append(self.matcher())
            if self._skip(","):
                continue
            if not braces:
                break
            if not self._skip("}"):
                raise self._error("expected , or }")
            break
        self.end()
        return found

    def matcher(self) -> Matcher:
        self._blanks()
        name = self._take(_NAME) or self._quotation()
        if not name:
            raise self._error('expected a label\'s name, such as in team="search"')
        self._blanks()
        op = self._take(_OPERATOR)
        if op is None:
            raise self._error(f"expected one of {' '.join(Op)} after {name}")
        self._blanks()
        value = self._quotation()
        if value is None:
            value = self._take(_BARE)
        if value is None:
            raise self._error(
                f'expected a value after {name}{op}, such as "search" (quoted where it has blanks or signs)'
            )
        self._blanks()
        return Matcher(name, Op(op), value)

    def end(self) -> None:
        self._blanks()
        if self._at < len(self._text):
            raise self._error("expected the end; a value with blanks or signs has to be quoted")

    def _error(self, expected: str) -> MatcherError:
        came = repr(self._text[self._at : self._at + 20]) if self._at < len(self._text) else "the end"
        return MatcherError(f"{expected}: got {came} at character {self._at + 1} of {self._text[:80]!r}")

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _skip(self, sign: str) -> bool:
        self._blanks()
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _take(self, what: re.Pattern[str]) -> str | None:
        found = what.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _quotation(self) -> str | None:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            if self._text.startswith('"', self._at):
                raise self._error("expected a closing quotation mark")
            return None
        self._at = found.end()
        return re.sub(r'\\["\\n]', lambda escape: _ESCAPES[escape[0]], found[1])
