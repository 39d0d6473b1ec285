"""The pages: what they show, and that other people's text stays text."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from service.core.alerts import AlertStatus, DriverChange, EventType, Severity
from service.core.transitions import inhibited
from service.errors import UnavailableError
from service.store.store import Delivery
from tests.builders import make_alert, make_history
from tests.clock import NOON
from tests.service.web.builders import World
from tests.service.web.conftest import Client

HTML = {"Accept": "text/html"}
PART = {"HX-Request": "true"}
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


class _Tags(HTMLParser):
    """Every start tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(page)
    return parser.found


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


async def test_list_shows_who_what_and_how_much(world: World, client: Client) -> None:
    await world.store.record([make_alert(history=make_history(days_before=20))])
    page = (await client.get("/", headers=HTML)).text
    text = _text(page)
    assert "team search" in text
    assert "412.50 USD +244 % expected 120.00 USD" in text
    assert "+292.50 USD" in text
    assert "292.50 USD at stake, open alerts" in text
    assert '<time datetime="2024-09-18T00:00:00Z" title="2024-09-18T00:00:00Z (UTC)">2024-09-18</time>' in page
    assert "12 h" in text
    assert 'href="/alerts/a1"' in page
    assert 'class="spark"' in page


async def test_open_alerts_are_shown_unless_asked_otherwise(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", status=AlertStatus.RESOLVED)])
    assert _ids((await client.get("/", headers=HTML)).text) == ["a1"]
    assert _ids((await client.get("/?show=all", headers=HTML)).text) == ["a2", "a1"]
    assert _ids((await client.get("/?show=resolved", headers=HTML)).text) == ["a2"]


def _ids(page: str) -> list[str | None]:
    return [attributes["data-id"] for tag, attributes in _tags(page) if tag == "tr" and "data-id" in attributes]


async def test_filters_of_the_address_stand_in_the_form(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2", team="data", severity=Severity.LOW)])
    page = (await client.get("/?severity=low&label=team:data&text=data", headers=HTML)).text
    assert _ids(page) == ["a2"]
    assert 'value="low" checked' in page
    assert 'name="label" value="team:data"' in page
    assert 'value="data" placeholder' in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("label=nonsense", "expected key:value"),
        ("show=everything", "show must be one of open, pending, firing"),
        ("assignee=bob", "assignee must be nobody, or to: and a name"),
    ],
)
async def test_mistyped_address_shows_a_list_and_says_what_is_wrong(
    world: World, client: Client, query: str, said: str
) -> None:
    await world.store.record([make_alert()])
    answer = await client.get(f"/?{query}", headers=HTML)
    assert answer.status_code == 200
    assert said in answer.text
    assert _ids(answer.text) == ["a1"]


async def test_page_already_there_gets_only_its_moving_part(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    part = await client.get("/", headers=PART)
    assert "<html" not in part.text
    assert part.text.lstrip().startswith('<div id="board" data-seq="1" data-firing="1"')
    restored = await client.get("/", headers={**PART, "HX-History-Restore-Request": "true"})
    assert "<html" in restored.text
    assert "HX-Request" in part.headers["vary"]


async def test_older_alerts_are_one_link_away(world: World, client: Client) -> None:
    await world.store.record([make_alert(f"a{number}") for number in range(60)])
    first = (await client.get("/?show=firing", headers=HTML)).text
    assert len(_ids(first)) == 50
    older = next(a["href"] for tag, a in _tags(first) if tag == "a" and "cursor=" in (a.get("href") or ""))
    assert older is not None
    second = (await client.get(older, headers=HTML)).text
    assert _ids(second) == [f"a{number}" for number in range(9, -1, -1)]
    assert "60 alerts" in second


async def test_link_to_a_page_that_is_gone_leads_to_the_first(client: Client) -> None:
    answer = await client.get("/?cursor=elsewhere", headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?show=open")


async def test_empty_store_says_what_to_do_next(client: Client) -> None:
    page = (await client.get("/", headers=HTML)).text
    assert "No alert yet" in page
    assert "spendwatch connect" in page
    assert "/readyz" in page


async def test_quiet_and_unmatched_lists_differ(world: World, client: Client) -> None:
    await world.store.record([make_alert(status=AlertStatus.RESOLVED)])
    assert "All quiet" in (await client.get("/", headers=HTML)).text
    assert "No alert matches" in (await client.get("/?text=zzz", headers=HTML)).text


async def test_alert_page_explains_itself(world: World, client: Client) -> None:
    (event,) = await world.store.record([make_alert(history=make_history(days_before=20))])
    await world.store.acknowledge("a1", actor="dana", comment="known, SP-4711", at=NOON)
    world.store.add_delivery(
        Delivery(
            id="msg_1",
            receiver="desk",
            event=event,
            attempts=3,
            created_at=NOON,
            next_attempt_at=NOON + timedelta(minutes=4),
            state="dead",
            last_error="answered 410 Gone",
        )
    )
    text = _text((await client.get("/alerts/a1", headers=HTML)).text)
    for part in (
        "Team search cost 412.50 USD on 2024-09-18, 3.4 times what was expected.",
        "Look at the instances started since 2024-09-17.",
        "Expected 120.00 USD 95.00 to 145.00",
        "service Amazon EC2 quantity 80.00 340.00 +260.00 USD",
        "everything else 40.00 72.50 +32.50 USD",
        "Adds up to +292.50 USD",
        "acknowledged by dana medium, +292.50 USD known, SP-4711",
        "opened by detection",
        "desk opened dead 3 attempts answered 410 Gone",
        "2024-09-18 412.50 120.00 95.00 145.00 abnormal",
    ):
        assert part in text, part


async def test_chart_reads_its_points_as_the_page_does(world: World, client: Client) -> None:
    await world.store.record([make_alert(history=make_history(days_before=20))])
    page = (await client.get("/alerts/a1", headers=HTML)).text
    [points] = (attributes["data-points"] for _, attributes in _tags(page) if "data-points" in attributes)
    chart = json.loads(points or "")
    assert chart["readings"][-1] == "2024-09-18 · actual 412.50 USD · expected 120.00 USD (95.00 to 145.00) · abnormal"
    assert len(chart["readings"]) == len(chart["at"])


async def test_unknown_alert_is_a_page_for_a_person(client: Client) -> None:
    answer = await client.get("/alerts/nope", headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "no alert has the id" in answer.text


async def test_store_away_is_a_page_for_a_person(world: World, client: Client) -> None:
    world.store.problem = UnavailableError("the database does not answer")
    answer = await client.get("/", headers=HTML)
    assert answer.status_code == 503
    assert "the database does not answer" in answer.text
    assert answer.headers["retry-after"] == "5"


async def test_acknowledging_and_resolving_by_form(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    form = {"actor": "dana", "comment": "on it"}
    answer = await client.post("/alerts/a1/acknowledge", data=form, headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/a1")
    page = (await client.get("/alerts/a1", headers=HTML)).text
    assert 'name="actor" value="dana"' in page
    assert ">Acknowledge<" not in page
    await client.post("/alerts/a1/resolve", data=form, headers=HTML)
    assert "This alert is resolved by dana" in (await client.get("/alerts/a1", headers=HTML)).text
    assert [event.comment for event in world.store.events] == ["", "on it", "on it"]


async def test_what_is_told_as_part_of_an_alert_is_folded_under_it(world: World, client: Client) -> None:
    await world.store.record([make_alert("m1", team="ads"), make_alert("a1")])
    member = inhibited(await world.store.get("m1"), by="a1", at=NOON)
    assert member is not None
    world.store.put(EventType.INHIBITED, member, at=NOON)
    board = (await client.get("/", headers=HTML)).text
    assert _ids(board) == ["a1"]
    assert "+1 more of the same money" in board
    head = (await client.get("/alerts/a1", headers=HTML)).text
    assert 'href="/alerts/m1"' in head
    assert 'href="/alerts/a1">another alert' in (await client.get("/alerts/m1", headers=HTML)).text


async def test_the_rest_of_its_life_by_form(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    for deed, more in (
        ("acknowledge", {"minutes": "60"}),
        ("assign", {"whom": "me"}),
        ("comment", {}),
        ("resolve", {}),
        ("reopen", {}),
    ):
        form = {"actor": "dana", "comment": "SP-1", **more}
        answer = await client.post(f"/alerts/a1/{deed}", data=form, headers=HTML, follow_redirects=False)
        assert answer.status_code == 303, deed
        page = (await client.get("/alerts/a1", headers=HTML)).text
        assert (deed == "acknowledge") == (", until <time" in page) or deed in ("assign", "comment")
        assert (deed == "resolve") == (">Reopen<" in page)
    trail = [event.type.value for event in world.store.events]
    assert trail == ["opened", "acknowledged", "assigned", "commented", "resolved", "reopened"]
    assert (await world.store.get("a1")).assigned_to == "dana"


async def test_an_alert_is_assigned_to_anybody_and_to_nobody_by_form(world: World, client: Client) -> None:
    await world.store.record([make_alert("a1"), make_alert("a2")])
    await world.store.assign("a2", to="eve", actor="ada", comment="", at=NOON)
    before = (await client.get("/alerts/a1", headers=HTML)).text
    assert '<datalist id="people"><option value="ada"></option><option value="eve"></option></datalist>' in before
    assert "It is nobody's task yet." in _text(before)
    assert ">Nobody's<" not in before
    await client.post("/alerts/a1/assign", data={"actor": "dana", "to": " bob "}, headers=HTML)
    assert (await world.store.get("a1")).assigned_to == "bob"
    page = (await client.get("/alerts/a1", headers=HTML)).text
    assert "It is the task of bob ." in _text(page)
    assert "assigned to bob by dana" in _text(page)
    await client.post("/alerts/a1/assign", data={"actor": "dana", "whom": "nobody", "to": "bob"}, headers=HTML)
    assert (await world.store.get("a1")).assigned_to is None
    assert "assigned to nobody by dana" in _text((await client.get("/alerts/a1", headers=HTML)).text)


async def test_a_name_is_needed_to_assign_to_somebody(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    answer = await client.post("/alerts/a1/assign", data={"actor": "dana", "to": " "}, headers=HTML)
    assert answer.status_code == 400
    assert "expected the name of somebody whose task it is" in answer.text
    assert len(world.store.events) == 1


async def test_the_list_can_be_of_one_persons_tasks_or_of_nobodys(world: World, client: Client) -> None:
    await world.store.record([make_alert(name) for name in ("a1", "a2", "a3")])
    await world.store.assign("a1", to="bob", actor="ada", comment="", at=NOON)
    await world.store.assign("a2", to="nobody", actor="ada", comment="", at=NOON)
    everybody = (await client.get("/", headers=HTML)).text
    assert _ids(everybody) == ["a2", "a1", "a3"]
    options = [attributes.get("value") for tag, attributes in _tags(everybody) if tag == "option"]
    assert options[-5:] == ["", "nobody", "to:ada", "to:nobody", "to:bob"]
    assert '<span class="soft by" title="Whose task it is">bob</span>' in everybody
    bobs = (await client.get("/?assignee=to:bob", headers=HTML)).text
    assert _ids(bobs) == ["a1"]
    assert '<option value="to:bob" selected>bob</option>' in bobs
    assert _ids((await client.get("/?assignee=to:nobody", headers=HTML)).text) == ["a2"]
    assert _ids((await client.get("/?assignee=nobody", headers=HTML)).text) == ["a3"]


async def test_who_is_asked_for_can_be_chosen_again_and_stays_when_paging(world: World, client: Client) -> None:
    await world.store.record([make_alert(f"a{number}") for number in range(60)])
    for number in range(60):
        await world.store.assign(f"a{number}", to="Bob & Ada", actor="ada", comment="", at=NOON)
    first = (await client.get("/", params={"assignee": "to:Bob & Ada"}, headers=HTML)).text
    older = next(a["href"] for tag, a in _tags(first) if tag == "a" and "cursor=" in (a.get("href") or ""))
    assert older is not None
    assert len(_ids((await client.get(older, headers=HTML)).text)) == 10
    gone = (await client.get("/?assignee=to:carl", headers=HTML)).text
    assert '<option value="to:carl" selected>carl</option>' in gone
    assert "No alert matches" in gone


@pytest.mark.parametrize("actor", [" ", "detection"])
async def test_form_without_a_name_is_refused(world: World, client: Client, actor: str) -> None:
    await world.store.record([make_alert()])
    answer = await client.post("/alerts/a1/acknowledge", data={"actor": actor}, headers=HTML)
    assert answer.status_code == 400
    assert len(world.store.events) == 1


@pytest.mark.parametrize("path", ["/", "/alerts/h1", "/?label=team:{h}", "/?text={h}", "/?show={h}"])
async def test_hostile_text_stays_text(world: World, client: Client, path: str) -> None:
    alert = make_alert(
        "h1",
        team=HOSTILE,
        reason=HOSTILE,
        action=HOSTILE,
        detector=HOSTILE,
        drivers=(DriverChange(labels={HOSTILE: HOSTILE}, change=292.5, before=0.0, now=292.5),),
    )
    await world.store.record([alert])
    await world.store.acknowledge("h1", actor=HOSTILE, comment=HOSTILE, at=NOON)
    await world.store.assign("h1", to=HOSTILE, actor=HOSTILE, comment=HOSTILE, at=NOON)
    answer = await client.get(path.format(h=HOSTILE), headers=HTML)
    assert answer.status_code == 200
    tags = _tags(answer.text)
    assert not [tag for tag, _ in tags if tag == "img"]
    assert all((a.get("src") or "").startswith("/static/") for tag, a in tags if tag == "script")
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert not [tag for tag, attributes in tags if "style" in attributes or tag == "style"]


async def test_pages_load_nothing_from_elsewhere(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    for path in ("/", "/alerts/a1", "/login", "/api/docs"):
        for _, attributes in _tags((await client.get(path, headers=HTML)).text):
            for name in ("src", "href", "action", "hx-get"):
                assert (attributes.get(name) or "/").startswith(("/", "#")), (path, attributes)


async def test_api_is_described_for_people(client: Client) -> None:
    text = _text((await client.get("/api/docs", headers=HTML)).text)
    assert "POST /api/v1/facts Send facts" in text
    assert "GET /api/v1/alerts/stream Follow alerts live" in text
