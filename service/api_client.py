"""Our own API, asked from the command line."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from service.console import clean
from service.errors import ConfigError, UnavailableError

_TIMEOUT_SECONDS = 30.0
_NAME_IN_URL = re.compile(r"^(\w+://)?.*@")
_TOKEN = re.compile(r"[!-~]([ -~]*[!-~])?")


class ApiClient:
    """base_url: where the API answers. transport: for tests. Raises ConfigError for an address or token that is none.

    place: the address as it may be printed.
    """

    def __init__(self, base_url: str, *, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        url = address(base_url)
        self.place = printable(url)
        self._client = httpx.Client(
            base_url=url, headers=authorization(token), timeout=_TIMEOUT_SECONDS, transport=transport
        )

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **how: Any) -> Mapping[str, Any]:
        """The answer. how: `params` or `json`.

        Raises ConfigError for what cannot be asked or the API refuses, UnavailableError when it is away or something
        it needs is.
        """
        try:
            answer = self._client.request(method, path, **how)
        except UnicodeEncodeError as error:
            raise _not_utf8(error) from None
        except httpx.InvalidURL as error:
            raise ConfigError(f"{self.place} cannot be asked that: {error}") from None
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self.place} does not answer: {type(error).__name__}") from None
        if not answer.is_success:
            problem = f"{self.place} answered {answer.status_code}: {_detail(answer)}"
            raise UnavailableError(problem) if answer.is_server_error else ConfigError(problem)
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise ConfigError(f"{self.place} did not answer with JSON: is that where the API is?") from None


def address(text: str) -> httpx.URL:
    """Where an API may answer. Raises ConfigError for what can be no such place, whatever is started there."""
    try:
        url = httpx.URL(text)
        # What a look-up of the name would stumble over; it is no error of httpx's then.
        url.raw_host.decode("ascii").encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL()
    is_port = url.port is None or 0 < url.port < 2**16
    if url.scheme not in ("http", "https") or not url.host or not is_port or any(map(str.isspace, text)):
        shown = clean(_NAME_IN_URL.sub(r"\1***@", text))
        raise ConfigError(f"--url: expected an address such as http://127.0.0.1:8321, got {shown!r}")
    return url


def printable(url: httpx.URL) -> str:
    """Without the name and password that it may have, and without a query."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def authorization(token: str | None) -> dict[str, str]:
    """The header that shows *token*. Raises ConfigError for a token that no header can carry; it is not repeated."""
    if not token:
        return {}
    if not _TOKEN.fullmatch(token):
        raise ConfigError("--token: expected printable ASCII characters without a blank at either end")
    return {"Authorization": f"Bearer {token}"}


def segment(ident: str) -> str:
    """An id as one segment of a path. Raises ConfigError for one that would name another path."""
    if ident.strip() in ("", ".", ".."):
        raise ConfigError(f"expected an id as a list shows it, got {ident!r}")
    try:
        return quote(ident, safe="")
    except UnicodeEncodeError as error:
        raise _not_utf8(error) from None


def _not_utf8(error: UnicodeEncodeError) -> ConfigError:
    return ConfigError(f"expected text in UTF-8, got one with {error.object[error.start]!r}")


def _detail(answer: httpx.Response) -> str:
    try:
        return clean(str(msgspec.json.decode(answer.content, type=dict[str, Any])["detail"]))
    except (msgspec.DecodeError, KeyError):
        return answer.reason_phrase
