"""A receiver's address must not lead into our own network."""

import asyncio
import contextlib
import ipaddress
import ssl
from pathlib import Path

import httpx
import pytest

from service.delivery.address import AddressRefusedError, GuardedTransport, SystemResolver, refusal
from tests.service.delivery.fakes import FakeResolver

PUBLIC = "93.184.215.14"
TLS = Path(__file__).parent / "tls"


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "64:ff9b:1::7f00:1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "fec0::1",
        "5f00::1",
    ],
)
def test_our_own_network_is_refused_unless_allowed(text: str) -> None:
    address = ipaddress.ip_address(text)
    assert "`allow_private: true` would permit it" in str(refusal(address, allow_private=False))
    assert refusal(address, allow_private=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "169.254.169.254",
        "fe80::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "fd00:ec2::254",
        "fd20:ce::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_what_is_no_single_machine_or_hands_out_credentials_is_always_refused(text: str) -> None:
    assert refusal(ipaddress.ip_address(text), allow_private=True) is not None


@pytest.mark.parametrize("text", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"])
def test_the_internet_is_allowed(text: str) -> None:
    assert refusal(ipaddress.ip_address(text), allow_private=False) is None


class Inner(httpx.AsyncBaseTransport):
    """Keeps the requests it gets; refuses connections to *away*."""

    def __init__(self, *away: str) -> None:
        self.requests: list[httpx.Request] = []
        self.away = away

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.away:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(204)


async def send(url: str, resolver: FakeResolver, inner: httpx.AsyncBaseTransport, **allowed: bool) -> httpx.Response:
    guard = GuardedTransport(inner, resolver=resolver, **allowed)
    return await guard.handle_async_request(httpx.Request("POST", url, content=b"x"))


async def test_the_connection_goes_to_what_was_checked() -> None:
    inner, resolver = Inner(), FakeResolver(desk_example=[PUBLIC])
    await send("https://desk.example/hook?k=1", resolver, inner)
    [request] = inner.requests
    assert str(request.url) == f"https://{PUBLIC}/hook?k=1"
    assert request.headers["host"] == "desk.example"
    assert request.extensions["sni_hostname"] == "desk.example"
    assert resolver.asked == ["desk.example"]


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    inner, resolver = Inner(), FakeResolver(rebind_example=[[PUBLIC], ["127.0.0.1"]])
    await send("https://rebind.example/", resolver, inner)
    with pytest.raises(AddressRefusedError, match=r"rebind\.example: 127\.0\.0\.1 is on this machine"):
        await send("https://rebind.example/", resolver, inner)
    assert [request.url.host for request in inner.requests] == [PUBLIC]


async def test_one_forbidden_address_refuses_the_name() -> None:
    inner = Inner()
    with pytest.raises(AddressRefusedError):
        await send("https://mixed.example/", FakeResolver(mixed_example=[PUBLIC, "10.0.0.1"]), inner)
    assert inner.requests == []


async def test_the_next_address_is_tried_when_one_cannot_be_reached() -> None:
    inner = Inner("2606:2800:21f::1")
    response = await send("https://both.example/", FakeResolver(both_example=["2606:2800:21f::1", PUBLIC]), inner)
    assert response.status_code == 204
    assert [request.url.host for request in inner.requests] == ["2606:2800:21f::1", PUBLIC]


async def test_http_needs_permission() -> None:
    resolver = FakeResolver(desk_example=[PUBLIC])
    with pytest.raises(AddressRefusedError, match="`allow_http: true` permits http"):
        await send("http://desk.example/", resolver, Inner())
    assert (await send("http://desk.example/", resolver, Inner(), allow_http=True)).status_code == 204
    with pytest.raises(AddressRefusedError, match="the scheme must be http or https, got ftp"):
        await send("ftp://desk.example/", resolver, Inner(), allow_http=True)


@pytest.mark.parametrize("resolver", [FakeResolver(), FakeResolver(gone_example=[])], ids=["unknown", "empty"])
async def test_a_name_without_address_is_a_network_error(resolver: FakeResolver) -> None:
    with pytest.raises(httpx.ConnectError, match=r"cannot resolve gone\.example"):
        await send("https://gone.example/", resolver, Inner())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "0x7f.1", "2130706433", "127.1", "localhost", "0"])
async def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    resolver = SystemResolver()
    inner = Inner()
    guard = GuardedTransport(inner, resolver=resolver, allow_http=True)
    with pytest.raises((AddressRefusedError, httpx.ConnectError)):
        await guard.handle_async_request(httpx.Request("POST", f"http://{host}:8080/"))
    assert inner.requests == []
    resolver.close()


async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
    writer.close()


async def test_the_certificate_is_checked_against_the_name() -> None:
    """A pinned address must not weaken TLS: the right name passes, another one does not."""
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    client_tls = ssl.create_default_context(cafile=str(TLS / "certificate.pem"))
    resolver = FakeResolver(desk_example=["127.0.0.1"], other_example=["127.0.0.1"])
    guard = GuardedTransport(httpx.AsyncHTTPTransport(verify=client_tls), resolver=resolver, allow_private=True)
    async with await asyncio.start_server(answer_nothing, "127.0.0.1", 0, ssl=server_tls) as server:
        port = server.sockets[0].getsockname()[1]
        response = await guard.handle_async_request(httpx.Request("GET", f"https://desk.example:{port}/"))
        assert response.status_code == 204
        await response.aclose()
        with pytest.raises(httpx.ConnectError, match=r"certificate is not valid for 'other\.example'"):
            await guard.handle_async_request(httpx.Request("GET", f"https://other.example:{port}/"))
        await guard.aclose()
