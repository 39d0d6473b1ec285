"""Tags as providers deliver them -> clean values under the keys somebody asked for.

Providers disagree about keys: `user:CostCenter` (CUR), `user_cost_center` (CUR 2.0), `CostCenter` (FOCUS), ` org` with
a space (the FOCUS 1.0 sample). Keys are compared without prefix, case, spaces and punctuation, so that the listed tag
`cost_center` finds all of them. Values stay as people wrote them: `Prod` and `prod` are two values.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from connectors.cells import NULLS, CellError, Memo
from connectors.connector import BadReason

MAX_VALUE_LENGTH = 256
"""AWS and Azure allow as much; longer texts are cut and end in a digest, so that two of them stay two."""

NO_TAGS: Mapping[str, str] = MappingProxyType({})

ALIASES: Mapping[str, str] = MappingProxyType({"env": "environment", "costcentre": "cost_center"})
"""Other spellings of a listed tag, by folded key; only those that cannot mean anything else."""

_PREFIXES = ("resourcetags/", "resource_tags_", "user:", "user_", "aws:", "aws_", "costcategory/", "cost_category_")
_PUNCTUATION = re.compile(r"[\s_.\-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Numbers are kept as they were written: 1.10 is a version and must not become 1.1.
_decoder = msgspec.json.Decoder(dict[str, object], float_hook=str)


def shorten(value: str) -> str:
    """*value* on one line and within MAX_VALUE_LENGTH."""
    return clip(_CONTROL.sub(" ", value).strip() if not value.isprintable() else value, MAX_VALUE_LENGTH)


def clip(text: str, limit: int) -> str:
    """*text*, or as much of it as fits in *limit* characters together with a digest of the whole."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[: limit - 9]}~{digest}"


def clean_value(value: object) -> str | None:
    """A tag's value as text; None for null, the empty text and the spellings of null.

    true, false and numbers become their JSON text; FOCUS writes a key without a value as true.
    Raises CellError for what FOCUS forbids: a nested object or list.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        clean = shorten(str(value).strip())
        return None if clean in NULLS else clean
    raise CellError(BadReason.MALFORMED, "tags with text, number, true, false or null as values", value)


def clean_tags(pairs: Iterable[tuple[object, object]]) -> Mapping[str, str]:
    """Raises CellError as `clean_value` does."""
    tags = {}
    for key, value in pairs:
        cleaned = clean_value(value)
        if cleaned is not None:
            tags[shorten(str(key).strip())] = cleaned
    return tags


def parse_tags(cell: object) -> Mapping[str, str]:
    """The tags in a cell: a JSON object as text, or what Parquet maps become (a dict or a list of pairs).

    Raises CellError (malformed) for anything else.
    """
    if cell is None:
        return NO_TAGS
    if isinstance(cell, str):
        found = cell.strip()
        if found in NULLS or found == "{}":
            return NO_TAGS
        # Azure's older exports leave the braces out.
        if found.startswith('"'):
            found = f"{{{found}}}"
        try:
            return clean_tags(_decoder.decode(found).items())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise CellError(BadReason.MALFORMED, "a JSON object of tags", cell) from None
    if isinstance(cell, Mapping):
        return clean_tags(cell.items())
    if isinstance(cell, list) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in cell):
        return clean_tags(cell)
    raise CellError(BadReason.MALFORMED, "a JSON object of tags", cell)


def fold_key(key: str) -> str:
    """The form in which keys are compared: `Cost Center`, `cost-center` and `CostCenter` are one."""
    return _PUNCTUATION.sub("", key.casefold())


def strip_prefixes(key: str) -> str:
    """`resourceTags/user:Team` -> `Team`."""
    while True:
        for prefix in _PREFIXES:
            if key[: len(prefix)].casefold() == prefix and len(key) > len(prefix):
                key = key[len(prefix) :]
                break
        else:
            return key


class TagSelector:
    """Finds the values of the listed tags: everything that is not listed is dropped.

    When several keys of one line fit a listed tag, the closest spelling wins: the exact key, then another case or
    punctuation, then a provider's prefix, then an alias; among equals the first in alphabetical order.
    """

    def __init__(self, listed: Sequence[str], aliases: Mapping[str, str] = ALIASES) -> None:
        self._listed = tuple(listed)
        self._index = {fold_key(key): position for position, key in enumerate(listed)}
        self._aliases = {fold_key(alias): fold_key(key) for alias, key in aliases.items()}
        self._match: Memo[str, tuple[int, int] | None] = Memo(self._match_key)
        # Readers hand out the same mapping for the same text; an entry keeps its mapping alive, so that
        # an id cannot come to mean another one.
        self._seen: dict[int, tuple[Mapping[str, str], tuple[str | None, ...]]] = {}

    def select(self, tags: Mapping[str, str]) -> tuple[str | None, ...]:
        """The value of each listed tag, None where the line carries none."""
        seen = self._seen.get(id(tags))
        if seen is not None:
            return seen[1]
        values = self._select(tags)
        if len(self._seen) >= 50_000:
            self._seen.clear()
        self._seen[id(tags)] = (tags, values)
        return values

    def _select(self, tags: Mapping[str, str]) -> tuple[str | None, ...]:
        best: dict[int, tuple[int, str]] = {}
        for key in tags:
            match = self._match[key]
            if match is None:
                continue
            position, distance = match
            if position not in best or (distance, key) < best[position]:
                best[position] = (distance, key)
        return tuple(tags[best[i][1]] if i in best else None for i in range(len(self._listed)))

    def _match_key(self, key: str) -> tuple[int, int] | None:
        """Which listed tag a key means, and how far its spelling is from it."""
        folded, bare = fold_key(key), fold_key(strip_prefixes(key))
        if folded in self._index:
            position = self._index[folded]
            return position, 0 if key == self._listed[position] else 1
        if bare in self._index:
            return self._index[bare], 2
        alias = self._aliases.get(folded) or self._aliases.get(bare)
        if alias in self._index:
            return self._index[alias], 3
        return None
