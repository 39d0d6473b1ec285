"""A Standard Webhooks endpoint: signed JSON by POST.

Rules of the specification: success is any 2xx; redirects are not followed; 410 means that the endpoint is gone; all
attempts carry the same `webhook-id` and body, each its own timestamp.
"""

import asyncio
import contextlib
from datetime import datetime, timedelta

import httpx

from service.delivery.address import AddressRefusedError, GuardedTransport, Resolver, SystemResolver
from service.delivery.backoff import parse_retry_after
from service.delivery.payload import body_of
from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry
from service.delivery.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, parse_secrets, sign
from service.errors import ConfigError
from service.metrics import service_version
from service.settings import WebhookReceiver
from service.store.store import Delivery

MAX_ERROR_BYTES = 2048
"""So much of an error's body is kept for the operator."""
BODY_SECONDS = 1.0
"""So long an answer's body is waited for: what it means is known before, but a body that was read to its end lets the
connection be used again, and an error's says what was wrong."""
CONCURRENCY = 8
_SHORTEST_SECRET_PART = 6


class Webhook:
    """The Receiver protocol for `type: webhook`.

    config: with `url` and `secret` filled in, from files if so configured. public_url: where links lead.
    transport, resolver: for tests; the guard against addresses in our own network stands before any transport.
    """

    def __init__(
        self,
        config: WebhookReceiver,
        *,
        public_url: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        resolver: Resolver | None = None,
        concurrency: int = CONCURRENCY,
    ) -> None:
        """Raises ConfigError for an address or secret that cannot be used; the message holds neither."""
        where = f"receiver {config.name!r}"
        if config.url is None:
            raise ConfigError(f"{where}: url is missing")
        if config.secret is None:
            raise ConfigError(f"{where}: secret is missing; an unsigned webhook cannot be told from a forged one")
        try:
            self._url = httpx.URL(config.url.get_secret_value().strip())
        except httpx.InvalidURL:
            raise ConfigError(f"{where}: url is not a URL") from None
        schemes = ("https", "http") if config.allow_http else ("https",)
        if self._url.scheme not in schemes or not self._url.host:
            hint = "" if config.allow_http else "; `allow_http: true` permits http"
            raise ConfigError(f"{where}: url must begin with {' or '.join(s + '://' for s in schemes)}{hint}")
        try:
            self._secrets = parse_secrets(config.secret.get_secret_value())
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        self._config = config
        self._user_agent = f"Spendwatch/{service_version()}"
        self._public_url = public_url
        self._concurrency = concurrency
        self._resolver = SystemResolver()
        # No client: it would log whole URLs, keep cookies, and send through the environment's proxy, which resolves
        # the name again behind the guard.
        self._transport = GuardedTransport(
            transport or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=concurrency)),
            resolver=resolver or self._resolver,
            allow_http=config.allow_http,
            allow_private=config.allow_private,
        )

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, {self.address})"

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def concurrency(self) -> int:
        return self._concurrency

    @property
    def timeout(self) -> timedelta:
        return timedelta(seconds=self._config.timeout_seconds)

    @property
    def deadline(self) -> timedelta:
        return timedelta(seconds=self._config.deadline_seconds)

    @property
    def address(self) -> str:
        """Scheme and host. The rest of the URL is often a credential and is never shown."""
        port = "" if self._url.port is None else f":{self._url.port}"
        host = f"[{self._url.host}]" if ":" in self._url.host else self._url.host
        return f"{self._url.scheme}://{host}{port}"

    async def send(self, delivery: Delivery, *, now: datetime) -> Outcome:
        body = body_of(delivery.event, self._public_url)
        timestamp = int(now.timestamp())
        signature = sign(self._secrets, message_id=delivery.id, timestamp=timestamp, body=body)
        headers = {
            "content-type": "application/json",
            "user-agent": self._user_agent,
            # An error's body is read up to a limit, which must not be the limit of something compressed.
            "accept-encoding": "identity",
            ID_HEADER: delivery.id,
            TIMESTAMP_HEADER: str(timestamp),
            SIGNATURE_HEADER: signature,
        }
        try:
            # httpx limits each read; a server that sends a byte now and then would hold us for ever.
            async with asyncio.timeout(self._config.timeout_seconds):
                response = await self._transport.handle_async_request(self._request(body, headers))
        except AddressRefusedError as error:
            return Rejected(reason=FailureReason.REFUSED_ADDRESS, detail=str(error))
        except (TimeoutError, httpx.TimeoutException):
            detail = f"{self.address} did not answer within {self._config.timeout_seconds:g} s"
            return Retry(reason=FailureReason.TIMEOUT, detail=detail)
        except httpx.HTTPError as error:
            detail = f"{self.address}: {self._without_secrets(str(error)) or type(error).__name__}"
            return Retry(reason=FailureReason.NETWORK, detail=detail)
        # The status decides. A body that hangs or breaks must not have an accepted message sent again.
        return self._outcome(response, await _beginning(response), now)

    async def close(self) -> None:
        await self._transport.aclose()
        self._resolver.close()

    def _request(self, body: bytes, headers: dict[str, str]) -> httpx.Request:
        timeouts = httpx.Timeout(self._config.timeout_seconds).as_dict()
        request = httpx.Request("POST", self._url, content=body, headers=headers, extensions={"timeout": timeouts})
        if self._url.userinfo:
            return next(httpx.BasicAuth(self._url.username, self._url.password).auth_flow(request))
        return request

    def _outcome(self, response: httpx.Response, beginning: bytes, now: datetime) -> Outcome:
        status = response.status_code
        if response.is_success:
            return Delivered()
        text = self._without_secrets(beginning.decode(errors="replace")).strip()
        detail = f"{self.address} answered {status}" + (f": {text}" if text else "")
        after = parse_retry_after(response.headers.get("retry-after"), now)
        match status:
            case 410:
                return Rejected(reason=FailureReason.GONE, detail=detail)
            case 429:
                return Retry(reason=FailureReason.RATE_LIMITED, detail=detail, after=after)
            case 408:
                return Retry(reason=FailureReason.TIMEOUT, detail=detail, after=after)
            case 425:
                return Retry(reason=FailureReason.CLIENT_ERROR, detail=detail, after=after)
            case _ if status >= 500:
                return Retry(reason=FailureReason.SERVER_ERROR, detail=detail, after=after)
            case _ if status < 400:
                # Not followed, and not given up either: a redirect to a maintenance page passes.
                return Retry(reason=FailureReason.REDIRECT, detail=detail, after=after)
            case _:
                return Rejected(reason=FailureReason.CLIENT_ERROR, detail=detail)

    def _without_secrets(self, text: str) -> str:
        """*text* without what only we and the receiver should know: error pages like to quote the path."""
        path, query = self._url.raw_path.decode(), self._url.query.decode()
        parts = [str(self._url), path, *path.split("?"), *path.split("/"), *self._url.path.split("/")]
        parts += [query, *query.replace("&", "=").split("="), self._url.username, self._url.password]
        for part in sorted(set(parts), key=len, reverse=True):
            if len(part) >= _SHORTEST_SECRET_PART:
                text = text.replace(part, "***")
        return text


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
