"""How a receiver says who we are."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import SecretStr

from service.delivery.http import basic


class Credentials(NamedTuple):
    """headers: of every request. secrets: what must not be shown, beside what the settings call secret."""

    headers: Mapping[str, str]
    secrets: Sequence[str]


def bearer(token: SecretStr) -> Credentials:
    secret = token.get_secret_value()
    return Credentials({"authorization": f"Bearer {secret}"}, [secret])


def login(user: str, password: str) -> Credentials:
    """Basic authentication."""
    value = basic(user, password)
    return Credentials({"authorization": value}, [password, value.removeprefix("Basic ")])


def credentials_of(user: str | None, password: SecretStr | None, token: SecretStr | None) -> Credentials:
    """A token before a password; none where neither is given."""
    if token is not None:
        return bearer(token)
    if user is None or password is None:
        return Credentials({}, [])
    return login(user, password.get_secret_value())
