"""The routing tree as lines of text."""

from collections.abc import Iterator

from service.console import clean
from service.core.durations import format_duration
from service.core.routing import Node


def draw(root: Node) -> list[str]:
    """One node a line, children indented below it."""
    return [*_drawn(root, "", "")]


def _drawn(node: Node, lead: str, below: str) -> Iterator[str]:
    yield f"{lead}{described(node)}"
    for number, child in enumerate(node.children):
        is_last = number == len(node.children) - 1
        yield from _drawn(child, f"{below}{'└─ ' if is_last else '├─ '}", f"{below}{'   ' if is_last else '│  '}")


def described(node: Node) -> str:
    """What a node wants, whom it tells, and how."""
    wanted = ", ".join(map(str, node.matchers)) or "every alert"
    together = f"by {', '.join(node.group_by)}, {format_duration(node.group_wait)} together"
    notes = [
        *([together] if node.group_by else []),
        *(f"only in {one.name}" for one in node.windows.active),
        *(f"not in {one.name}" for one in node.windows.mute),
        *(["continue"] if node.goes_on else []),
    ]
    how = f"  ({'; '.join(notes)})" if notes else ""
    return clean(f"{node.path}  {wanted} -> {', '.join(node.receivers) or 'nobody'}{how}")
