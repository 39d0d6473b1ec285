from collections import Counter
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from connectors.connector import BadReason, Refused
from connectors.runner import Summary
from service.settings import Connector, FileConnector, MetricsFileConnector, Settings, SyntheticConnector
from service.sources import missing_files, print_summary


def bills(path: Path) -> FileConnector:
    return FileConnector(type="focus", name="bills", path=path)


def meters(path: Path) -> MetricsFileConnector:
    return MetricsFileConnector(type="metric_csv", name="meters", path=path, metric="cpu", unit="1")


@pytest.mark.parametrize("make", [bills, meters])
@pytest.mark.parametrize("name", ["*.csv", "nothing.csv", "folder", "no/folder/*.csv"])
def test_a_path_that_names_no_file_is_missing(tmp_path: Path, make: Callable[[Path], Connector], name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").touch()
    connector = make(tmp_path / name)
    assert missing_files([connector], Settings()) == {connector.name: tmp_path / name}


@pytest.mark.parametrize("name", ["*.csv", "a.csv", "."])
def test_a_path_that_names_a_file_is_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").touch()
    synthetic = SyntheticConnector(type="synthetic", name="demo")
    assert missing_files([bills(tmp_path / name), meters(tmp_path / name), synthetic], Settings()) == {}


def test_the_summary_tells_what_was_read_refused_and_not_found() -> None:
    summary = Summary(connector="bills", rows=1_200, facts=40, deliveries=1, bad=Counter({BadReason.MISSING: 3}))
    summary.refused.append(Refused(origin="bills:b.csv", path="b.csv", expected="a bill", found="a picture"))
    output = StringIO()
    print_summary([summary], {"meters": Path("meters/[a]*.csv")}, Console(file=output, width=120))
    lines = output.getvalue().splitlines()
    assert lines[1].split() == ["bills", "1,200", "40", "0", "3", "1", "0", "0"]
    assert lines[2:] == [
        "meters: no file matches meters/[a]*.csv",
        "bills: 3 rows missing, kept as dead letters",
        "bills: b.csv: expected a bill, found a picture",
    ]
