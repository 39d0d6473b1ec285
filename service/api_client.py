"""Our own API, asked from the command line."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from service.console import clean
from service.errors import ConfigError, UnavailableError

_TIMEOUT_SECONDS = 30.0


class ApiClient:
    """base_url: where the API answers. transport: for tests."""

    def __init__(self, base_url: str, *, token: str | None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._base_url = base_url
        self._client = httpx.Client(base_url=base_url, headers=headers, timeout=_TIMEOUT_SECONDS, transport=transport)

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, method: str, path: str, **how: Any) -> Mapping[str, Any]:
        """The answer. how: `params` or `json`.

        Raises ConfigError for what the API refuses, UnavailableError when it is away or something it needs is.
        """
        try:
            answer = self._client.request(method, path, **how)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self._base_url} does not answer: {type(error).__name__}") from None
        if not answer.is_success:
            problem = f"{self._base_url} answered {answer.status_code}: {_detail(answer)}"
            raise UnavailableError(problem) if answer.is_server_error else ConfigError(problem)
        try:
            return msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise ConfigError(f"{self._base_url} did not answer with JSON: is that where the API is?") from None


def _detail(answer: httpx.Response) -> str:
    try:
        return clean(str(msgspec.json.decode(answer.content, type=dict[str, Any])["detail"]))
    except (msgspec.DecodeError, KeyError):
        return answer.reason_phrase
