"""A remote on a bad day: a seeded share of requests is refused, cut off, or done without an answer."""

from random import Random

from tests.remotes.remote import Fault, Reply, Request

_BAD: tuple[Fault | Reply, ...] = (
    Fault.BREAK,
    Fault.LOSE,
    Reply(429, b"slow down", {"retry-after": "0"}),
    Reply(500, b"oops"),
    Reply(503, b"maintenance"),
)


class Weather:
    """For `Remote.decide`. share: of requests that go wrong. faults: how many did. is_out: nothing is answered."""

    def __init__(self, share: float, seed: int = 7) -> None:
        self.share = share
        self.is_out = False
        self.faults = 0
        self._random = Random(seed)

    def __call__(self, _request: Request) -> Fault | Reply | None:
        if self.is_out:
            return Fault.BREAK
        if self._random.random() >= self.share:
            return None
        self.faults += 1
        return self._random.choice(_BAD)
