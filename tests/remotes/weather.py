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
    """For `Remote.decide`. share: of requests that go wrong. lost_share: of POSTs that are done, their answer lost.
    faults: how many went wrong. is_out: nothing is answered."""

    def __init__(self, share: float, *, lost_share: float = 0.0, seed: int = 7) -> None:
        self.share = share
        self.lost_share = lost_share
        self.is_out = False
        self.faults = 0
        self._random = Random(seed)

    def __call__(self, request: Request) -> Fault | Reply | None:
        if self.is_out:
            return Fault.BREAK
        if request.method == "POST" and self._random.random() < self.lost_share:
            self.faults += 1
            return Fault.LOSE
        if self._random.random() >= self.share:
            return None
        self.faults += 1
        return self._random.choice(_BAD)
