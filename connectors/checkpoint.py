"""What the connectors remember between runs: one SQLite file.

Per continuous connector its cursor; per origin the fingerprint and revision that were acknowledged, and the buckets
that may hold something of it downstream. Those are written *before* they are published (`intend`), so that after a
kill in the middle the next try knows every bucket the interrupted one may have reached, and retracts exactly what its
own content no longer mentions.

The file may be deleted: reading again then publishes the same facts with the same revisions (they come from the
source), which changes nothing downstream. Only buckets that vanished from a source meanwhile are not retracted then.

Methods block for the time of a small transaction and may be called from any thread, one at a time.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from connectors.errors import ConnectorError
from connectors.facts import Basis

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS connectors (
    target TEXT NOT NULL, connector TEXT NOT NULL, cursor TEXT, watermark TEXT,
    PRIMARY KEY (target, connector)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS origins (
    target TEXT NOT NULL, connector TEXT NOT NULL, origin TEXT NOT NULL,
    intent_fingerprint TEXT NOT NULL, intent_revision INTEGER NOT NULL,
    confirmed_revision INTEGER, complete_until TEXT,
    PRIMARY KEY (target, connector, origin)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (
    target TEXT NOT NULL, origin TEXT NOT NULL, series TEXT NOT NULL, start TEXT NOT NULL, basis TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (target, origin, series, start, basis)
) WITHOUT ROWID;
"""


class CheckpointError(ConnectorError):
    """The file is not a checkpoint, or one of another version."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"checkpoint {path}: expected a checkpoint of version {_VERSION}, found {found}; "
            "move the file away and the sources are read again"
        )
        self.path = path
        self.found = found


class BucketKey(NamedTuple):
    """One bucket an origin says something about; start is the first instant of the bucket."""

    series: str
    start: str
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be published: all facts carry `revision`, the buckets in `retract` become 0 with it."""

    revision: int
    retract: tuple[BucketKey, ...]


class Checkpoint:
    """target: what the facts are published to (addresses and topic prefix). A file that was kept from another broker,
    or from an embedded one that forgets everything, must not make a source look as if it had been delivered."""

    def __init__(self, path: Path, *, target: str = "") -> None:
        self._path = path
        self._target = target
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10.0)
        try:
            self._prepare()
        except (sqlite3.DatabaseError, CheckpointError) as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError | CheckpointError):
                raise
            raise CheckpointError(path, str(error)) from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        # An intent that a power failure forgets would leave buckets that nobody ever retracts.
        self._db.execute("PRAGMA synchronous = FULL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise CheckpointError(self._path, f"version {version}")
        self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def known(self, connector: str) -> Mapping[str, str]:
        """origin -> fingerprint of what the broker acknowledged.

        An origin whose latest intent was not confirmed is not among them, even if an earlier one was, and even if that
        had the same content: something else may have been published in between.
        """
        query = (
            "SELECT origin, intent_fingerprint FROM origins"
            " WHERE target = ? AND connector = ? AND confirmed_revision = intent_revision"
        )
        with self._lock:
            return dict(self._db.execute(query, (self._target, connector)).fetchall())

    def intend(
        self, connector: str, origin: str, *, fingerprint: str, revision: int, buckets: Iterable[BucketKey]
    ) -> Intent:
        """Record what is about to be published for an origin, and say with which revision.

        The same content tried again keeps its revision, so that the retry is a repetition downstream; other content
        gets a higher one than any try before. revision: the source's own, used unless it is not high enough.
        The last watermark is forgotten: what is published is whole only once a watermark has followed it.
        """
        with self._transaction() as db:
            row = db.execute(
                "SELECT intent_fingerprint, intent_revision FROM origins"
                " WHERE target = ? AND connector = ? AND origin = ?",
                (self._target, connector, origin),
            ).fetchone()
            if row is not None:
                revision = row[1] if row[0] == fingerprint else max(revision, row[1] + 1)
            db.execute(
                "INSERT INTO origins (target, connector, origin, intent_fingerprint, intent_revision)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " intent_fingerprint = excluded.intent_fingerprint, intent_revision = excluded.intent_revision",
                (self._target, connector, origin, fingerprint, revision),
            )
            db.execute(
                "UPDATE connectors SET watermark = NULL WHERE target = ? AND connector = ?", (self._target, connector)
            )
            db.executemany(
                "INSERT INTO buckets (target, origin, series, start, basis, revision) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET revision = excluded.revision",
                ((self._target, origin, *bucket, revision) for bucket in buckets),
            )
            left_out = db.execute(
                "SELECT series, start, basis FROM buckets WHERE target = ? AND origin = ? AND revision < ?",
                (self._target, origin, revision),
            ).fetchall()
        retract = tuple(BucketKey(series, start, Basis(basis)) for series, start, basis in left_out)
        return Intent(revision=revision, retract=retract)

    def confirm(self, connector: str, origin: str, intent: Intent, *, complete_until: str | None) -> None:
        """Everything of the intent was acknowledged: the delivery is known, what was retracted is forgotten."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM buckets WHERE target = ? AND origin = ? AND revision < ?",
                (self._target, origin, intent.revision),
            )
            db.execute(
                "UPDATE origins SET confirmed_revision = ?, complete_until = ?"
                " WHERE target = ? AND connector = ? AND origin = ?",
                (intent.revision, complete_until, self._target, connector, origin),
            )

    def complete_until(self, connector: str) -> tuple[str, ...]:
        """What the acknowledged deliveries of a connector promise, in no order."""
        query = (
            "SELECT complete_until FROM origins WHERE target = ? AND connector = ?"
            " AND confirmed_revision IS NOT NULL AND complete_until IS NOT NULL"
        )
        with self._lock:
            return tuple(text for (text,) in self._db.execute(query, (self._target, connector)))

    def cursor(self, connector: str) -> str | None:
        """Where a continuous source goes on; None for the beginning."""
        return self._of_connector("cursor", connector)

    def watermark(self, connector: str) -> str | None:
        """The watermark that was acknowledged after the last delivery; None when one is owed."""
        return self._of_connector("watermark", connector)

    def save_cursor(self, connector: str, cursor: str) -> None:
        self._save("cursor", connector, cursor)

    def save_watermark(self, connector: str, watermark: str) -> None:
        self._save("watermark", connector, watermark)

    def _of_connector(self, column: str, connector: str) -> str | None:
        query = f"SELECT {column} FROM connectors WHERE target = ? AND connector = ?"  # noqa: S608  # ours, no input
        with self._lock:
            row = self._db.execute(query, (self._target, connector)).fetchone()
        return None if row is None else row[0]

    def _save(self, column: str, connector: str, value: str) -> None:
        query = (
            f"INSERT INTO connectors (target, connector, {column}) VALUES (?, ?, ?)"  # noqa: S608  # ours, no input
            f" ON CONFLICT DO UPDATE SET {column} = excluded.{column}"
        )
        with self._transaction() as db:
            db.execute(query, (self._target, connector, value))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
