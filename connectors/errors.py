"""What goes wrong between a source and its facts.

Bad records are values, not exceptions (`connector.BadRecord`): the rest of a delivery goes on without them. The
errors here are about a whole file or a whole configuration.
"""


class ConnectorError(Exception):
    """Base of the errors of this package. exit_code: what the command line ends with, as in service/errors.py."""

    exit_code = 2


class UnreadableFileError(ConnectorError):
    """A file nothing can be taken from. Raised before any fact of it is handed on."""

    def __init__(self, path: str, expected: str, found: str) -> None:
        super().__init__(f"{path}: expected {expected}, found {found}")
        self.path = path
        self.expected = expected
        self.found = found


class NotABillError(UnreadableFileError):
    """The file is not what it claims to be: wrong columns, truncated, binary, empty."""


class OtherDatasetError(NotABillError):
    """A well-known billing file that holds no charges, such as FOCUS 1.3's contract commitments."""


class MissingExtraError(UnreadableFileError):
    """The file needs an optional dependency that is not installed. extra: its name in pyproject.toml."""

    def __init__(self, path: str, extra: str, found: str) -> None:
        super().__init__(path, f"the extra {extra!r} to be installed (pip install 'spendwatch[{extra}]')", found)
        self.extra = extra


class SplitRulesError(ConnectorError):
    """Split rules that cannot work: an unknown column, a tag listed twice. The message names the entry."""
