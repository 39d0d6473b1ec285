"""`spendwatch score`: what goes in, what comes out, and what of it is an error."""

import csv
import gzip
import io
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest

from detectors import names
from service.score import MAX_LINE, STANDARD_INPUT, ScoreError, Scoring, Tally, lines_of, run, score
from service.scorers import METRICS

SAMPLE = Path(__file__).parents[1] / "data" / "nab" / "data" / "realAWSCloudwatch" / "ec2_cpu_utilization_53ea38.csv"


def scored(text: str, name: str = "cpu.csv") -> tuple[list[list[str]], Tally]:
    sink = io.StringIO()
    tally = score(io.StringIO(text), sink, name)
    return list(csv.reader(io.StringIO(sink.getvalue()))), tally


def rows_of(count: int) -> str:
    return "".join(
        f"2024-01-{1 + row // 288:02} {row % 288 // 12:02}:{row % 12 * 5:02}:00,{40 + row % 3}\n"
        for row in range(count)
    )


def test_every_row_comes_back_as_it_was_with_a_score() -> None:
    rows, tally = scored(SAMPLE.read_text())
    given = list(csv.reader(SAMPLE.read_text().splitlines()))
    assert rows[0] == ["timestamp", "value", "anomaly_score"]
    assert [row[:2] for row in rows] == given
    assert all(0.0 <= float(row[2]) <= 1.0 for row in rows[1:])
    assert (tally.rows, tally.bad, tally.missing) == (4032, 0, 0)


def test_what_is_labelled_in_a_recording_is_found_and_little_else() -> None:
    rows, _ = scored(SAMPLE.read_text())
    shown = [row[0] for row in rows[605:] if float(row[2]) >= 0.5]
    # In the windows from the 19th, 10:50, to the 20th, 3:30, and from the 23rd, 11:45, to the 24th, 4:25.
    assert {"2014-02-19 21:10:00", "2014-02-23 21:10:00"} <= set(shown)
    assert len(shown) <= 5


def test_the_rest_of_the_file_does_not_matter() -> None:
    lines = SAMPLE.read_text().splitlines(keepends=True)
    whole, _ = scored("".join(lines))
    part, _ = scored("".join(lines[:2000]))
    assert part == whole[:2000]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2024-01-01 00:00:00,abc", "value: expected a number, got 'abc'"),
        ("2024-01-01 00:00:00,1_000", "value: expected a number, got '1_000'"),
        ("2024-01-01 00:00:00,inf", "value: expected a number, got 'inf'"),
        ("2024-01-01 00:00:00,1e999", "value: expected a number up to 1.8e308, got '1e999'"),
        ("yesterday,1", "timestamp: expected a time such as 2024-09-18 00:05:00, got 'yesterday'"),
        ("2024-02-30 00:00:00,1", "timestamp: expected a time such as 2024-09-18 00:05:00, got '2024-02-30 00:00:00'"),
        (",1", "timestamp: expected a time such as 2024-09-18 00:05:00, got ''"),
        ("1", "expected 2 columns, got 1"),
        ("2024-01-01 00:00:00,1,2", "expected 2 columns, got 3"),
        ('2024-01-01 00:00:00,"x', "value: expected a number, got 'x'"),
    ],
)
def test_a_bad_row_keeps_its_place_and_harms_no_other(
    capsys: pytest.CaptureFixture[str], row: str, message: str
) -> None:
    good, _ = scored("timestamp,value\n" + rows_of(300))
    rows, tally = scored(f"timestamp,value\n{row}\n" + rows_of(300))
    assert (tally.rows, tally.bad) == (301, 1)
    assert rows[1][2] == ""
    assert rows[2:] == good[1:]
    assert f"spendwatch: cpu.csv:2: {message}" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["", "NaN", "nan", "null", "None", " "])
def test_a_missing_sample_has_no_score_and_is_no_error(value: str) -> None:
    rows, tally = scored(f"timestamp,value\n2024-01-01 00:00:00,{value}\n2024-01-01 00:05:00,4\n")
    assert (tally.missing, tally.bad) == (1, 0)
    assert rows[1:] == [["2024-01-01 00:00:00", value, ""], ["2024-01-01 00:05:00", "4", "0"]]


def test_blank_lines_are_no_rows() -> None:
    rows, tally = scored("timestamp,value\n\n2024-01-01 00:00:00,4\n  \n")
    assert (len(rows), tally.rows) == (2, 1)


def test_columns_are_found_by_their_names_and_carriage_returns_do_not_count() -> None:
    rows, _ = scored("host, Value ,TIMESTAMP\r\nweb-1,4.50,2024-01-01T00:00:00Z\r\n")
    assert rows[1] == ["2024-01-01T00:00:00Z", "4.50", "0"]


def test_only_so_many_bad_rows_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    _, tally = scored("timestamp,value\n" + "2024-01-01 00:00:00,x\n" * 500)
    assert tally.bad == 500
    assert len(capsys.readouterr().err.splitlines()) == 20


@pytest.mark.parametrize(
    "stamp",
    ["2014-02-19T21:10:00Z", "2014-02-19 22:10:00+01:00", "1392844200", "1392844200.0", "1392844200000"],
    ids=["iso", "zone", "seconds", "fraction", "milliseconds"],
)
def test_one_instant_scores_the_same_in_any_notation(stamp: str) -> None:
    lines = SAMPLE.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith("2014-02-19 21:10:00"))
    plain, _ = scored("".join(lines[: place + 1]))
    other, _ = scored("".join([*lines[:place], f"{stamp},{lines[place].split(',')[1]}"]))
    assert other[-1][2] == plain[-1][2]
    assert float(plain[-1][2]) > 0.5


def test_repeated_stamps_steps_back_and_gaps_are_rows_like_others() -> None:
    stamps = ["2024-01-01 00:00:00", "2024-01-01 00:00:00", "2023-12-31 23:00:00", "2031-01-01 00:00:00", "0001-01-01"]
    rows, tally = scored("timestamp,value\n" + "".join(f"{stamp},1e308\n{stamp},-1e308\n" for stamp in stamps))
    assert (tally.rows, tally.bad) == (10, 0)
    assert [row[0] for row in rows[1::2]] == stamps


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "nothing"),
        ("\n1,2\n", "a blank line"),
        ("2024-01-01,4\n", "'2024-01-01,4'"),
        ("time,value\n", "'time,value'"),
    ],
    ids=["empty", "blank", "none", "other"],
)
def test_an_input_without_its_header_cannot_be_scored(text: str, found: str) -> None:
    with pytest.raises(ScoreError, match=rf"^x\.csv:1: expected the header timestamp,value, got {found}$") as caught:
        scored(text, "x.csv")
    assert caught.value.exit_code == 2


def test_a_header_alone_is_an_empty_series() -> None:
    assert scored("timestamp,value\n")[0] == [["timestamp", "value", "anomaly_score"]]


def test_files_go_to_a_folder_each_with_a_detector_of_its_own(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("timestamp,value\n" + rows_of(500))
    assert run([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "scores") == 0
    assert (tmp_path / "scores" / "a.csv").read_text() == (tmp_path / "scores" / "b.csv").read_text()


def test_a_file_that_cannot_be_used_does_not_keep_the_others_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.csv").write_text("timestamp,value\n" + rows_of(3))
    files = [tmp_path / "missing.csv", tmp_path / "good.csv"]
    assert run(files, tmp_path / "scores") == 2
    assert len((tmp_path / "scores" / "good.csv").read_text().splitlines()) == 4
    assert f"{tmp_path / 'missing.csv'}: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "out", "message"),
    [
        (["a.csv", "b.csv"], None, "several files need --out FOLDER"),
        ([], "scores", "--out FOLDER needs the names of files"),
        (["x/a.csv", "y/a.csv"], "scores", "files of one name would overwrite one another in scores: a.csv"),
        (["scores/a.csv"], "scores", "--out scores is where the files are"),
    ],
)
def test_what_would_mix_or_overwrite_is_refused(files: list[str], out: str | None, message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        run([Path(file) for file in files], None if out is None else Path(out))


def test_a_score_comes_while_the_input_is_still_open() -> None:
    command = [sys.executable, "-m", "service.cli", "score"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("timestamp,value\n2024-01-01 00:00:00,4\n")
        process.stdin.flush()
        assert process.stdout.readline() == "timestamp,value,anomaly_score\n"
        assert process.stdout.readline() == "2024-01-01 00:00:00,4,0\n"
        process.stdin.write("2024-01-01 00:05:00,oops\n")
        process.stdin.close()
        assert process.stdout.readline() == "2024-01-01 00:05:00,oops,\n"
        assert process.wait() == 1


def test_standard_input_has_a_name() -> None:
    with pytest.raises(ScoreError, match=r"^standard input:1: "):
        scored("", STANDARD_INPUT)


def test_a_cell_of_a_megabyte_spoils_its_own_row_and_no_other() -> None:
    rows, tally = scored(f"timestamp,value\n1,2\n2,{'9' * 1_000_000}\n3,4\n")
    assert [row[:2] for row in rows[1:]] == [["1", "2"], ["", ""], ["3", "4"]]
    assert (tally.rows, tally.bad) == (3, 1)


def test_a_header_that_is_no_csv_is_one_error() -> None:
    with pytest.raises(ScoreError, match="expected the header timestamp,value"):
        scored("x" * 1_000_000)


class Endless(io.StringIO):
    """One line that never ends, as /dev/zero has; counts what was asked for."""

    read_of_it = 0

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # typeshed has it return bytes
        assert size > 0, "the whole line was asked for"
        self.read_of_it += size
        return "0" * size


def test_a_line_without_an_end_is_one_error_and_fills_no_memory() -> None:
    endless = Endless()
    with pytest.raises(ScoreError, match="expected the header timestamp,value"):
        score(lines_of(endless), io.StringIO(), "zero")
    assert endless.read_of_it == MAX_LINE


def test_the_rest_of_a_line_that_is_too_long_is_no_row() -> None:
    text = f"timestamp,value\n1,{'9' * (3 * MAX_LINE)}\n2,3\n" + "4," + "5" * (MAX_LINE - 2)
    sink = io.StringIO()
    tally = score(lines_of(io.StringIO(text)), sink, "cpu.csv")
    assert (tally.rows, tally.bad) == (3, 2)
    assert sink.getvalue().splitlines()[2] == "2,3,0"


def packed(text: str) -> bytes:
    return gzip.compress(text.encode())


def test_a_file_packed_with_gzip_is_told_by_its_content(tmp_path: Path) -> None:
    text = "timestamp,value\n" + rows_of(300)
    (tmp_path / "plain.csv").write_text(text)
    (tmp_path / "a.csv.gz").write_bytes(packed(text))
    (tmp_path / "b.csv").write_bytes(packed(text))
    assert run([tmp_path / name for name in ("plain.csv", "a.csv.gz", "b.csv")], tmp_path / "scores") == 0
    scores = {name: (tmp_path / "scores" / name).read_text() for name in ("plain.csv", "a.csv", "b.csv")}
    assert scores["a.csv"] == scores["b.csv"] == scores["plain.csv"]


def test_standard_input_may_be_packed() -> None:
    text = "timestamp,value\n" + rows_of(10)
    command = [sys.executable, "-m", "service.cli", "score"]
    found = subprocess.run(command, input=packed(text), capture_output=True, timeout=120, check=True)
    assert len(found.stdout.splitlines()) == 11


def test_gzip_that_breaks_off_is_one_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.csv.gz").write_bytes(packed("timestamp,value\n" + rows_of(3000))[:-20])
    assert run([tmp_path / "cut.csv.gz"], tmp_path / "scores") == 2
    assert "expected complete gzip, got data that breaks off" in capsys.readouterr().err


@pytest.mark.parametrize("detector", [*names(), METRICS])
def test_any_detector_scores_by_its_name(detector: str) -> None:
    sink = io.StringIO()
    tally = score(
        io.StringIO("timestamp,value\n" + rows_of(400) + "2024-01-02 09:25:00,4000\n"),
        sink,
        "cpu.csv",
        Scoring(detector=detector),
    )
    rows = list(csv.DictReader(io.StringIO(sink.getvalue())))
    assert (tally.rows, tally.bad) == (401, 0)
    assert float(rows[0]["anomaly_score"]) == 0.0
    assert float(rows[-1]["anomaly_score"]) > 0.5


def test_a_detector_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(ScoreError, match=r"detector must be one of seasonal, .*, metrics, got 'sesonal'"):
        Scoring(detector="sesonal")


def test_columns_are_scored_together_and_the_one_that_parts_is_named() -> None:
    rng = random.Random(1)
    lines = ["timestamp,cpu,network\n"]
    for number in range(1500):
        load = math.exp(rng.gauss(0.0, 0.4))
        cpu = 40.0 * load * math.exp(rng.gauss(0.0, 0.03))
        lines.append(f"{number * 300},{cpu},{8.0 * load * math.exp(rng.gauss(0.0, 0.03))}\n")
    lines += [f"{1500 * 300},80,16\n", f"{1501 * 300},80,4\n", f"{1502 * 300},,4\n"]
    sink = io.StringIO()
    tally = score(lines, sink, "host.csv", Scoring(detector=METRICS))
    rows = list(csv.DictReader(io.StringIO(sink.getvalue())))
    assert [row["stands_out"] for row in rows[-3:-2]] == [""]
    assert rows[-2]["stands_out"] in ("cpu", "network")
    assert float(rows[-2]["anomaly_score"]) > 0.5
    assert (rows[-1]["anomaly_score"], tally.missing) == ("", 1)
