"""Series whose time has come, closed at once or in parts, without anyone seeing a difference."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from service.core.sources import FOREVER, NEVER
from service.core.state import NO_BUCKET, SeriesState
from service.core.watching import comes_due, watch_next


class Closing:
    """The queue of series to close. catch_up: closes one. again: those that have to be closed anew because of others.

    deadline: event time, seconds since 1970, at which the next bucket of one that waits in the queue may close. Before
        a source comes to it, `drain_all` has to be called: so what is put off ends as if it had not been.
    allowed: how many more may be closed in this turn.
    """

    __slots__ = ("_again", "_catch_up", "_due", "allowed", "deadline")

    def __init__(
        self, catch_up: Callable[[SeriesState], None], again: Callable[[], Sequence[SeriesState]] = tuple
    ) -> None:
        self._catch_up = catch_up
        self._again = again
        self._due: deque[SeriesState] = deque()
        self.deadline = FOREVER
        self.allowed = 0

    def __len__(self) -> int:
        return len(self._due)

    def ring(self, states: Iterable[SeriesState]) -> None:
        """The time has come that these were watched for. Some have been closed in another way since."""
        for state in states:
            if not state.due:
                at = state.watched_at
                due = comes_due(state)
                state.watched_at = FOREVER
                if due:
                    self.wake((state,), deadline=at + state.judge.grain_seconds)
                else:
                    watch_next(state)

    def wake(self, states: Iterable[SeriesState], *, deadline: int) -> None:
        """Have them closed, now or later in the order they came."""
        self.deadline = min(self.deadline, deadline)
        for state in states:
            state.watched_at = FOREVER
            if not state.due:
                state.due = True
                state.index = NO_BUCKET
                self._due.append(state)

    def drain(self) -> None:
        """As many as are allowed."""
        due = self._due
        while True:
            if not due:
                self.wake(self._again(), deadline=NEVER)
            if not due or self.allowed <= 0:
                break
            state = due.popleft()
            if state.due:  # else its next fact came first, and closed it
                self.allowed -= 1
                self.close(state)
        if not due:
            self.deadline = FOREVER

    def drain_all(self) -> None:
        allowed, self.allowed = self.allowed, FOREVER
        self.drain()
        self.allowed = allowed

    def close(self, state: SeriesState) -> None:
        """This one, now."""
        state.due = False
        self._catch_up(state)
