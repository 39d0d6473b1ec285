"""Who may ask, and from where."""

from collections.abc import AsyncIterator

import pytest
from litestar.testing import AsyncTestClient
from pydantic import SecretStr

from service.settings import Api
from service.web.auth import COOKIE, Access
from tests.builders import make_alert
from tests.service.web.builders import BASE_URL, TOKEN, World
from tests.service.web.conftest import Client

HTML = {"Accept": "text/html"}
OWN = {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def world() -> World:
    return World(token=TOKEN)


@pytest.fixture
def open_world() -> World:
    return World()


@pytest.fixture
async def open_client(open_world: World) -> AsyncIterator[Client]:
    async with AsyncTestClient(open_world.app, base_url=BASE_URL) as client:
        yield client


async def _sign_in(client: Client, token: str = TOKEN, target: str = "/") -> int:
    form = {"token": token, "next": target}
    answer = await client.post("/login", data=form, headers=OWN, follow_redirects=False)
    return answer.status_code


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/api/v1/summary", "/api/openapi.json", "/api/v1/alerts/stream"])
async def test_api_needs_the_token(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="spendwatch"'
    assert answer.json()["type"] == "urn:spendwatch:problem:token-needed"


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer \xe9", 401),
    ],
)
async def test_only_the_right_token_opens(client: Client, header: str, status: int) -> None:
    answer = await client.get("/api/v1/alerts", headers={b"Authorization": header.encode("latin-1")})
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/login", "/static/app.css"])
async def test_health_metrics_and_login_need_no_token(client: Client, path: str) -> None:
    assert (await client.get(path)).status_code == 200


async def test_person_is_sent_to_the_login_page(client: Client) -> None:
    answer = await client.get("/?show=all&label=team:a", headers=HTML, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/%3Fshow%3Dall%26label%3Dteam%3Aa"


async def test_moving_part_of_a_page_is_told_to_go_to_the_login_page(client: Client) -> None:
    answer = await client.get("/", headers={**HTML, "HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login"


async def test_signing_in_opens_the_dashboard(client: Client) -> None:
    answer = await client.post(
        "/login", data={"token": TOKEN, "next": "/?show=all"}, headers=OWN, follow_redirects=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/?show=all")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert (await client.get("/", headers=HTML)).status_code == 200
    assert (await client.get("/api/v1/alerts")).status_code == 200


async def test_wrong_token_signs_nobody_in(client: Client) -> None:
    answer = await client.post("/login", data={"token": "nope"}, headers=OWN)
    assert answer.status_code == 401
    assert "This is not the token." in answer.text
    assert "set-cookie" not in answer.headers


async def test_signing_out_closes_it_again(client: Client) -> None:
    assert await _sign_in(client) == 303
    await client.post("/logout", headers=OWN, follow_redirects=False)
    client.cookies.delete(COOKIE)
    assert (await client.get("/", headers=HTML, follow_redirects=False)).status_code == 303


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
async def test_login_leads_nowhere_else(client: Client, target: str) -> None:
    answer = await client.post("/login", data={"token": TOKEN, "next": target}, headers=OWN, follow_redirects=False)
    assert answer.headers["location"] == "/"


async def test_cookie_of_another_token_is_worth_nothing(client: Client) -> None:
    other = World(token="another-token-altogether")
    async with AsyncTestClient(other.app, base_url=BASE_URL) as other_client:
        await _sign_in(other_client, "another-token-altogether")
        stolen = other_client.cookies[COOKIE]
    client.cookies.set(COOKIE, stolen)
    assert (await client.get("/api/v1/alerts")).status_code == 401


async def test_cookie_is_no_bearer_token(client: Client) -> None:
    await _sign_in(client)
    cookie = client.cookies[COOKIE]
    client.cookies.clear()
    answer = await client.get("/api/v1/alerts", headers={"Authorization": f"Bearer {cookie}"})
    assert answer.status_code == 401


CROSS = [
    {"Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:9999"},
    {"Origin": "null"},
]


@pytest.mark.parametrize("headers", CROSS)
async def test_other_sites_cannot_act_with_a_persons_cookie(
    world: World, client: Client, headers: dict[str, str]
) -> None:
    await world.store.record([make_alert()])
    await _sign_in(client)
    for path in ("/alerts/a1/acknowledge", "/api/v1/alerts/a1/acknowledge"):
        answer = await client.post(path, data={"actor": "eve"}, headers=headers)
        assert answer.status_code == 403, path
    assert len(world.store.events) == 1


@pytest.mark.parametrize("headers", CROSS)
async def test_other_sites_cannot_act_where_no_token_is_set(
    open_world: World, open_client: Client, headers: dict[str, str]
) -> None:
    await open_world.store.record([make_alert()])
    answer = await open_client.post("/api/v1/alerts/a1/resolve", json={"actor": "eve"}, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:spendwatch:problem:cross-site"


async def test_program_with_a_token_may_come_from_anywhere(world: World, client: Client) -> None:
    await world.store.record([make_alert()])
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://desk.example"}
    answer = await client.post("/api/v1/alerts/a1/acknowledge", json={"actor": "desk"}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8321", 200),
        ("localhost:8321", 200),
        ("[::1]:8321", 200),
        ("evil.example:8321", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
async def test_without_a_token_only_this_machines_names_are_answered(
    open_client: Client, host: str, status: int
) -> None:
    answer = await open_client.get("/api/v1/alerts", headers={"Host": host})
    assert answer.status_code == status


async def test_public_name_is_answered_without_a_token() -> None:
    world = World(public_url="https://spend.example/")
    async with AsyncTestClient(world.app, base_url=BASE_URL) as client:
        answer = await client.get("/api/v1/alerts", headers={"Host": "spend.example"})
    assert answer.status_code == 200


async def test_cookie_is_secure_behind_https() -> None:
    world = World(token=TOKEN, public_url="https://spend.example/")
    async with AsyncTestClient(world.app, base_url=BASE_URL) as client:
        answer = await client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


def test_token_is_not_shown() -> None:
    assert repr(Access(Api(token=SecretStr(TOKEN)))) == "Access(token=set)"


async def test_own_pages_may_act_behind_a_proxy_that_renames_the_host() -> None:
    world = World(token=TOKEN, public_url="https://spend.example/")
    await world.store.record([make_alert()])
    async with AsyncTestClient(world.app, base_url=BASE_URL) as client:
        own = {"Origin": "https://spend.example", "Sec-Fetch-Site": "same-origin"}
        cookie = (await client.post("/login", data={"token": TOKEN}, headers=own, follow_redirects=False)).cookies
        client.cookies.set(COOKIE, cookie[COOKIE])
        answer = await client.post("/alerts/a1/resolve", data={"actor": "dana"}, headers=own, follow_redirects=False)
    assert answer.status_code == 303


@pytest.mark.parametrize("host", ["[::1", "[", "127.0.0.1:port", "127.0.0.1:99999", "[127.0.0.1]x"])
@pytest.mark.parametrize("path", ["/", "/login", "/livez", "/api/v1/alerts", "/static/app.css"])
async def test_host_that_is_none_is_a_bad_request(client: Client, path: str, host: str) -> None:
    for headers in (HTML, {"Authorization": f"Bearer {TOKEN}"}):
        answer = await client.get(path, headers={**headers, "Host": host})
        assert answer.status_code == 400, answer.text
        assert "x-content-type-options" in answer.headers


async def test_host_that_is_none_does_not_hide_an_unknown_path(client: Client) -> None:
    for headers in (HTML, {}):
        answer = await client.get("/nope", headers={**headers, "Host": "[::1"})
        assert answer.status_code == 404


async def test_origin_that_is_none_is_another_site(open_client: Client) -> None:
    answer = await open_client.post("/logout", headers={"Origin": "http://[::1"})
    assert answer.status_code == 403
