"""The root of what the service raises; each part adds its own below it, with facts as attributes."""


class SpendwatchError(Exception):
    """Base of all errors that are ours.

    exit_code: what the command line ends with. 2: the user's input or configuration; 70: a fault of ours;
    75: something we depend on is away, try again.
    """

    exit_code: int = 70


class ConfigError(SpendwatchError):
    """A mistake in the configuration; the message names every one with its place in the file."""

    exit_code = 2


class UnavailableError(SpendwatchError):
    """A broker, database or cache that does not answer."""

    exit_code = 75


class ListenError(UnavailableError):
    """A port of ours that cannot be opened."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"port {port} on {host} cannot be opened: {reason}")
        self.host = host
        self.port = port
