"""Parameters of detectors: declared once, checked once, printed by `check-config --detectors`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = float | int | str | bool


class UnknownDetectorError(LookupError):
    """A name that no detector has."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"detector must be one of {', '.join(known)}, got {name!r}")
        self.name = name
        self.known = tuple(known)


class ParameterError(ValueError):
    """Parameters that a detector does not take. `mistakes` holds one sentence for each of them."""

    def __init__(self, detector: str, mistakes: Sequence[str]) -> None:
        super().__init__(f"detector {detector!r}: " + "; ".join(mistakes))
        self.detector = detector
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a detector.

    default: its type is the parameter's type; a float parameter also takes whole numbers.
    default_note: where the default depends on the grain, the words for it; `default` is then that of daily series.
    minimum, maximum: inclusive bounds of a number. choices: the texts a text may be; several: or some of them, each
    once, with commas in between.
    """

    name: str
    default: Value
    meaning: str
    default_note: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    several: bool = False

    def mistake_in(self, value: object) -> str | None:
        """What is wrong with *value*, as a sentence; None if nothing is."""
        wanted = type(self.default)
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if not fits or (isinstance(value, float) and not math.isfinite(value)) or not self._allows(value):
            return f"{self.name} must be {self.expectation}, got {value!r}"
        return None

    def _allows(self, value: object) -> bool:
        if isinstance(value, str):
            chosen = names_in(value) if self.several else (value,)
            return len(set(chosen)) == len(chosen) and set(chosen) <= set(self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return True
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    @property
    def expectation(self) -> str:
        """What it takes, in words: `a number from 0.5 to 50`."""
        if isinstance(self.default, bool):
            return "true or false"
        if isinstance(self.default, str):
            if self.several:
                return f"some of {', '.join(self.choices)}, each once, with commas in between"
            return f"one of {', '.join(self.choices)}"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"{kind} from {low:g} to {high:g}"
        if low is not None:
            return f"{kind} of at least {low:g}"
        return kind if high is None else f"{kind} of at most {high:g}"


def names_in(text: str) -> tuple[str, ...]:
    """What a text with commas names.

    >>> names_in("seasonal, shift")
    ('seasonal', 'shift')
    """
    return tuple(name.strip() for name in text.split(","))


def check(detector: str, declared: Sequence[Parameter], given: Mapping[str, Value]) -> dict[str, Value]:
    """The *given* values, each of the type its parameter declares. Raises ParameterError with every mistake at once."""
    known = {parameter.name: parameter for parameter in declared}
    mistakes = [
        f"no parameter {name!r}, only {', '.join(known)}" if name not in known else known[name].mistake_in(value)
        for name, value in given.items()
    ]
    found = [mistake for mistake in mistakes if mistake is not None]
    if found:
        raise ParameterError(detector, found)
    return {name: float(value) if isinstance(known[name].default, float) else value for name, value in given.items()}


SIGMA_MEANING = "how many spreads away from the expected value the bounds lie"
RELATIVE_FLOOR = Parameter(
    name="relative_floor",
    default=0.02,
    minimum=1e-6,
    maximum=10.0,
    meaning="smallest spread, as a part of the level; keeps flat series quiet",
)
ABSOLUTE_FLOOR = Parameter(
    name="absolute_floor",
    default=1e-6,
    minimum=1e-12,
    maximum=1e12,
    meaning="smallest spread, in the unit of the series; keeps series at zero quiet",
)
