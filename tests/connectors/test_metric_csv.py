from pathlib import Path

import pytest

from connectors.connector import BadReason, ContinuousConnector, CursorError, FactBatch
from connectors.facts import Basis, Fact, Fold
from connectors.metric_csv import MetricCsvConnector, MetricSeries
from connectors.series import Grain, SeriesKeyError
from tests.clock import FakeTime

SERIES = MetricSeries(metric="cpu_utilization", unit="percent")


def write(folder: Path, name: str, *rows: str, header: str = "timestamp,value") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


async def read(connector: MetricCsvConnector, cursor: str | None = None) -> list[FactBatch]:
    return [batch async for batch in connector.batches(cursor)]


def facts_of(batches: list[FactBatch]) -> list[Fact]:
    return [fact for batch in batches for fact in batch.facts]


async def test_a_row_becomes_a_gauge_sample(tmp_path: Path) -> None:
    path = write(tmp_path, "i-0abc.csv", "2014-04-01 00:05:00,20.5")
    (fact,) = facts_of(await read(MetricCsvConnector("nab", path, SERIES)))
    assert fact == Fact(
        series="default/cpu_utilization/percent/5m/resource_id=i-0abc",
        charge_period_start="2014-04-01T00:05:00Z",
        value=20.5,
        origin="nab:i-0abc.csv",
        fold=Fold.GAUGE,
        basis=Basis.ESTIMATED,
        event_id="i-0abc.csv:2",
    )


def test_it_is_a_continuous_connector() -> None:
    assert isinstance(MetricCsvConnector("nab", Path("x.csv"), SERIES), ContinuousConnector)


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("2014-04-01 00:05:00", "2014-04-01T00:05:00Z"),
        ("2014-04-01T00:05:00Z", "2014-04-01T00:05:00Z"),
        ("2014-04-01T02:05:00+02:00", "2014-04-01T00:05:00Z"),
        ('"2014-04-01 00:05:00"', "2014-04-01T00:05:00Z"),
    ],
    ids=["naive is UTC", "zulu", "offset", "quoted"],
)
async def test_stamps_become_utc(tmp_path: Path, stamp: str, instant: str) -> None:
    path = write(tmp_path, "a.csv", f"{stamp},1")
    (fact,) = facts_of(await read(MetricCsvConnector("nab", path, SERIES)))
    assert fact.charge_period_start == instant


async def test_gaps_repeated_stamps_and_steps_back_are_kept_in_order(tmp_path: Path) -> None:
    stamps = ["00:00", "00:05", "00:05", "03:00", "02:00", "03:05"]
    path = write(tmp_path, "a.csv", *(f"2014-04-01 {stamp}:00,{n}" for n, stamp in enumerate(stamps)))
    facts = facts_of(await read(MetricCsvConnector("nab", path, SERIES)))
    assert [fact.value for fact in facts] == [0, 1, 2, 3, 4, 5]
    assert [fact.event_id for fact in facts] == [f"a.csv:{line}" for line in range(2, 8)]


async def test_files_are_merged_by_time(tmp_path: Path) -> None:
    write(tmp_path, "late.csv", "2014-05-01 00:00:00,3", "2014-05-01 00:05:00,4")
    write(tmp_path, "sub/early.csv", "2014-04-01 00:00:00,1", "2014-05-01 00:02:00,3.5")
    batches = await read(MetricCsvConnector("nab", tmp_path, SERIES))
    assert [fact.value for fact in facts_of(batches)] == [1, 3, 3.5, 4]
    assert [fact.series.rpartition("=")[2] for fact in facts_of(batches)] == ["early", "late", "early", "late"]


async def test_no_sample_comes_behind_the_watermark_before_it(tmp_path: Path) -> None:
    for file in range(3):
        rows = (f"2014-04-{day:02} {hour:02}:{5 * file:02}:00,1" for day in range(1, 29) for hour in range(24))
        write(tmp_path, f"{file}.csv", *rows)
    promised = ""
    for batch in await read(MetricCsvConnector("nab", tmp_path, SERIES, speed=1e9)):
        assert all(fact.charge_period_start >= promised for fact in batch.facts)
        assert batch.watermark is not None
        promised = batch.watermark
    assert promised == "2014-04-28T23:15:00Z"


async def test_a_jump_of_years_is_led_up_to_by_a_watermark(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "2012-04-01 00:00:00,1")
    write(tmp_path, "b.csv", "2014-04-01 00:00:00,2")
    batches = await read(MetricCsvConnector("nab", tmp_path, SERIES))
    assert [len(batch.facts) for batch in batches] == [1, 1]
    assert batches[0].watermark == "2014-04-01T00:00:00Z"


async def test_a_stamp_years_after_the_lines_before_it_is_a_mistake(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "2014-04-01 00:00:00,1", "2041-04-01 00:05:00,2", "2014-04-01 00:10:00,3")
    batches = await read(MetricCsvConnector("nab", path, SERIES))
    assert [fact.value for fact in facts_of(batches)] == [1, 3]
    assert [bad.message for batch in batches for bad in batch.bad] == [
        "timestamp: expected a date within 400 days of the lines before, got '2041-04-01 00:05:00' at a.csv:3"
    ]


async def test_the_last_bucket_is_complete_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "2014-04-01 00:07:00,1")
    series = MetricSeries(metric="m", unit="u", grain=Grain.HOUR)
    assert (await read(MetricCsvConnector("nab", path, series)))[-1].watermark == "2014-04-01T01:00:00Z"


async def test_a_cursor_goes_on_after_any_batch(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path, name, *(f"2014-04-01 {hour:02}:00:00,{hour}" for hour in range(24)))
    time = FakeTime()
    connector = MetricCsvConnector("nab", tmp_path, SERIES, speed=3600.0, clock=time.clock, sleep=time.sleep)
    batches = await read(connector)
    assert len(batches) == 24
    for taken in range(len(batches)):
        rest = await read(connector, batches[taken].cursor)
        assert facts_of(batches[: taken + 1]) + facts_of(rest) == facts_of(batches)


async def test_a_file_may_grow_and_files_may_be_added(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "2014-04-01 00:00:00,1")
    connector = MetricCsvConnector("nab", tmp_path, SERIES)
    cursor = (await read(connector))[-1].cursor
    with path.open("a") as file:
        file.write("2014-04-01 00:05:00,2\n")
    write(tmp_path, "b.csv", "2014-04-01 00:05:00,9")
    more = await read(connector, cursor)
    assert [fact.value for fact in facts_of(more)] == [2, 9]
    assert await read(connector, more[-1].cursor) == []


async def test_a_replay_takes_its_time(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", *(f"2014-04-01 {hour:02}:00:00,{hour}" for hour in range(11)))
    time = FakeTime()
    await read(MetricCsvConnector("nab", path, SERIES, speed=3600.0, clock=time.clock, sleep=time.sleep))
    assert time.now == pytest.approx(1010.0)


@pytest.mark.parametrize(
    ("row", "field", "reason", "message"),
    [
        ("2014-04-01 00:00:00,nan", "value", BadReason.NOT_A_NUMBER, "value: expected a decimal number, got 'nan'"),
        ("2014-04-01 00:00:00,inf", "value", BadReason.NOT_A_NUMBER, "value: expected a decimal number"),
        ("2014-04-01 00:00:00,1e13", "value", BadReason.OUT_OF_RANGE, "value: expected a number within"),
        ("2014-04-01 00:00:00,", "value", BadReason.MISSING, "value: expected a decimal number, got ''"),
        ("yesterday,1", "timestamp", BadReason.NOT_A_DATE, "timestamp: expected a date"),
        ("1814-04-01 00:00:00,1", "timestamp", BadReason.OUT_OF_RANGE, "timestamp: expected a date in the years"),
        ("2014-04-01 00:00:00,1,2", None, BadReason.MALFORMED, "line: expected 2 columns"),
        ('2014-04-01 00:00:00,"1', "value", None, ""),
    ],
    ids=["nan", "inf", "too large", "empty", "no date", "old", "three columns", "stray quote"],
)
async def test_a_bad_row_names_its_line_and_field_and_the_rest_goes_on(
    tmp_path: Path, row: str, field: str | None, reason: BadReason | None, message: str
) -> None:
    path = write(tmp_path, "a.csv", "2014-04-01 00:00:00,1", row, "2014-04-01 00:05:00,2")
    batches = await read(MetricCsvConnector("nab", path, SERIES))
    assert [fact.value for fact in facts_of(batches)][-1] == 2
    bad = [record for batch in batches for record in batch.bad]
    if reason is None:
        assert bad == []
        return
    assert [(record.place, record.field, record.reason) for record in bad] == [("a.csv:3", field, reason)]
    assert bad[0].message.startswith(message)
    assert bad[0].message.endswith("at a.csv:3")
    assert bad[0].raw == row.encode()
    assert sum(batch.rows for batch in batches) == 3


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (
            b"\x1f\x8b\x08\x00",
            "that it breaks off at its beginning (Compressed file ended before the end-of-stream marker was reached)",
        ),
        (b"date,cost\n2014-04-01,1\n", "the header 'date,cost'"),
    ],
    ids=["empty", "gzip", "other columns"],
)
async def test_a_file_that_is_none_is_refused_and_the_others_are_read(
    tmp_path: Path, content: bytes, found: str
) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    write(tmp_path, "good.csv", "2014-04-01 00:00:00,1")
    batches = await read(MetricCsvConnector("nab", tmp_path, SERIES))
    (refused,) = batches[0].refused
    assert (refused.origin, refused.found) == ("nab:bad.csv", found)
    assert refused.expected == "a CSV file with the header timestamp,value"
    assert len(facts_of(batches)) == 1


async def test_a_byte_order_mark_and_capital_letters_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffTimestamp,Value\r\n2014-04-01 00:00:00,1\r\n\r\n".encode())
    assert len(facts_of(await read(MetricCsvConnector("nab", path, SERIES)))) == 1


async def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="connector 'nab': expected a file, a folder or a glob"):
        await read(MetricCsvConnector("nab", tmp_path / "gone.csv", SERIES))


async def test_a_glob_takes_what_matches(tmp_path: Path) -> None:
    write(tmp_path, "cpu_1.csv", "2014-04-01 00:00:00,1")
    write(tmp_path, "disk_1.csv", "2014-04-01 00:00:00,2")
    facts = facts_of(await read(MetricCsvConnector("nab", tmp_path / "cpu_*.csv", SERIES)))
    assert [fact.value for fact in facts] == [1]


async def test_a_glob_may_have_wildcards_in_its_folders(tmp_path: Path) -> None:
    for host in ("web", "db"):
        (tmp_path / host).mkdir()
        write(tmp_path / host, f"cpu_{host}.csv", "2014-04-01 00:00:00,1")
    facts = facts_of(await read(MetricCsvConnector("nab", tmp_path / "*" / "cpu_*.csv", SERIES)))
    assert [fact.origin for fact in facts] == ["nab:db/cpu_db.csv", "nab:web/cpu_web.csv"]


async def test_a_foreign_cursor_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "2014-04-01 00:00:00,1")
    with pytest.raises(CursorError, match="cursor of connector 'nab' must be a JSON object"):
        await read(MetricCsvConnector("nab", path, SERIES), "17")


def test_settings_that_make_no_series_are_told_at_once() -> None:
    with pytest.raises(SeriesKeyError, match="unit must match"):
        MetricCsvConnector("nab", Path("a.csv"), MetricSeries(metric="cpu", unit="per cent"))
