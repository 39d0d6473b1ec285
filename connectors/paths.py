"""What a connector's path names: one file, the files of a folder, or those of a glob."""

from collections.abc import Callable
from pathlib import Path

_WILDCARDS = frozenset("*?[")


def find_files(path: Path, *, is_wanted: Callable[[Path], bool], connector: str) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files in the order of their names.

    Wildcards may stand in any part of *path*; `**` stands for any folders. is_wanted chooses among the files of a
    folder, where other programs keep hidden files, notes and half-written downloads; a file or a glob means what it
    says. Raises FileNotFoundError when a path without wildcards is not there; a glob may match nothing yet.
    """
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        return path, sorted(file for file in path.rglob("*") if _is_open(file, path) and is_wanted(file))
    fixed = next((number for number, part in enumerate(path.parts) if _WILDCARDS.intersection(part)), None)
    if fixed is None:
        raise FileNotFoundError(
            f"connector {connector!r}: expected a file, a folder or a glob, found nothing at {path}"
        )
    root = Path(*path.parts[:fixed])
    pattern = str(Path(*path.parts[fixed:]))
    return root, sorted({file for file in root.glob(pattern) if file.is_file()})


def has_files(path: Path, *, is_wanted: Callable[[Path], bool]) -> bool:
    """Whether `find_files` would find any file now."""
    try:
        return bool(find_files(path, is_wanted=is_wanted, connector="")[1])
    except FileNotFoundError:
        return False


def _is_open(file: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(root).parts) and file.is_file()
