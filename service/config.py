"""Reading the configuration: one YAML file plus the environment, every mistake at once with its place.

A scalar that is `${NAME}` as a whole is taken from the environment. SPENDWATCH_<SECTION>__<NAME> sets one value and
wins over the file. `secret_file` names a file that holds `secret`, and so for all of _SECRETS. Relative paths start at
the folder of the configuration file, as in Prometheus.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from service.errors import ConfigError
from service.misshapen import (
    Numbers,
    Place,
    by_line,
    in_file,
    in_plain_words,
    items_of,
    name_mistakes,
    plainer,
    take_out,
    without_tag,
)
from service.route_mistakes import MOVED, route_mistakes
from service.settings import Settings

PREFIX = "SPENDWATCH_"
_NOT_SETTINGS = ("SPENDWATCH_CONFIG", "SPENDWATCH_TEST_", "SPENDWATCH_CHAOS_", "SPENDWATCH_BENCH_")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRETS = ("url", "secret", "token", "password", "key", "title", "text")
"""What may stand in a file of its own: secrets, and templates."""
_FREE = ("match", "params", "fields", "to")
"""Mappings whose names are the user's own: a label called `path` is no file."""
_PATHS = ("path", "truth_path", "checkpoint_path", *(f"{name}_file" for name in _SECRETS))

Check = Callable[[Settings], Iterable[tuple[Place, str]]]
"""Looks for mistakes that the shape alone does not show: their place and what is wrong."""


def load(path: Path | None, environ: Mapping[str, str] | None = None, check: Check = lambda _settings: ()) -> Settings:
    """Read *path* (None: defaults only) and the environment.

    Raises ConfigError whose message lists every mistake, one a line: `file.yaml:12: policies[0].floor: ...`.
    """
    reader = _Reader(path, os.environ if environ is None else environ)
    return reader.settings(check)


class _Reader:
    """Collects what is wrong while it reads, so that one run shows everything."""

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self._path = path
        self._environ = environ
        self._lines: dict[Place, int] = {}
        self._variables: dict[Place, str] = {}
        self._mistakes: list[str] = []
        self._out: set[Place] = set()
        """What is mistaken and told, and is left out for the rest to be looked at."""

    def settings(self, check: Check) -> Settings:
        raw = self._read_file()
        self._overlay_environment(raw)
        self._read_secret_files(raw, ())
        if raw.pop("routes", None) is not None:
            self._mistakes.append(self._tell(("routes",), MOVED))
        for place, mistake in (*name_mistakes(raw), *route_mistakes(raw)):
            self._mistakes.append(self._tell(place, mistake))
        settings, numbers = self._validated(raw)
        for place, mistake in check(settings):
            self._mistakes.append(self._tell(in_file(place, numbers), mistake))
        if self._mistakes:
            raise ConfigError("\n".join(sorted(dict.fromkeys(self._mistakes), key=by_line)))
        return settings

    def _validated(self, raw: dict[str, object]) -> tuple[Settings, Numbers]:
        """The settings of all in *raw* that has the right shape, and the places that items of its lists have there.

        What has not is told and taken out of *raw*: it hides no other mistake.
        """
        while True:
            numbers = {
                section: [number for number in range(len(items)) if (section, number) not in self._out]
                for section, items in raw.items()
                if isinstance(items, list)
            }
            kept = {**raw, **{name: [items_of(raw, name)[number] for number in numbers[name]] for name in numbers}}
            try:
                return Settings.model_validate(kept), numbers
            except ValidationError as error:
                gone: set[Place] = set()
                for mistake in error.errors():
                    place = in_file(without_tag(kept, mistake["loc"]), numbers)
                    if not self._follows(self._place(place), mistake["msg"]):
                        self._mistakes.append(self._tell(*plainer(place, mistake)))
                    if not any(self._place(place)[: len(one)] == one for one in gone):
                        gone.add(take_out(raw, self._place(place)))
                self._out |= gone

    def _follows(self, place: Place, message: str) -> bool:
        """Whether a mistake is only that something is missing which was taken out."""
        return any(
            out[: len(place)] == place and (out == place or re.search(rf"\b{re.escape(str(out[-1]))}\b", message))
            for out in self._out
        )

    def _read_file(self) -> dict[str, object]:
        if self._path is None:
            return {}
        try:
            node = yaml.compose(self._path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self._path}: expected UTF-8 text, byte {error.start} is not") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise ConfigError(f"{self._path}:{line}: {error.problem}") from None
        if node is None:
            return {}
        value = self._construct(node, ())
        if not isinstance(value, dict):
            raise ConfigError(f"{self._path}:1: expected a mapping of sections, got {type(value).__name__}")
        return value

    def _construct(self, node: yaml.Node, place: Place) -> object:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            mapping: dict[str, object] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                inner = (*place, key)
                if key in mapping:
                    first = self._lines[inner]
                    self._mistakes.append(
                        f"{self._path}:{key_node.start_mark.line + 1}: {key} stands here again (line {first})"
                    )
                    continue
                self._lines[inner] = key_node.start_mark.line + 1
                mapping[key] = self._construct(value_node, inner)
            return mapping
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(item, (*place, index)) for index, item in enumerate(node.value)]
        reference = _REFERENCE.fullmatch(str(node.value))
        if reference is None:
            return yaml.SafeLoader("").construct_object(node)
        if reference[1] not in self._environ:
            self._mistakes.append(self._tell(place, f"the environment has no {reference[1]}"))
        return self._environ.get(reference[1], "")

    def _overlay_environment(self, raw: dict[str, object]) -> None:
        for name, text in self._environ.items():
            if not name.startswith(PREFIX) or name.startswith(_NOT_SETTINGS):
                continue
            path = name.removeprefix(PREFIX).lower().split("__")
            problem = _unknown_field(path)
            if problem is not None:
                self._mistakes.append(f"{name}: {problem}")
                continue
            target = raw
            for key in path[:-1]:
                inner = target.setdefault(key, {})
                if not isinstance(inner, dict):
                    break
                target = inner
            else:
                target[path[-1]] = text if _is_scalar(path) else yaml.safe_load(text)
                self._variables[tuple(path)] = name

    def _read_secret_files(self, value: object, place: Place) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                self._read_secret_files(item, (*place, index))
        if isinstance(value, dict):
            self._anchor_paths(value, place)
            for key in _SECRETS:
                self._read_secret(value, key, place)
            for key, item in value.items():
                if key not in _FREE:
                    self._read_secret_files(item, (*place, key))

    def _anchor_paths(self, section: dict[str, object], place: Place) -> None:
        for key in _PATHS:
            text = section.get(key)
            if isinstance(text, str) and self._path is not None and (*place, key) not in self._variables:
                section[key] = str(self._path.parent / text)

    def _read_secret(self, section: dict[str, object], key: str, place: Place) -> None:
        file = section.get(f"{key}_file")
        if not isinstance(file, str):
            return
        if section.get(key) is not None:
            self._mistakes.append(self._tell((*place, key), f"set one of {key} and {key}_file, not both"))
            return
        try:
            section[key] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self._mistakes.append(self._tell((*place, f"{key}_file"), f"{file}: {reason}"))
            self._out.add((*place, key))

    def _place(self, location: Place) -> Place:
        """Where in the file pydantic means: its locations name members of unions too."""
        known = self._lines.keys() | {name[:depth] for name in self._variables for depth in range(1, len(name) + 1)}
        place: Place = ()
        for part in location:
            if (*place, part) in known or part == location[-1]:
                place = (*place, part)
        return place

    def _tell(self, location: Place, message: str) -> str:
        """`file.yaml:12: policies[0].floor: message`; pydantic's locations also name union members, which we skip."""
        place = self._place(location)
        message = in_plain_words(message)
        if place in self._variables:
            return f"{self._variables[place]}: {message}"
        name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        line = next((self._lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self._lines), None)
        where = "defaults" if self._path is None else f"{self._path}:{line}" if line else str(self._path)
        return f"{where}: {name}: {message}" if name else f"{where}: {message}"


def _unknown_field(path: list[str]) -> str | None:
    """What is wrong with a variable's name, or None."""
    fields = Settings.model_fields
    for depth, key in enumerate(path):
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {close[0].upper()}?" if close else f"; known: {', '.join(sorted(fields)).upper()}"
            return f"no setting is named {key.upper()}{hint}"
        section = _section_of(fields[key])
        if section is None:
            return None if depth == len(path) - 1 else f"{key.upper()} has no parts"
        fields = section.model_fields
    return f"{path[-1].upper()} is a section; set one of {', '.join(sorted(fields)).upper()}"


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _is_scalar(path: list[str]) -> bool:
    """Whether a variable's text is the value itself; lists and mappings are written as YAML or JSON."""
    fields = Settings.model_fields
    for key in path[:-1]:
        section = _section_of(fields[key])
        if section is None:
            return True
        fields = section.model_fields
    annotation = fields[path[-1]].annotation
    origins = {getattr(part, "__origin__", part) for part in (annotation, *get_args(annotation))}
    return not origins & {tuple, dict, list}
