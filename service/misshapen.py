"""What has the wrong shape in a configuration: where it stands, what to call it, and the rest without it.

`raw` is the configuration as it was read, a mapping of sections, some of which are lists of items.
"""

import difflib
import re
from collections.abc import Iterator, Mapping

from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
"""Names and numbers that lead to a value, such as ("receivers", 0, "url")."""
Numbers = dict[str, list[int]]
"""For each section that is a list: where the items that are looked at stand in the file."""
_PLAINER = {
    "Extra inputs are not permitted": "unknown name",
    "Field required": "is missing",
    "Input should be a valid tuple": "must be a list, such as [a, b]",
    "Input should be a valid dictionary": "must be a mapping of names to values",
    "Unable to extract tag using discriminator 'type'": "type is missing",
}


def in_plain_words(message: str) -> str:
    """A message of pydantic in the words of this project, where it has some."""
    message = message.removeprefix("Value error, ")
    return _PLAINER.get(message, message)


def items_of(raw: Mapping[str, object], section: str) -> list[object]:
    found = raw.get(section)
    return found if isinstance(found, list) else []


def _named(raw: Mapping[str, object], section: str, key: str, default: str | None = None) -> list[str | None]:
    """What stands at *key* of each item of a section; None where that is no name."""
    found = (item.get(key, default) if isinstance(item, dict) else None for item in items_of(raw, section))
    return [name if isinstance(name, str) else None for name in found]


def name_mistakes(raw: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    """Names that stand twice, whatever else is wrong with those that bear them."""
    for section, key, default, says in (
        ("receivers", "name", None, "is named"),
        ("connectors", "name", None, "is named"),
        ("time_intervals", "name", None, "is named"),
        ("budgets", "label", "team", "is for"),
        ("digests", "name", None, "is named"),
    ):
        names = _named(raw, section, key, default)
        for number, name in enumerate(names):
            if name is not None and name in names[:number]:
                yield (section, number, key), f"{section}[{names.index(name)}] {says} {name!r} too"
    receivers = [name for name in _named(raw, "receivers", "name") if name is not None]
    known = ", ".join(receivers) or "none is configured"
    for place, name in addressed(raw):
        if name not in receivers:
            yield place, f"{name!r} is not one of the receivers: {known}"


def addressed(raw: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    """Receivers that digests and warnings of silences name, and where."""
    silences = raw.get("silences")
    tell = silences.get("tell") if isinstance(silences, dict) else None
    for name in tell if isinstance(tell, list) else []:
        if isinstance(name, str):
            yield ("silences", "tell"), name
    for number, digest in enumerate(items_of(raw, "digests")):
        if not isinstance(digest, dict):
            continue
        single = digest.get("to")
        lists = [(("to", str(value)), names) for value, names in single.items()] if isinstance(single, dict) else []
        for place, names in ((("receivers",), digest.get("receivers")), *lists):
            for name in names if isinstance(names, list) else [names]:
                if isinstance(name, str):
                    yield ("digests", number, *place), name


def plainer(place: Place, mistake: ErrorDetails) -> tuple[Place, str]:
    """The place and the words of what pydantic found; a `type` that does not exist is told with those that do."""
    if mistake["type"] != "union_tag_invalid":
        return place, mistake["msg"]
    tag, known = mistake["ctx"]["tag"], mistake["ctx"]["expected_tags"].replace("'", "")
    names = known.split(", ")
    close = [name for name in names if name.startswith(tag)] or difflib.get_close_matches(tag, names, n=1)
    hint = f"; did you mean {' or '.join(close)}?" if tag and close else ""
    return (*place, "type"), f"{tag!r} is not one of {known}{hint}"


def in_file(place: Place, numbers: Numbers) -> Place:
    """Where an item stood before others were taken out of its list."""
    if len(place) < 2 or place[0] not in numbers or not isinstance(place[1], int):
        return place
    return (place[0], numbers[str(place[0])][place[1]], *place[2:])


def without_tag(raw: object, location: Place) -> Place:
    """A mistake of a whole receiver or connector is at its place in the list, not at the name of its type."""
    value = raw
    for part in location[:-1]:
        try:
            value = value[part]  # type: ignore[index]  # walked as it was read
        except (KeyError, IndexError, TypeError):
            return location
    is_tag = isinstance(value, dict) and value.get("type") == location[-1] and location[-1] not in value
    return location[:-1] if is_tag else location


def take_out(raw: dict[str, object], place: Place) -> Place:
    """Remove what stands at *place*, or the nearest that it is a part of; answers what that was.

    An item of a section stays where it is, for the others to keep their numbers; it is only named.
    """
    for depth in range(len(place), 0, -1):
        *outer, last = place[:depth]
        if len(outer) == 1 and isinstance(last, int):
            return place[:depth]
        target: object = raw
        for part in outer:
            target = target.get(part) if isinstance(target, dict) else _item(target, part)
        if isinstance(target, dict) and last in target:
            del target[last]
            return place[:depth]
    raw.clear()
    return ()


def _item(items: object, number: str | int) -> object:
    return items[number] if isinstance(items, list) and isinstance(number, int) else None


def by_line(mistake: str) -> tuple[str, int]:
    match = re.match(r"(.*?):(\d+):", mistake)
    return (match[1], int(match[2])) if match else (mistake, 0)
