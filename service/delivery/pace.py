"""How fast a receiver may be sent to: its token bucket, the pause it asked for, its circuit. Pure: time is given.

The circuit opens after FAILURES failures in a row that say something of the receiver and not of the message. While it
is open nothing is sent, so that no message uses up its attempts; then one is tried, and when it is done all go on.
The receiver is to blame for an answer that never comes and for 5xx; a refusal (4xx) says that it works. An attempt of
which the first requests were answered says less: where one request in eight fails, half of the attempts do that take
five of them. A desk that can be read and not written to is away all the same, after HALFWAY of these in a row. So an
open circuit that is answered again lets FAILURES attempts show whether anything gets through.
Source of the bucket: https://en.wikipedia.org/wiki/Token_bucket
"""

import math

from service.delivery.receivers.receiver import Delivered, FailureReason, Outcome, Rejected, Retry

FAILURES = 5
HALFWAY = 20
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
"""Half a minute after a receiver is back, at the latest, it is noticed."""
LONGEST_WAIT_SECONDS = 900.0
"""A receiver that asks for a longer pause is asked again before."""
LEAST_PATIENCE_SECONDS = 8.0
_PATIENCE_SHARE = 0.25
_ITS_FAULT = frozenset({FailureReason.TIMEOUT, FailureReason.NETWORK, FailureReason.SERVER_ERROR})


class Pace:
    """rate: messages a second in the long run; burst: at once. now: seconds of a clock that never goes back."""

    def __init__(self, *, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = self._burst
        self._at = now
        self._failures = 0
        self._unanswered = 0
        self._is_away = False
        self._pause = FIRST_PAUSE_SECONDS
        self._closed_until = now
        self._works_since = now
        self._trying = 0

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: the receiver does not work, as far as we know."""
        return self._unanswered >= FAILURES or self._failures >= HALFWAY

    def allowed(self, now: float) -> int:
        """How many may be sent now."""
        if now < self._closed_until:
            return 0
        self._fill(now)
        if self.is_open:
            return 0 if self._trying else min(1, int(self._tokens))
        return int(self._tokens)

    def wait(self, now: float) -> float:
        """Seconds until another may be sent; 0 when one may now, infinite while it depends on one that is under way."""
        if self.is_open and self._trying:
            return math.inf
        self._fill(now)
        missing = max(1.0 - self._tokens, 0.0) / self._rate
        return max(self._closed_until - now, missing, 0.0)

    def patience(self, now: float) -> float:
        """Seconds that a message waits at most before it is tried again.

        While the receiver is away the pauses of its circuit are what spares it, and one that waits longer would let it
        go unnoticed that it is back. Afterwards it grows with the time the receiver has been working: what
        failed during an outage has had many attempts, and must not wait as if it had failed that often by itself.
        """
        if self._is_away:
            return LONGEST_PAUSE_SECONDS
        return max(LEAST_PATIENCE_SECONDS, (now - self._works_since) * _PATIENCE_SHARE)

    def began(self, count: int, now: float) -> None:
        self._fill(now)
        self._tokens -= count
        self._trying += count

    def ended(self, outcome: Outcome | None, now: float) -> bool:
        """Whether the receiver is back: nothing got through since the circuit opened, and this has. None: what came of
        it is not known."""
        self._trying -= 1
        match outcome:
            case Retry(reason=FailureReason.RATE_LIMITED):
                asked = self._pause if outcome.after is None else outcome.after.total_seconds()
                self._close_for(min(asked, LONGEST_WAIT_SECONDS), now)
                return False
            case Retry() if outcome.reason in _ITS_FAULT:
                self._failed(got_somewhere=outcome.got_somewhere)
                if self.is_open:
                    self._is_away = True
                    self._close_for(self._pause, now)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
                return False
            case Delivered() | Rejected() | Retry():
                was_away, self._is_away = self._is_away, False
                self._failures, self._unanswered, self._pause = 0, 0, FIRST_PAUSE_SECONDS
                if was_away:
                    self._works_since = now
                return was_away
            case None:
                return False

    def _failed(self, *, got_somewhere: bool) -> None:
        self._failures += 1
        if not got_somewhere:
            self._unanswered += 1
            return
        if self._unanswered >= FAILURES:
            self._failures = HALFWAY - FAILURES
        self._unanswered = 0

    def _close_for(self, seconds: float, now: float) -> None:
        self._closed_until = max(self._closed_until, now + seconds)

    def _fill(self, now: float) -> None:
        passed = max(now - self._at, 0.0)
        self._at = max(self._at, now)
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        # Ten times a tenth is less than one.
        if math.isclose(self._tokens, round(self._tokens), abs_tol=1e-9):
            self._tokens = float(round(self._tokens))
