"""What a replay ends with instead of alerts."""

from service.errors import SpendwatchError


class ReplayError(SpendwatchError):
    """An input that cannot be replayed; the message names the place and what was expected."""

    exit_code = 2
