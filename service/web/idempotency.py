"""Remembering answers by `Idempotency-Key`, so that a client that never saw one may ask again.

After the IETF draft https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/. Facts are safe to
send twice anyway (revisions and event ids see to that); the key saves the work and gives the same counts again.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from service.clock import Clock

TTL = timedelta(hours=24)


class Answer(Struct, frozen=True, kw_only=True):
    """digest: of the request body, so that a key used for another one is noticed."""

    digest: str
    status: int
    body: bytes


class Idempotency(Protocol):
    """Losing an answer must be harmless: it may be kept in memory or in a cache."""

    async def get(self, key: str) -> Answer | None: ...

    async def put(self, key: str, answer: Answer) -> None: ...


class LocalIdempotency:
    """The latest answers of this process; with several API processes a key may be unknown to the next one."""

    def __init__(self, clock: Clock, *, limit: int = 10_000) -> None:
        self._clock = clock
        self._limit = limit
        self._answers: OrderedDict[str, tuple[datetime, Answer]] = OrderedDict()

    async def get(self, key: str) -> Answer | None:
        at, answer = self._answers.get(key, (None, None))
        if at is None or self._clock.now() - at > TTL:
            self._answers.pop(key, None)
            return None
        return answer

    async def put(self, key: str, answer: Answer) -> None:
        self._answers[key] = (self._clock.now(), answer)
        self._answers.move_to_end(key)
        while len(self._answers) > self._limit:
            self._answers.popitem(last=False)
