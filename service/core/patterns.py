"""Regular expressions in time proportional to the text, whatever the pattern: RE2's promise, for RE2's common syntax.

Python's `re` tries alternatives one after the other, so that `(a+)+b` takes for ever on a tag value of thirty letters.
Here all alternatives advance together: a pattern is a list of positions, each of which takes one character, and the
positions reached so far are a set (Glushkov's automaton; the bits of an integer). What one position takes is still
said by `re`, which cannot backtrack within a single character.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN = 512
"""Characters of a pattern."""
_MAX_POSITIONS = 1024
_REMEMBERED_CHARACTERS = 1024
_COUNTS = re.compile(r"\{(\d{1,4})(,(\d{0,4}))?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_MAX_DEPTH = 32
_MAX_STEPS = 8192
_CONTROLS = frozenset("nrtfv")
_CLASSES = frozenset("dDsSwW")
_RESERVED_IN_CLASS = re.compile(r"\\.|[\[&~|]", re.DOTALL)
"""What `re` says may come to mean something else within a class; and what is escaped already."""


class PatternError(ValueError):
    """A pattern that cannot be read; the message says what and at which character."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a pattern. nullable: it takes the empty text too. first, last: positions it may begin and end with."""

    nullable: bool
    first: int
    last: int


_EMPTY = _Part(nullable=True, first=0, last=0)


class Pattern:
    """A whole-text match, as Alertmanager's matchers: `search|ads` is `^(?:search|ads)$`.

    Known: literals, `.`, classes, `\\d \\s \\w`, groups, `|`, `* + ? {m,n}` (also lazy) and a leading `(?i)`. `^` and
    `$` may stand at the ends. Refused, as by RE2: back-references and look-around. Raises PatternError.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MAX_PATTERN:
            raise PatternError(f"expected at most {MAX_PATTERN} characters, got {len(text)}")
        reader = _Reader(text)
        whole = reader.read()
        self._nullable, self._first, self._last = whole.nullable, whole.first, whole.last
        self._follows = reader.follows
        self._atoms = reader.atoms
        self._taken: dict[str, int] = {}
        self.matches = lru_cache(maxsize=1024)(self._matches)

    def _matches(self, value: str) -> bool:
        """Whether the pattern is all of *value*."""
        if not value:
            return self._nullable
        reachable = self._first
        reached = 0
        for character in value:
            reached = reachable & self._takers(character)
            if not reached:
                return False
            reachable = 0
            for position in _bits(reached):
                reachable |= self._follows[position]
        return bool(reached & self._last)

    def _takers(self, character: str) -> int:
        """The positions that take a character."""
        known = self._taken.get(character)
        if known is None:
            if len(self._taken) >= _REMEMBERED_CHARACTERS:
                self._taken.clear()
            known = sum(1 << place for place, atom in enumerate(self._atoms) if atom.fullmatch(character))
            self._taken[character] = known
        return known


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _escaped(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) == 2 else f"\\{found[0]}"


class _Reader:
    """Pattern -> positions (`atoms`), and which may come after which (`follows`)."""

    def __init__(self, text: str) -> None:
        flags = re.IGNORECASE if text.startswith("(?i)") else 0
        self._flags = flags
        self._text = text
        self._at = 4 if flags else 0
        self._end = len(text)
        self._depth = 0
        self._steps = 0
        self.atoms: list[re.Pattern[str]] = []
        self.follows: list[int] = []

    def read(self) -> _Part:
        if self._text.startswith("^", self._at):
            self._at += 1
        if self._text.endswith("$") and (self._end - len(self._text[: self._end - 1].rstrip("\\"))) % 2 == 1:
            self._end -= 1
        whole = self._alternatives()
        if self._at < self._end:
            raise self._error("a parenthesis that nothing opens")
        return whole

    def _error(self, what: str) -> PatternError:
        return PatternError(f"{what} at character {self._at + 1} of {self._text!r}")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < self._end else ""

    def _alternatives(self) -> _Part:
        part = self._sequence()
        while self._peek() == "|":
            self._at += 1
            other = self._sequence()
            part = _Part(part.nullable or other.nullable, part.first | other.first, part.last | other.last)
        return part

    def _sequence(self) -> _Part:
        part = _EMPTY
        while self._peek() not in ("", "|", ")"):
            part = self._then(part, self._repeated())
        return part

    def _then(self, one: _Part, two: _Part) -> _Part:
        for position in _bits(one.last):
            self.follows[position] |= two.first
        return _Part(
            one.nullable and two.nullable,
            one.first | (two.first if one.nullable else 0),
            two.last | (one.last if two.nullable else 0),
        )

    def _loop(self, part: _Part) -> _Part:
        return self._then(part, part) if part.last else part

    def _repeated(self) -> _Part:
        start = self._at
        part = self._atom()
        least, most = self._counts()
        end = self._at
        if (least, most) == (1, 1):
            return part
        if most is None and least <= 1:
            looped = self._loop(part)
            return _Part(part.nullable or least == 0, looped.first, looped.last)
        if (least, most) == (0, 1):
            return _Part(True, part.first, part.last)
        copies = [part] + [self._again(start, end) for _ in range((least if most is None else most) - 1)]
        if most is None:
            copies[-1] = self._loop(copies[-1])
        whole = _EMPTY
        for number, copy in enumerate(copies):
            whole = self._then(whole, copy if number < least else _Part(True, copy.first, copy.last))
        return whole if most != 0 else _EMPTY

    def _again(self, start: int, end: int) -> _Part:
        """One more copy of what stands at *start*; a counted repetition is written out."""
        self._at = start
        part = self._atom()
        self._at = end
        return part

    def _counts(self) -> tuple[int, int | None]:
        counts: tuple[int, int | None] = (1, 1)
        symbol = self._peek()
        if symbol in ("*", "+", "?") and symbol:
            counts = {"*": (0, None), "+": (1, None), "?": (0, 1)}[symbol]
            self._at += 1
        elif symbol == "{" and (found := _COUNTS.match(self._text, self._at, self._end)):
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
            if most is not None and most < least:
                raise self._error("a repetition whose end is before its beginning")
            counts = (least, most)
            self._at = found.end()
        else:
            return counts
        if self._peek() == "?":
            self._at += 1  # lazy: the same texts match as a whole
        if self._peek() in ("*", "+", "?") and self._peek():
            raise self._error("a repetition of a repetition")
        return counts

    def _atom(self) -> _Part:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise PatternError(f"expected fewer repetitions within repetitions in {self._text!r}")
        symbol = self._peek()
        if symbol == "(":
            return self._group()
        if symbol in "*+?":
            raise self._error("a repetition of nothing")
        if symbol in "^$":
            raise self._error(f"{symbol} within the pattern, which is always the whole text,")
        if symbol == "[":
            found = _CLASS.match(self._text, self._at, self._end)
            if found is None:
                raise self._error("a class that no ] ends")
            if "--" in found[0] or "[:" in found[0]:
                raise self._error("a class with -- or [: in it, which is not known,")
            return self._position(_RESERVED_IN_CLASS.sub(_escaped, found[0][1:-1]).join("[]"), len(found[0]))
        if symbol == "\\":
            return self._position(self._escape())
        return self._position(symbol if symbol == "." else re.escape(symbol), 1)

    def _group(self) -> _Part:
        start = self._at
        self._at += 1
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise self._error("expected (?: or (, since look-around and flags within a pattern are not known,")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"expected at most {_MAX_DEPTH} parentheses within one another,")
        part = self._alternatives()
        self._depth -= 1
        if self._peek() != ")":
            self._at = start
            raise self._error("a parenthesis that nothing closes")
        self._at += 1
        return part

    def _escape(self) -> str:
        escape = self._text[self._at : min(self._at + 2, self._end)]
        if len(escape) < 2:
            raise self._error("a backslash before nothing")
        if escape[1].isalnum() and escape[1] not in _CONTROLS | _CLASSES:
            raise self._error(f"{escape} is not known: expected one of \\d \\s \\w \\n \\r \\t or an escaped sign,")
        return escape

    def _position(self, atom: str, length: int | None = None) -> _Part:
        if len(self.atoms) >= _MAX_POSITIONS:
            raise PatternError(f"expected at most {_MAX_POSITIONS} characters with repetitions written out")
        try:
            self.atoms.append(re.compile(atom, self._flags))
        except (re.error, OverflowError) as error:
            raise self._error(str(error)) from None
        self.follows.append(0)
        self._at += len(atom) if length is None else length
        bit = 1 << (len(self.atoms) - 1)
        return _Part(False, bit, bit)
