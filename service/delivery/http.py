"""One request to one place and its answer, within a time, within our rules, without giving a secret away.

Addresses are checked on every request (address.py), redirects are not followed, an answer is read up to a limit.
"""

import asyncio
import base64
import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import quote, urlencode

import httpx
import msgspec
from pydantic import SecretStr

from service.delivery.address import AddressRefusedError, GuardedTransport, Resolver, SystemResolver
from service.delivery.calls import MAX_ERROR_BYTES, Answer, Call, CallFailedError, hide
from service.delivery.receivers.receiver import FailureReason, Rejected, Retry
from service.errors import ConfigError
from service.metrics import service_version

MAX_BODY_BYTES = 1_000_000
"""So much of an answer is read where it matters."""
BODY_SECONDS = 1.0
"""So long an answer's body is waited for where only its status matters: a body that was read to its end lets the
connection be used again, and an error's says what was wrong."""
_SHORTEST_SECRET_PART = 6


class Site:
    """Where a receiver's requests go.

    where: `receiver 'desk'`. url: what paths are appended to. headers: of every request. hidden: more secrets.
    transport, resolver: for tests; the guard against addresses in our own network stands before any transport.
    """

    def __init__(
        self,
        where: str,
        url: SecretStr | str,
        *,
        headers: Mapping[str, str] | None = None,
        hidden: Sequence[str] = (),
        allow_http: bool = False,
        allow_private: bool = False,
        connections: int = 8,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Raises ConfigError for an address that cannot be used; the message does not hold it."""
        self._url = _checked_url(where, url, allow_http=allow_http)
        self._headers = {
            "user-agent": f"Spendwatch/{service_version()}",
            # A body is read up to a limit, which must not be the limit of something compressed.
            "accept-encoding": "identity",
            **(headers or {}),
        }
        if self._url.userinfo and "authorization" not in self._headers:
            self._headers["authorization"] = basic(self._url.username, self._url.password)
        self.hidden = (*_secret_parts(self._url), *(text for text in hidden if len(text) >= _SHORTEST_SECRET_PART))
        self._resolver = SystemResolver()
        # No client: it would log whole URLs, keep cookies, and send through the environment's proxy, which resolves
        # the name again behind the guard.
        self._transport = GuardedTransport(
            transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=connections)),
            resolver=resolver or self._resolver,
            allow_http=allow_http,
            allow_private=allow_private,
        )

    @property
    def address(self) -> str:
        """Scheme and host. The rest of the URL is often a credential and is never shown."""
        port = "" if self._url.port is None else f":{self._url.port}"
        host = f"[{self._url.host}]" if ":" in self._url.host else self._url.host
        return f"{self._url.scheme}://{host}{port}"

    async def ask(self, call: Call, *, now: datetime, seconds: float) -> Answer:
        """The answer, whatever its status. Raises CallFailedError when none came within *seconds*."""
        response = None
        try:
            # httpx limits each read; a server that sends a byte now and then would hold us for ever.
            async with asyncio.timeout(max(seconds, 0.001)):
                response = await self._transport.handle_async_request(self._request(call, seconds))
                body = await _whole(response) if call.reads and response.is_success else None
        except AddressRefusedError as error:
            raise CallFailedError(Rejected(reason=FailureReason.REFUSED_ADDRESS, detail=str(error))) from None
        except (TimeoutError, httpx.TimeoutException):
            detail = f"{self.address} did not answer within {seconds:.2g} s"
            raise CallFailedError(Retry(reason=FailureReason.TIMEOUT, detail=detail)) from None
        except httpx.HTTPError as error:
            detail = f"{self.address}: {hide(str(error), self.hidden) or type(error).__name__}"
            raise CallFailedError(Retry(reason=FailureReason.NETWORK, detail=detail)) from None
        # The status decides. A body that hangs or breaks must not have an accepted message sent again.
        body = await _beginning(response) if body is None else body
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(
            address=self.address, status=response.status_code, at=now, headers=headers, body=body, hidden=self.hidden
        )

    async def close(self) -> None:
        await self._transport.aclose()
        self._resolver.close()

    def _request(self, call: Call, seconds: float) -> httpx.Request:
        url = self._url
        if call.path:
            path = url.raw_path.partition(b"?")[0]
            url = url.copy_with(raw_path=path.rstrip(b"/") + call.path.encode())
        if call.query:
            # Not httpx's own: it would leave `'` and `^` for the other side to stumble over.
            url = url.copy_with(query=urlencode(call.query, quote_via=quote).encode())
        headers = {**self._headers, **call.headers}
        content = call.content
        if content is None and call.body is not None:
            content = msgspec.json.encode(call.body)
        if content is not None:
            headers.setdefault("content-type", "application/json")
        if call.reads:
            headers.setdefault("accept", "application/json")
        timeouts = httpx.Timeout(max(seconds, 0.001)).as_dict()
        return httpx.Request(call.method, url, content=content, headers=headers, extensions={"timeout": timeouts})


def basic(user: str, password: str) -> str:
    """Value of the header for basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def in_path(text: str) -> str:
    """For one segment of a path, whatever it holds."""
    return quote(text, safe="")


def _checked_url(where: str, url: SecretStr | str, *, allow_http: bool) -> httpx.URL:
    text = url.get_secret_value() if isinstance(url, SecretStr) else url
    try:
        parsed = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise ConfigError(f"{where}: url is not a URL") from None
    schemes = ("https", "http") if allow_http else ("https",)
    if parsed.scheme not in schemes or not parsed.host:
        hint = "" if allow_http else "; `allow_http: true` permits http"
        raise ConfigError(f"{where}: url must begin with {' or '.join(s + '://' for s in schemes)}{hint}")
    return parsed


def _secret_parts(url: httpx.URL) -> list[str]:
    """What of a URL only we and the receiver should know."""
    path, query = url.raw_path.decode(), url.query.decode()
    parts = [str(url), path, *path.split("?"), *path.split("/"), *url.path.split("/")]
    parts += [query, *query.replace("&", "=").split("="), url.username, url.password]
    if url.userinfo:
        parts.append(basic(url.username, url.password).removeprefix("Basic "))
    return [part for part in parts if len(part) >= _SHORTEST_SECRET_PART]


async def _whole(response: httpx.Response) -> bytes:
    """Up to MAX_BODY_BYTES of the body; closes the response."""
    if response.is_stream_consumed:
        return response.content[:MAX_BODY_BYTES]
    data = b""
    async with contextlib.aclosing(response):
        async for chunk in response.aiter_raw():
            data += chunk
            if len(data) >= MAX_BODY_BYTES:
                break
    return data[:MAX_BODY_BYTES]


async def _beginning(response: httpx.Response) -> bytes:
    """Up to MAX_ERROR_BYTES of the body, as far as it comes within BODY_SECONDS; closes the response.

    A longer or slower one costs the connection, which is then not used again.
    """
    if response.is_stream_consumed:
        return response.content[:MAX_ERROR_BYTES]  # a transport that had it all in memory
    data = b""
    with contextlib.suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(BODY_SECONDS), contextlib.aclosing(response):
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) >= MAX_ERROR_BYTES:
                    break
    return data[:MAX_ERROR_BYTES]
