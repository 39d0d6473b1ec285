from pathlib import Path

import pytest

from connectors.paths import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a.csv",
        "b.txt",
        ".hidden.csv",
        "2024/09/c.csv",
        "2024/10/c.csv",
        "2024/10/.part/d.csv",
        "odd[1].csv",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(path: Path) -> list[str]:
    root, files = find_files(path, is_wanted=lambda file: file.suffix == ".csv", connector="bills")
    return [file.relative_to(root).as_posix() for file in files]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ["2024/09/c.csv", "2024/10/c.csv", "a.csv", "odd[1].csv"]),
        ("b.txt", ["b.txt"]),
        ("odd[1].csv", ["odd[1].csv"]),
        ("*.txt", ["b.txt"]),
        ("2024/*/c.csv", ["09/c.csv", "10/c.csv"]),
        ("*/1?/*.csv", ["2024/10/c.csv"]),
        ("2024/**/c.csv", ["09/c.csv", "10/c.csv"]),
        ("[0-9]*/09/*", ["2024/09/c.csv"]),
        ("*.parquet", []),
        ("gone/*.csv", []),
    ],
)
def test_a_path_names_its_files(folder: Path, path: str, found: list[str]) -> None:
    assert names(folder / path) == found


def test_a_glob_may_begin_with_a_wildcard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert names(Path("*.txt")) == ["b.txt"]


def test_a_path_without_wildcards_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"connector 'bills': expected a file, a folder or a glob, found nothing at .*gone"
    ):
        names(tmp_path / "gone.csv")
