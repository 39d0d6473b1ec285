"""`spendwatch replay` from the outside: files in, alerts on standard output, everything else on standard error."""

import asyncio
import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import DefaultPartitioner
from prometheus_client import CollectorRegistry

from connectors.billing_files import BillingFiles
from connectors.checkpoint import Checkpoint
from connectors.facts import Fact, Watermark, encode, key_of
from connectors.metrics import ConnectorMetrics
from connectors.runner import Runner
from connectors.split import SplitRules
from service.cli import main
from service.core.alerts import Alert
from service.core.engine import Engine
from service.core.policies import PolicyBook
from service.replay.rows import Row, in_order, json_line
from service.settings import Settings
from tests.connectors.sinks import RecordingSink
from tests.service.core.support import Feed
from tests.service.replay.months import Resource, at, rows, teams, times, write

KEYS = [
    "id", "kind", "status", "severity", "labels", "starts_at", "ends_at", "judged_at",
    "actual", "expected", "lower", "upper", "currency", "drivers",
]  # fmt: skip
SPIKE = times(3.0, of="i-search", periods=range(25, 26))


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("SPENDWATCH_CONFIG", raising=False)

    def call(*arguments: object) -> Outcome:
        code: object = 0
        try:
            main(["replay", *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return Outcome(int(code or 0), captured.out, captured.err)  # type: ignore[call-overload]  # an exit code

    return call


@pytest.fixture
def month(tmp_path: Path) -> Path:
    return write(tmp_path / "june.csv.gz", rows(teams("search", "ads", "data"), 30, change=SPIKE))


def of_team(alerts: Sequence[dict[str, Any]], team: str) -> list[dict[str, Any]]:
    return [alert for alert in alerts if alert["labels"] == {"team": team}]


def test_json_is_one_alert_a_line_with_exactly_the_promised_keys(run: Run, month: Path) -> None:
    outcome = run(month, "--json")
    assert outcome.code == 0
    (spike,) = of_team(outcome.alerts, "search")
    assert list(spike) == KEYS == list(Row.__struct_fields__)
    assert (spike["kind"], spike["status"], spike["currency"]) == ("spike", "resolved", "USD")
    assert (spike["starts_at"], spike["ends_at"], spike["judged_at"]) == (at(25), at(26), at(25))
    assert not of_team(outcome.alerts, "ads")


def test_tags_are_found_and_named_as_the_bill_spells_them(run: Run, tmp_path: Path) -> None:
    resources = [
        Resource(name=f"i-{team}", cost=50.0, tags={"Team": team, "user:CostCenter": f"cc-{team}", "Name": f"n-{team}"})
        for team in ("search", "ads", "data")
    ]
    bill = write(tmp_path / "bill", rows(resources, 30, change=SPIKE))
    labels = [alert["labels"] for alert in run(bill, "--json").alerts]
    assert {"Team": "search"} in labels
    assert {"CostCenter": "cc-search"} in labels


def test_an_hourly_bill_is_judged_by_the_hour(run: Run, tmp_path: Path) -> None:
    change = times(4.0, of="i-search", periods=range(400, 403))
    bill = write(tmp_path / "hours.csv", rows(teams("search", "ads"), 480, change=change, hours=1))
    (spike,) = of_team(run(bill, "--json").alerts, "search")
    assert (spike["starts_at"], spike["ends_at"]) == (at(400, hours=1), at(403, hours=1))


def test_the_order_of_rows_and_files_does_not_matter(run: Run, tmp_path: Path, month: Path) -> None:
    found = list(rows(teams("search", "ads", "data"), 30, change=SPIKE))
    backwards = write(tmp_path / "backwards.csv", reversed(found))
    first, second = write(tmp_path / "a.csv", found[:100]), write(tmp_path / "b.csv", found[100:])
    whole = run(month, "--json").out
    assert whole
    assert run(backwards, "--json").out == whole
    assert run(first, second, "--json").alerts[0]["id"] == json.loads(whole.splitlines()[0])["id"]


def test_alerts_are_byte_identical_to_those_of_the_live_path(run: Run, tmp_path: Path, month: Path) -> None:
    """The same configuration: the connector's runner to a broker, one engine a partition, batches of other sizes."""
    config = tmp_path / "spendwatch.yaml"
    config.write_text("split: {tags: [team, environment]}\nconnectors: [{type: focus, name: aws, path: june.csv.gz}]\n")
    sink = RecordingSink()
    with Checkpoint(tmp_path / "checkpoint.db") as checkpoint:
        rules = SplitRules(tags=("team", "environment"))
        connector = BillingFiles(name="aws", path=month, kind="focus", rules=rules)
        runner = Runner(sink, checkpoint, ConnectorMetrics(CollectorRegistry()), now=lambda: math.inf)
        asyncio.run(runner.run_once(connector))
    messages = [message for message in sink.sent if isinstance(message, Fact | Watermark)]
    live = {alert.id: alert for alert in _through_engines(messages, partitions=4, batch=7)}
    expected = "".join(f"{json_line(alert)}\n" for alert in in_order(live.values()))
    assert expected
    assert run(month, "--json", "--config", config).out == expected
    assert run("--json", "--config", config).out == expected  # the configured connector, without naming its file


def _through_engines(published: Sequence[Fact | Watermark], *, partitions: int, batch: int) -> Iterator[Alert]:
    choose, numbers = DefaultPartitioner(), list(range(partitions))
    feeds = [Feed(Engine(policies=PolicyBook(Settings().policies), partition=number)) for number in numbers]
    waiting: list[list[Fact | Watermark]] = [[] for _ in numbers]
    for message in published:
        for number in numbers if isinstance(message, Watermark) else [choose(key_of(message), numbers, numbers)]:
            waiting[number].append(message)
    for feed, messages in zip(feeds, waiting, strict=True):
        for first in range(0, len(messages), batch):
            yield from feed.send(*messages[first : first + batch])


def test_facts_as_json_lines_say_what_the_bill_says(run: Run, tmp_path: Path) -> None:
    lines = [
        encode(
            Fact(
                series="default/effective_cost/USD/1d/tag:team=search",
                charge_period_start=at(day),
                value=(100.0 + day % 3) * (5 if day == 25 else 1),
                origin="meter:all",
            )
        )
        for day in range(30)
    ]
    path = tmp_path / "facts"
    path.write_bytes(gzip.compress(b"\n".join([*lines, b"{broken"])))
    outcome = run(path, "--json")
    (alert,) = outcome.alerts
    assert (alert["labels"], alert["starts_at"]) == ({"team": "search"}, at(25))
    assert "left out: line: JSON is malformed" in outcome.err
    assert f"{path}:31" in outcome.err


def test_a_recording_of_a_metric_is_replayed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "cpu.csv"
    path.write_text(
        "timestamp,value\n" + "".join(f"{at(hour, hours=1)},{9 if hour == 300 else 1}\n" for hour in range(340))
    )
    (alert,) = run(path, "--json").alerts
    assert alert["starts_at"] == at(300, hours=1)
    assert alert["labels"] == {"resource_id": "cpu"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "found an empty file", id="empty"),
        pytest.param(b"a,b\n1,2\n", "found the columns a, b", id="other-columns"),
        pytest.param(gzip.compress(b"ChargePeriodStart\n" * 9999)[:60], "breaks off", id="cut-off"),
        pytest.param(b"\x00\x01\x02", "binary data", id="binary"),
        pytest.param(b"ChargePeriodStart,BilledCost\n", "expected the FOCUS columns", id="columns-missing"),
    ],
)
def test_a_file_that_is_none_is_one_clear_error(run: Run, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bill.csv"
    path.write_bytes(content)
    outcome = run(path, "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "bill.csv" in outcome.err
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_file_cut_off_in_the_middle_says_where_and_prints_no_alert(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "cut.csv.gz", rows(teams(*map(str, range(60))), 30))
    path.write_bytes(path.read_bytes()[:-400])
    outcome = run(path, "--json")
    assert (outcome.code, outcome.out) == (2, "")
    assert "breaks off after line" in outcome.err


def test_a_file_that_is_not_there_is_one_clear_error(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path / "none.csv", "--json")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "none.csv: no such file" in outcome.err


def test_a_bill_without_rows_has_no_alerts_and_says_so(run: Run, tmp_path: Path) -> None:
    outcome = run(write(tmp_path / "none.csv", []), "--json")
    assert (outcome.code, outcome.out) == (0, "")
    assert "nothing to judge" in outcome.err


def test_a_bad_row_is_left_out_and_told_with_its_line(run: Run, tmp_path: Path) -> None:
    found = list(rows(teams("search", "ads"), 30, change=SPIKE))
    found[3]["BilledCost"] = "many"
    outcome = run(write(tmp_path / "bill.csv", found), "--json")
    assert outcome.code == 0
    assert of_team(outcome.alerts, "search")
    assert "BilledCost" in outcome.err
    assert "bill.csv:5" in outcome.err


@pytest.mark.parametrize("name", ["facts.jsonl", "june.csv"])
def test_a_file_of_which_nothing_can_be_read_is_one_error_and_not_a_quiet_month(
    run: Run, tmp_path: Path, month: Path, name: str
) -> None:
    bill = gzip.decompress(month.read_bytes()).replace(b"2024-", b"0024-")
    (tmp_path / name).write_bytes(b'{"a": 1}\n{"b": 2}\n' if name.endswith("jsonl") else bill)
    outcome = run(tmp_path / name, "--json")
    assert (outcome.code, outcome.out) == (2, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("spendwatch: nothing in it could be read, such as: ")
    assert f"{name}:{1 if name.endswith('jsonl') else 2}" in line


def test_mistakes_of_the_configuration_are_told_with_their_line(run: Run, tmp_path: Path, month: Path) -> None:
    config = tmp_path / "bad.yaml"
    config.write_text("policies:\n  - {detector: seasonal, floor: -3}\n")
    for arguments in (("--config", config), ("--against", config)):
        outcome = run(month, "--json", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert "bad.yaml:2: policies[0].floor" in outcome.err


def test_against_an_older_configuration_the_difference_is_told(run: Run, tmp_path: Path, month: Path) -> None:
    for name, floor in (("new", 1), ("old", 10_000)):
        (tmp_path / f"{name}.yaml").write_text(f"policies: [{{floor: {floor}}}]\nsplit: {{tags: [team]}}\n")
    arguments = (month, "--config", tmp_path / "new.yaml", "--against", tmp_path / "old.yaml")
    gained = run(*arguments, "--json").alerts
    assert {one["change"] for one in gained} == {"gained"}
    (search,) = (one for one in gained if one["series"].endswith("tag:team=search"))
    assert search["before"] is None
    assert search["money"] == pytest.approx(search["after"]["actual"] - search["after"]["expected"])
    table = run(*arguments).out
    assert f"gained {len(gained):>6}" in table
    assert "lost        0" in table


def test_the_lowest_quiet_threshold_is_tried_and_the_one_below_is_not_quiet(run: Run, tmp_path: Path) -> None:
    bill = write(
        tmp_path / "bill.csv", rows(teams("search", per_team=1), 40, change=times(1.12, of="i-", periods=range(36, 37)))
    )
    outcome = run(bill, "--quiet-days", 7, "--json")
    sigma = json.loads(outcome.out)["sigma"]
    assert f"sigma {sigma:g}: 0 alerts" in outcome.err
    assert f"sigma {sigma - 0.1:g}: 0 alerts" not in outcome.err
    assert f"sigma {sigma - 0.1:g}: " in outcome.err


def test_plots_need_nothing_else_and_escape_tag_values(run: Run, tmp_path: Path) -> None:
    resources = [Resource(name=f"i-{number}", cost=90.0, tags={"team": f"<script>{number}"}) for number in range(2)]
    bill = write(tmp_path / "bill.csv", rows(resources, 30, change=times(3, of="i-1", periods=range(25, 26))))
    run(bill, "--plot", tmp_path / "plot.html")
    page = (tmp_path / "plot.html").read_text()
    assert page.count("<svg") == page.count("<section") > 0
    assert "team=&lt;script&gt;1" in page
    assert "<script" not in page
    assert "http" not in page


def test_nothing_to_replay_says_what_to_name(run: Run) -> None:
    outcome = run()
    assert outcome.code == 2
    assert "name files, a --topic" in outcome.err


def test_a_topic_needs_a_broker_that_is_configured(run: Run) -> None:
    outcome = run("--topic", "facts")
    assert outcome.code == 2
    assert "kafka.bootstrap_servers" in outcome.err


def test_what_a_budget_holds_back_is_told_with_its_cost(run: Run, tmp_path: Path) -> None:
    change = times(3.0, of="i-search", periods=range(20, 30, 3))
    bill = write(tmp_path / "bill.csv", rows(teams("search"), 30, change=change))
    (tmp_path / "tight.yaml").write_text("split: {tags: [team], dimensions: [], total: false}\nbudgets: [{pages: 1}]\n")
    outcome = run(bill, "--config", tmp_path / "tight.yaml")
    assert "held back by the budget of team=search: " in outcome.err
    assert outcome.out.count("held back") == int(outcome.err.partition("team=search: ")[2].split()[0])
    alerts = run(bill, "--json", "--config", tmp_path / "tight.yaml").alerts
    assert len(alerts) > 1
    assert list(alerts[0]) == KEYS
