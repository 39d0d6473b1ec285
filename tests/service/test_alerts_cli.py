"""`spendwatch alerts`: what a person asks for, what the API makes of it, and how a terminal shows it."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from service import alerts
from service.alert_views import show_list, show_one
from service.alerts import Listing, Wanted, found, listed
from service.api_client import ApiClient
from service.cli import main
from service.core.alerts import AlertState, AlertStatus, EventType, Severity
from service.core.transitions import inhibited
from service.errors import ConfigError, UnavailableError
from service.store.store import Delivery
from tests.builders import make_alert
from tests.clock import NOON
from tests.service.web.builders import BASE_URL, TOKEN, World

DANA = {"actor": "dana", "comment": ""}
IDENT = "aq2w5xk7zqf3m6t4b2n5r7v3yj"
HOSTILE = "\x1b[2Jx[red]\u202e\n\u2066y"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def api(world: World) -> Iterator[ApiClient]:
    """The real API, without a network between."""
    with TestClient(world.app, base_url=BASE_URL) as client:
        yield ApiClient(BASE_URL, token=None, transport=httpx.MockTransport(_through(client)))


def _through(client: TestClient[Litestar]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        told = client.request(request.method, str(request.url), content=request.content, headers=dict(request.headers))
        return httpx.Response(told.status_code, content=told.content)

    return answer


def printed(show: Callable[[Console], None], *, width: int = 120) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width))
    return out.getvalue()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["alerts", *arguments])
    out, err = capsys.readouterr()
    return int(str(ended.value.code)), out + err


async def test_what_is_open_is_listed_unless_asked_otherwise(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", status=AlertStatus.RESOLVED), make_alert("a3")])
    await world.store.acknowledge("a3", actor="dana", comment="", at=NOON)
    assert _ids(listed(api, Wanted())) == ["a3", "a1"]
    assert _ids(listed(api, Wanted(states=()))) == ["a3", "a2", "a1"]
    assert _ids(listed(api, Wanted(states=[AlertState.RESOLVED]))) == ["a2"]


def _ids(listing: Listing) -> list[str]:
    return [item["alert"]["id"] for item in listing.items]


async def test_filters_are_those_of_the_api(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="ads", severity=Severity.HIGH)])
    await world.store.assign("a2", to="bob", actor="dana", comment="", at=NOON)
    for wanted in (
        Wanted(labels=["team:ads"]),
        Wanted(severities=[Severity.HIGH, Severity.CRITICAL]),
        Wanted(assigned_to="bob"),
        Wanted(text="ADS"),
    ):
        assert _ids(listed(api, wanted)) == ["a2"]
    assert _ids(listed(api, Wanted(unassigned=True))) == ["a1"]
    with pytest.raises(ConfigError, match=r"answered 400: query label: expected key:value, as in team:search"):
        listed(api, Wanted(labels=["team=ads"]))


async def test_a_listing_goes_on_over_pages_and_says_what_it_left_out(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert(f"a{number}") for number in range(520)])
    listing = listed(api, Wanted(limit=510))
    assert (len(set(_ids(listing))), listing.total) == (510, 520)
    text = printed(lambda console: show_list(listing, as_json=False, console=console))
    assert text.endswith("510 of 520 alerts; --limit shows more\n")


async def test_what_is_told_with_another_is_left_out_unless_all_is_wanted(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="ads")])
    await _fold(world, "a2", "a1")
    assert _ids(listed(api, Wanted())) == ["a1"]
    assert _ids(listed(api, Wanted(folded=False))) == ["a2", "a1"]


async def _fold(world: World, member: str, head: str) -> None:
    """Tell the one in place of the other."""
    changed = inhibited(await world.store.get(member), by=head, at=NOON)
    assert changed is not None
    world.store.put(EventType.INHIBITED, changed, at=NOON)


async def test_a_table_has_all_a_person_looks_for(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1", severity=Severity.CRITICAL, impact=12925.1)])
    await world.store.acknowledge("a1", actor="dana", comment="", at=NOON)
    await world.store.assign("a1", to="Bob Fischer", actor="dana", comment="", at=NOON)
    listing = listed(api, Wanted())
    wide = printed(lambda console: show_list(listing, as_json=False, console=console)).split("\n")
    assert _words(wide[:3]) == [
        "severity state series, id at stake since (UTC) who",
        "▲ critical acknowledged team=search +12,925.10 USD 2024-09-18 Bob Fischer",
        "a1",
    ]
    narrow = printed(lambda console: show_list(listing, as_json=False, console=console), width=80).split("\n")
    assert _words(narrow[1:3]) == ["▲ critical acknowledged team=search +12,925.10 USD", "Bob Fischer a1 2024-09-18"]


def _words(lines: Sequence[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


@pytest.mark.parametrize("width", [40, 50, 72, 80, 120])
async def test_no_line_is_longer_than_the_terminal_and_no_id_is_cut(world: World, api: ApiClient, width: int) -> None:
    ident = IDENT
    hour = "default/tokens/tokens/1h/service_name=Amazon Elastic Compute Cloud - Compute, On Demand, of a long name"
    alert = make_alert(ident, series=hour, grain="1h", unit="tokens", impact=-2_400_000.0, severity=Severity.CRITICAL)
    await world.store.record([alert])
    await world.store.acknowledge(ident, actor="d" * 128, comment="c" * 300, at=NOON, until=NOON + timedelta(hours=4))
    shown = found(api, ident)
    texts = (
        printed(lambda console: show_list(listed(api, Wanted()), as_json=False, console=console), width=width),
        printed(lambda console: show_one(shown, base_url=BASE_URL, as_json=False, console=console), width=width),
    )
    for text in texts:
        assert ident in text
        assert max(map(cell_len, text.split("\n"))) <= width
    assert "c" * 300 in "".join(texts[1].split())


@pytest.mark.parametrize("name", ["search", "漢字" * 60, "x" * 200], ids=["short", "wide", "long"])
@pytest.mark.parametrize("width", range(40, 130, 7))
async def test_a_listing_has_what_one_looks_for_at_any_width(
    world: World, api: ApiClient, width: int, name: str
) -> None:
    alert = make_alert(IDENT, team=name, grain="1h", impact=-123_456_789.12, severity=Severity.CRITICAL)
    await world.store.record([alert, make_alert("a2", team=name)])
    await world.store.assign(IDENT, to=name, actor="dana", comment="", at=NOON)
    text = printed(lambda console: show_list(listed(api, Wanted()), as_json=False, console=console), width=width)
    assert IDENT in text
    assert max(map(cell_len, text.split("\n"))) <= width
    for part in ("critical", "firing", f"team={name[:6]}", "-123,456,789.12 USD", "2024-09-18 00:00", name[:6]):
        assert part in text


async def test_a_narrow_terminal_has_the_parts_of_an_alert_below_one_another(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert(IDENT), make_alert("a2", team="ads")])
    await world.store.assign("a2", to="Bob Fischer", actor="dana", comment="", at=NOON)
    text = printed(lambda console: show_list(listed(api, Wanted()), as_json=False, console=console), width=40)
    assert [line.rstrip() for line in text.split("\n")] == [
        "▲ medium  firing  +292.50 USD",
        "  team=ads",
        "  a2",
        "  2024-09-18  Bob Fischer",
        "▲ medium  firing  +292.50 USD",
        "  team=search",
        f"  {IDENT}",
        "  2024-09-18",
        "",
    ]


async def test_an_alert_is_shown_with_all_that_is_known(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="ads")])
    await _fold(world, "a2", "a1")
    until = NOON + timedelta(hours=4)
    await world.store.acknowledge("a1", actor="dana", comment="known, SP-4711", at=NOON, until=until, cascade=False)
    await world.store.assign("a1", to="bob", actor="dana", comment="", at=NOON)
    desk = Delivery(
        id="m1",
        receiver="desk",
        event=world.store.events[0],
        state="pending",
        attempts=1,
        created_at=NOON,
        next_attempt_at=NOON + timedelta(minutes=4),
        last_error="answered 503",
    )
    world.store.add_delivery(desk)
    world.store.add_delivery(replace(desk, id="m2", receiver="jira", state="delivered", remote_id="OPS-17"))
    text = printed(lambda console: show_one(found(api, "a1"), base_url=f"{BASE_URL}/", as_json=False, console=console))
    for line in (
        "▲ medium  team=search effective_cost 2024-09-18",
        "412.50 USD against 120.00 expected (95.00 to 145.00), at stake +292.50",
        "why     Team search cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        "next    Look at the instances started since 2024-09-17.",
        "+260.00  Amazon EC2, quantity",
        "+32.50  everything else",
        "state   acknowledged by dana at 2024-09-18 12:00Z, until 2024-09-18 16:00Z",
        "task of bob",
        "labels  grain=1d, metric=effective_cost, team=search",
        f"page    {BASE_URL}/alerts/a1\n",
        "team=ads, +292.50 USD, firing",
        "2024-09-18 12:00Z opened by detection, medium, +292.50 USD",
        "2024-09-18 12:00Z acknowledged by dana until 2024-09-18 16:00Z, medium, +292.50 USD",
        "known, SP-4711",
        "assigned to bob by dana, medium",
        "jira opened: delivered, 1 attempt, OPS-17 there",
        "desk opened: pending, 1 attempt, next at 2024-09-18 12:04Z",
        "answered 503",
    ):
        assert line in text


async def test_what_people_typed_moves_no_cursor_and_is_no_markup(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1", team=HOSTILE, reason=HOSTILE, action=HOSTILE)])
    await world.store.assign("a1", to=HOSTILE, actor=HOSTILE, comment=HOSTILE, at=NOON)
    text = printed(lambda console: show_list(listed(api, Wanted()), as_json=False, console=console), width=80)
    text += printed(lambda console: show_one(found(api, "a1"), base_url=BASE_URL, as_json=False, console=console))
    assert not {"\x1b", "\u202e", "\u2066"} & set(text)
    assert "?[2Jx[red]???y" in text


async def test_json_is_what_the_api_has(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2")])
    lines = printed(lambda console: show_list(listed(api, Wanted()), as_json=True, console=console)).splitlines()
    assert [json.loads(line)["alert"]["id"] for line in lines] == ["a2", "a1"]
    one = json.loads(printed(lambda console: show_one(found(api, "a1"), base_url="", as_json=True, console=console)))
    assert (one["alert"]["state"], [event["type"] for event in one["events"]]) == ("firing", ["opened"])
    assert (one["deliveries"], one["members"]) == ([], [])


async def test_json_is_the_data_as_it_is(world: World, api: ApiClient) -> None:
    name = "OPS :fire: [red]x[/red] https://x/ 漢字 " + "w" * 300
    await world.store.record([make_alert("a1", team=name)])
    await world.store.comment("a1", actor="dana", comment="see :key: there", at=NOON)
    line = printed(lambda console: show_list(listed(api, Wanted()), as_json=True, console=console), width=40)
    assert json.loads(line)["alert"]["labels"]["team"] == name
    one = printed(lambda console: show_one(found(api, "a1"), base_url="", as_json=True, console=console), width=40)
    assert (line.count("\n"), one.count("\n")) == (1, 1)
    assert json.loads(one)["events"][-1]["comment"] == "see :key: there"


async def test_text_between_colons_is_text(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1", team=":fire:", reason=":fire:", action=":fire:")])
    await world.store.assign("a1", to=":key:", actor=":key:", comment=":key:", at=NOON)
    text = printed(lambda console: show_list(listed(api, Wanted()), as_json=False, console=console))
    text += printed(lambda console: show_one(found(api, "a1"), base_url=BASE_URL, as_json=False, console=console))
    assert (text.count(":fire:"), text.count(":key:")) == (6, 5)


async def test_an_alert_is_acknowledged_for_a_while(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1")])
    said = alerts.acknowledge(api, "a1", **DANA, lasting=timedelta(hours=4), cascade=True)
    assert said == "a1: acknowledged by dana until 2024-09-18 16:00Z"
    assert alerts.acknowledge(api, "a1", **DANA, lasting=timedelta(hours=4), cascade=True).startswith("a1: already ack")
    assert (await world.store.get("a1")).acknowledged_until == NOON + timedelta(hours=4)
    assert alerts.acknowledge(api, "a1", **DANA, lasting=None, cascade=True) == "a1: acknowledged by dana"


async def test_an_alert_is_assigned_commented_resolved_and_reopened(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1")])
    assert alerts.assign(api, "a1", to="bob", **DANA) == "a1: assigned to bob"
    assert alerts.assign(api, "a1", to=None, **DANA) == "a1: nobody's task"
    assert alerts.comment_on(api, "a1", actor="dana", comment="a job ran twice") == "a1: written down"
    assert alerts.resolve(api, "a1", actor="dana", comment="stopped", cascade=True) == "a1: resolved by dana"
    assert alerts.resolve(api, "a1", **DANA, cascade=True) == "a1: already resolved by dana"
    assert alerts.reopen(api, "a1", **DANA) == "a1: firing"
    assert alerts.reopen(api, "a1", **DANA) == "a1: already firing"
    trail = [(event.type.value, event.actor, event.comment) for event in await world.store.events_of("a1")]
    assert trail[1:] == [
        ("assigned", "dana", ""),
        ("assigned", "dana", ""),
        ("commented", "dana", "a job ran twice"),
        ("resolved", "dana", "stopped"),
        ("reopened", "dana", ""),
    ]


@pytest.mark.parametrize("alone", [False, True])
async def test_what_it_is_told_in_place_of_can_be_spared(world: World, api: ApiClient, alone: bool) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="ads")])
    await _fold(world, "a2", "a1")
    alerts.resolve(api, "a1", **DANA, cascade=not alone)
    assert (await world.store.get("a2")).state.is_over is not alone


async def test_what_is_not_as_asked_for_ends_with_an_error_that_says_why(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", status=AlertStatus.RESOLVED)])
    await world.store.resolve("a1", actor="ada", comment="", at=NOON)
    with pytest.raises(ConfigError, match=r"^a1: resolved by ada, so there is nothing to acknowledge$"):
        alerts.acknowledge(api, "a1", **DANA, lasting=None, cascade=True)
    with pytest.raises(ConfigError, match=r"^a2: resolved, and cannot be reopened: its spend is back to normal"):
        alerts.reopen(api, "a2", **DANA)


@pytest.mark.parametrize(
    "ask",
    [
        lambda api: found(api, "a9"),
        lambda api: alerts.resolve(api, "a9", **DANA, cascade=True),
        lambda api: alerts.comment_on(api, "a9", actor="dana", comment="x"),
    ],
    ids=["show", "resolve", "comment"],
)
def test_an_alert_that_nobody_knows_is_said(api: ApiClient, ask: Callable[[ApiClient], object]) -> None:
    with pytest.raises(ConfigError, match="answered 404: no alert has the id 'a9'"):
        ask(api)


def test_an_id_stays_one_segment_of_the_path() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404, json={"detail": "no such path"})

    api = ApiClient("http://api", token="t0ken", transport=httpx.MockTransport(answer))
    with pytest.raises(ConfigError, match="no such path"):
        alerts.resolve(api, "../deliveries", **DANA, cascade=True)
    assert asked[0].url.raw_path == b"/api/v1/alerts/..%2Fdeliveries"
    assert asked[0].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("ident", ["", " ", ".", "..", "a\udcff"])
def test_what_can_be_no_id_is_not_asked_for(capsys: pytest.CaptureFixture[str], ident: str) -> None:
    code, out = run(capsys, "show", ident, "--url", "http://127.0.0.1:1")
    assert (code, out.count("\n")) == (2, 1)
    assert "expected an id as a list shows it, got" in out or "expected text in UTF-8, got one with '\\udcff'" in out


async def test_what_nobody_can_be_is_refused(world: World, api: ApiClient) -> None:
    await world.store.record([make_alert("a1")])
    with pytest.raises(ConfigError, match="answered 400: body actor: expected the name of a person or program"):
        alerts.resolve(api, "a1", actor="detection", comment="", cascade=True)
    with pytest.raises(ConfigError, match="answered 400: body comment"):
        alerts.comment_on(api, "a1", actor="dana", comment=" ")


def test_a_missing_token_is_said() -> None:
    with TestClient(World(token=TOKEN).app, base_url=BASE_URL) as client:
        api = ApiClient(BASE_URL, token=None, transport=httpx.MockTransport(_through(client)))
        with pytest.raises(ConfigError, match=r"answered 401: .*token"):
            listed(api, Wanted())


def test_an_answer_of_another_version_is_said() -> None:
    answer = httpx.Response(200, json={"items": [{"alert": {}}], "next_cursor": None, "total": 1})
    api = ApiClient("http://api", token=None, transport=httpx.MockTransport(lambda _request: answer))
    with pytest.raises(ConfigError, match="the API's answer: expected an alert, of this version"):
        show_list(listed(api, Wanted()), as_json=False)


def test_an_api_that_is_away_ends_with_75(capsys: pytest.CaptureFixture[str]) -> None:
    refusing = "http://127.0.0.1:1"
    code, out = run(capsys, "list", "--url", refusing)
    assert (code, out) == (75, f"spendwatch: {refusing} does not answer: ConnectError\n")
    assert UnavailableError.exit_code == 75


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "--all", "--state", "firing"), "name --state or --all, not both"),
        (("list", "--assigned-to", "bob", "--unassigned"), "name --assigned-to or --unassigned, not both"),
        (("list", "--assigned-to", ""), "--assigned-to: expected a name, got ''; what is nobody's is --unassigned"),
        (("list", "--assigned-to", " "), "--assigned-to: expected a name, got ' '"),
        (("list", "--text", "\udcff"), "expected text in UTF-8, got one with '\\udcff'"),
        (("list", "--text", "x" * 70_000), "http://127.0.0.1:8321 cannot be asked that: URL"),
        (("assign", "a1", "--actor", "dana"), "name whose task it is, or --nobody"),
        (("assign", "a1", "bob", "--nobody", "--actor", "dana"), "name whose task it is, or --nobody"),
        (("acknowledge", "a1", "--for", "soon", "--actor", "dana"), "--for: expected a duration such as 30s"),
        (("acknowledge", "a1", "--for", "400d", "--actor", "dana"), "--for: expected between a second and a year"),
    ],
    ids=lambda value: ascii(value if isinstance(value, str) else " ".join(value))[:60],
)
def test_what_makes_no_sense_ends_with_2_and_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    code, out = run(capsys, *arguments)
    assert code == 2
    assert out.startswith(f"spendwatch: {said}")
    assert out.count("\n") == 1


def test_nothing_to_list_is_said() -> None:
    empty = Listing(items=[], total=0)
    assert printed(lambda console: show_list(empty, as_json=False, console=console)) == "no such alerts\n"
    assert printed(lambda console: show_list(empty, as_json=True, console=console)) == ""
