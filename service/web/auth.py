"""Who may ask: a bearer token for programs, a cookie derived from it for the dashboard, and no other site's pages.

A Host that is none is refused everywhere. Three checks of every request but health, metrics, the login page and static
files:

- With a token configured: `Authorization: Bearer <token>`, or the dashboard's cookie. The cookie holds a keyed digest
  of the token, not the token, so what a browser keeps cannot be used against the API's header, and a new token ends
  all sessions. It needs no memory, so any number of API processes may share the load.
- Without one (loopback only): the Host must name this machine, or a page of another site could reach the API by
  letting its own name resolve to 127.0.0.1.
- A request that changes something and carries no bearer token must come from our own pages (`Sec-Fetch-Site`,
  `Origin`); programs send neither.
"""

import hashlib
import hmac
import ipaddress
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie, State
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.response.redirect import ASGIRedirectResponse
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from service.settings import Api
from service.web.errors import ProblemError, bad_request
from service.web.pages import is_page

PUBLIC = "public"
"""Key in a route's `opt` that takes it out of these checks."""
COOKIE = "spendwatch_session"
SESSION_SECONDS = 30 * 24 * 3600
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PURPOSE = b"spendwatch dashboard session, version 1"

Connection = ASGIConnection[Any, Any, Any, State]


class Access:
    """The rules, from the settings; holds the token and never shows it."""

    def __init__(self, api: Api) -> None:
        self._token = api.token.get_secret_value().encode() if api.token else None
        self._cookie = hmac.new(self._token, _PURPOSE, hashlib.sha256).hexdigest() if self._token else ""
        public = urlsplit(api.public_url or "")
        self._secure = public.scheme == "https"
        self._public_host = public.netloc
        self._hosts = {name for name in (public.hostname, api.host, "localhost") if name}

    def __repr__(self) -> str:
        return f"Access(token={'set' if self._token else 'not set'})"

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def is_token(self, text: str) -> bool:
        return self._token is not None and hmac.compare_digest(text.encode(), self._token)

    def has_bearer(self, connection: Connection) -> bool:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def has_session(self, connection: Connection) -> bool:
        cookie = connection.cookies.get(COOKIE, "")
        return self.needs_token and hmac.compare_digest(cookie.encode(), self._cookie.encode())

    def session_cookie(self, *, secure: bool) -> Cookie:
        return Cookie(
            key=COOKIE,
            value=self._cookie,
            max_age=SESSION_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
            secure=secure or self._secure,
        )

    def host_is_ours(self, connection: Connection) -> bool:
        name = urlsplit(f"//{connection.headers.get('host', '')}").hostname or ""
        if name in self._hosts:
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    def check_same_origin(self, connection: Connection) -> None:
        """Raises ProblemError for a request that a page of another site sent; what is no browser sends neither header.

        Only the host is compared: behind a proxy that ends TLS we see http where the page says https.
        """
        site = connection.headers.get("sec-fetch-site", "none")
        origin = connection.headers.get("origin")
        ours = {connection.headers.get("host", ""), self._public_host}
        if site not in ("same-origin", "none") or (origin is not None and _netloc(origin) not in ours - {""}):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "cross-site",
                "requests that change something must come from the dashboard's own pages",
            )


class HostMiddleware(ASGIMiddleware):
    """Refuses a Host header that is none, as RFC 9112 (3.2) asks: reading it as part of an address would fail later."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        connection: Connection = ASGIConnection(scope, receive, send)
        try:
            _ = urlsplit(f"//{connection.headers.get('host', '')}").port
        except ValueError:
            raise bad_request("header Host", "expected a host, and a port if any") from None
        await next_app(scope, receive, send)


class AccessMiddleware(ASGIMiddleware):
    """Refuses before a handler sees the request."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    def __init__(self, access: Access) -> None:
        self._access = access

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        connection: Connection = ASGIConnection(scope, receive, send)
        if self._access.has_bearer(connection):
            await next_app(scope, receive, send)
            return
        if self._access.needs_token and not self._access.has_session(connection):
            if _method(connection) == "GET" and is_page(connection):
                await _to_login(connection)(scope, receive, send)
                return
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "token-needed",
                "send the API token as `Authorization: Bearer <token>`",
                headers={"WWW-Authenticate": 'Bearer realm="spendwatch"', "HX-Redirect": "/login"},
            )
        if not self._access.needs_token and not self._access.host_is_ours(connection):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "unknown-host",
                "without an API token only this machine's own names are answered; set api.token or api.public_url",
            )
        if _method(connection) not in _SAFE_METHODS:
            self._access.check_same_origin(connection)
        await next_app(scope, receive, send)


def _netloc(origin: str) -> str:
    """Empty for what is no URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _to_login(connection: Connection) -> ASGIApp:
    url = connection.url
    target = quote(f"{url.path}?{url.query}" if url.query else url.path, safe="/")
    return ASGIRedirectResponse(path=f"/login?next={target}", status_code=HTTPStatus.SEE_OTHER.value)


def _method(connection: Connection) -> str:
    return cast(HTTPScope, connection.scope)["method"]


def safe_target(next_path: str) -> str:
    """Where to go after the login: a path of ours, never another site."""
    is_ours = next_path.startswith("/") and not next_path.startswith(("//", "/\\"))
    return next_path if is_ours and next_path.isprintable() else "/"
