"""What a user can set of the way back: `inbound` of a receiver that people answer in."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import SecretStr, model_validator

from service.section import Section

SHORTEST_SECRET = 16


class Inbound(Section):
    """What comes to `POST /inbound/<name of the receiver>`. enabled: false answers as if there were no such receiver.

    secret: what the other side signs with, or sends along; several, separated by blanks, while it is being changed."""

    needs: ClassVar[Sequence[str]] = ("secret",)

    enabled: bool = True
    secret: SecretStr | None = None
    secret_file: Path | None = None

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return () if self.secret is None else tuple(part.encode() for part in self.secret.get_secret_value().split())

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> "Inbound":
        for name in self.needs:
            if getattr(self, name) in (None, ()):
                wanted = f"{name} or {name}_file" if f"{name}_file" in type(self).model_fields else name
                raise ValueError(f"inbound needs {wanted}")
        if any(len(part) < SHORTEST_SECRET for part in self.secrets) or not self.secrets:
            raise ValueError(f"secret must have {SHORTEST_SECRET} characters at least")
        return self


class InboundTickets(Inbound):
    """Of a help desk, which tells of our own edits, too.

    account: who we are there, so that our own edits are known as ours: ids as they stand there (docs/two-way.md).
    acknowledged, closed: names of statuses that mean it; where neither is set, what the other side says of them."""

    needs: ClassVar[Sequence[str]] = ("secret", "account")

    account: tuple[str, ...] = ()
    acknowledged: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
