"""What is wrong with the routing tree beyond its shape: names that nobody bears, and names that nobody uses.

Looked for in the configuration as it was read, so that another mistake elsewhere hides none of these.
"""

from collections.abc import Iterator, Mapping

from service.misshapen import Place, addressed, items_of

MOVED = (
    "is now `route: {routes: [...]}` with matchers such as 'team=\"search\"' and 'severity>=high': see docs/routing.md"
)
"""What is said of `routes` at the top, as it was written before there was a tree."""

_INTERVALS = ("active_time_intervals", "mute_time_intervals")


def route_mistakes(raw: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    yield from _empty(raw)
    root = raw.get("route")
    if not isinstance(root, dict):
        if root is None:
            yield from _unused(raw, "time_intervals", set())
        return
    yield from _of_the_root(root)
    nodes = list(_nodes(root, ("route",)))
    receivers = [(place, name) for place, node in nodes for place, name in _names(node, place, "receiver")]
    intervals = [
        (place, name) for place, node in nodes for field in _INTERVALS for place, name in _names(node, place, field)
    ]
    yield from _unknown(receivers, raw, "receivers")
    yield from _unknown(intervals, raw, "time_intervals")
    yield from _unused(raw, "receivers", {name for _, name in (*receivers, *addressed(raw))})
    yield from _unused(raw, "time_intervals", {name for _, name in intervals})


def _empty(raw: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    """Lists that mean nothing without an element: an interval would never be open, a rule would be about everything."""
    for section, fields in (
        ("time_intervals", ("time_intervals",)),
        ("inhibit_rules", ("source_matchers", "target_matchers")),
    ):
        for number, item in enumerate(items_of(raw, section)):
            for field in fields:
                if isinstance(item, dict) and item.get(field) == []:
                    yield (section, number, field), "expected at least one element"


def _of_the_root(root: Mapping[str, object]) -> Iterator[tuple[Place, str]]:
    """Every alert enters at the root, at any time."""
    for field in ("matchers", "continue", *_INTERVALS):
        if root.get(field):
            yield ("route", field), "is for children (`routes`): every alert enters at the root, at any time"


def _nodes(node: Mapping[str, object], place: Place) -> Iterator[tuple[Place, Mapping[str, object]]]:
    yield place, node
    for number, child in enumerate(items_of(node, "routes")):
        if isinstance(child, dict):
            yield from _nodes(child, (*place, "routes", number))


def _names(node: Mapping[str, object], place: Place, field: str) -> Iterator[tuple[Place, str]]:
    value = node.get(field)
    if isinstance(value, str):
        yield (*place, field), value
    for number, name in enumerate(items_of(node, field)):
        if isinstance(name, str):
            yield (*place, field, number), name


def _defined(raw: Mapping[str, object], section: str) -> list[tuple[Place, str]]:
    return [
        ((section, number, "name"), item["name"])
        for number, item in enumerate(items_of(raw, section))
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    ]


def _unknown(used: list[tuple[Place, str]], raw: Mapping[str, object], section: str) -> Iterator[tuple[Place, str]]:
    names = [name for _, name in _defined(raw, section)]
    for place, name in used:
        if name not in names:
            yield place, f"{name!r} is not one of the {section}: {', '.join(names) or 'none is configured'}"


def _unused(raw: Mapping[str, object], section: str, used: set[str]) -> Iterator[tuple[Place, str]]:
    for place, name in _defined(raw, section):
        if name not in used:
            yield place, f"no route names {name!r}: name it in one, or leave it out"
