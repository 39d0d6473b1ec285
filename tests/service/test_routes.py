"""`spendwatch routes`: what a person asks of the routing tree, and what it answers."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from service.cli import main
from service.config import load
from tests.builders import make_alert, make_event

DOCUMENT = Path(__file__).parents[2] / "docs" / "routing.md"
CONFIG = """
receivers:
  - {type: pagerduty, name: pager, key: x}
  - {type: pagerduty, name: desk, key: y}
time_intervals:
  - name: office
    time_intervals: [{weekdays: ['monday:friday'], times: [{start_time: '09:00', end_time: '17:00'}]}]
route:
  routes:
    - matchers: ['team="search"']
      receiver: desk
      active_time_intervals: [office]
      group_by: [team]
      routes:
        - {matchers: ['severity>=high', 'impact>=500'], receiver: pager, continue: true}
    - {matchers: ['team="nobody"'], receiver: []}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "spendwatch.yaml"
    path.write_text(CONFIG)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["routes", *arguments])
    out, err = capsys.readouterr()
    return int(str(ended.value.code)), out + err


def test_the_tree_is_drawn(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    assert run(capsys, "show", "-c", str(config)) == (
        0,
        "0  every alert -> nobody\n"
        '├─ 0.0  team="search" -> desk  (by team, 30s together; only in office)\n'
        "│  └─ 0.0.0  severity>=high, impact>=500 -> pager  (by team, 30s together; continue)\n"
        '└─ 0.1  team="nobody" -> nobody\n',
    )


def test_who_would_hear_and_which_matcher_did_not_hold(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    code, out = run(
        capsys, "test", "team=search", "severity=high", "impact=-400", "--at", "2026-11-28", "-c", str(config)
    )
    assert code == 0
    assert (
        "    ✗ 0.0.0  severity>=high, impact>=500 -> pager  (by team, 30s together; continue): not impact>=500" in out
    )
    assert (
        "desk hears by route 0.0, in one message by team after 30s, muted now by office until Mon 2026-11-30 09:00Z"
        in out
    )


@pytest.mark.parametrize("labels", [["team=nobody"], ["team=ads"], []])
def test_it_ends_with_1_when_nobody_hears(capsys: pytest.CaptureFixture[str], config: Path, labels: list[str]) -> None:
    code, out = run(capsys, "test", *labels, "-c", str(config))
    assert code == 1
    assert "nobody: no route that matches has a receiver" in out


@pytest.mark.parametrize("wrapped", [False, True], ids=["a message", "an event"])
def test_an_alert_comes_from_a_file_and_the_answer_is_json(
    capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path, wrapped: bool
) -> None:
    file = tmp_path / "alert.json"
    file.write_bytes(msgspec.json.encode(make_event() if wrapped else make_alert()))
    code, out = run(capsys, "test", "--file", str(file), "--json", "--at", "2026-11-25T10:00:00Z", "-c", str(config))
    assert code == 0
    assert json.loads(out) == {
        "at": "2026-11-25T10:00:00Z",
        "routes": ["0.0"],
        "destinations": [
            {
                "receiver": "desk",
                "route": "0.0",
                "group_by": ["team"],
                "group_wait_seconds": 30.0,
                "group_interval_seconds": 300.0,
                "renotify_factor": 2.0,
                "muted_by": [],
                "muted_until": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["severity=hihg"], "expected severity one of critical, high, medium, low"),
        (["impact=much"], "impact: expected a number, got 'much'"),
        (["impact>=5"], "expected label=value or number=value"),
        (["team=a", "--alert", "x"], "one of them"),
        (["--file", "nowhere.json"], "nowhere.json: No such file or directory"),
    ],
)
def test_what_is_not_understood_is_told(
    capsys: pytest.CaptureFixture[str], config: Path, arguments: list[str], says: str
) -> None:
    code, out = run(capsys, "test", *arguments, "-c", str(config))
    assert code == 2
    assert says in out


_NAMES = (
    ("finops-chat", "search-pager", "search-chat", "ads-mail"),
    ("chat", "pager"),
    ("finops", "pager", "search", "ads"),
)
"""The receivers of the examples, which do not all write them out."""


def _indented() -> list[list[str]]:
    """The blocks of indented lines in the document; a command begins one of its own."""
    blocks: list[list[str]] = [[]]
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("    $ ") or (line and not line.startswith("    ")):
            blocks.append([])
        if line.startswith("    "):
            blocks[-1].append(line[4:])
    return [block for block in blocks if block]


def _example(number: int, folder: Path) -> Path:
    example = yaml.safe_load("\n".join([one for one in _indented() if not one[0].startswith("$")][number]))
    example["receivers"] = [{"type": "pagerduty", "name": name, "key": "x"} for name in _NAMES[number]]
    path = folder / "example.yaml"
    path.write_text(yaml.safe_dump(example))
    return path


@pytest.mark.parametrize("number", range(len(_NAMES)))
def test_the_examples_of_the_document_are_right(tmp_path: Path, number: int) -> None:
    assert load(_example(number, tmp_path), {}).route is not None


@pytest.mark.parametrize("number", [0, 1])
def test_the_answers_in_the_document_are_right(capsys: pytest.CaptureFixture[str], tmp_path: Path, number: int) -> None:
    command, *answer = [one for one in _indented() if one[0].startswith("$")][number]
    arguments = command.removeprefix("$ spendwatch routes ").split()
    _, out = run(capsys, *arguments, "-c", str(_example(number, tmp_path)))
    assert [line.rstrip() for line in out.splitlines()] == answer
