"""The `focus` and `cur` connectors: bills in a file, a folder or the files of a glob.

Deliveries. A manifest and the files it lists are one delivery, `<name>:<export>/<billing period>`, read all or none;
every other file is one of its own, `<name>:<path below the folder>`. A delivery is a snapshot: when it changes, it
replaces what it said before. So an export that writes each update under a new name needs its manifest beside it, or
the updates would be added up as if they were different bills.

A delivery is read to its end before anything of it is handed on, so a file that turns out broken leaves no trace.
complete_until is the start of the bucket in which the latest Usage charge ends (see Aggregate.complete_until).
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from connectors.aggregate import Aggregate, Overflow
from connectors.charge import Charge
from connectors.connector import BadReason, BadRecord, Delivery, Refused, Unchanged
from connectors.cur import CurReader
from connectors.errors import NotABillError, OtherDatasetError, UnreadableFileError
from connectors.facts import MAX_TEXT, Fact
from connectors.focus import FocusReader
from connectors.manifests import Manifest, is_manifest, latest, locate, read_manifest, territory
from connectors.paths import find_files, has_files
from connectors.split import SplitRules, Splitter
from connectors.tabular import BadRow, Table, open_table
from connectors.tags import clip

READING_VERSION = 3
"""Part of every fingerprint: raise it when the same file would give other facts, so that files are read again."""

MAX_RAW_BYTES = 16_384
BAD_ROWS_BEFORE_REFUSAL = 10_000
"""So many bad rows are told one by one; a file with more of them than good ones is refused instead."""

_SUFFIXES = (".csv", ".gz", ".zip", ".parquet")


# enc_hook: the default aliases are a read-only mapping, which msgspec does not know.
_RULES_ENCODER = msgspec.json.Encoder(order="deterministic", enc_hook=dict)


class BillKind(StrEnum):
    FOCUS = "focus"
    CUR = "cur"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One delivery as it lies on disk. name: what its origin and its messages call it."""

    name: str
    manifest: Path | None
    files: tuple[Path, ...]

    def all_files(self) -> tuple[Path, ...]:
        return self.files if self.manifest is None else (self.manifest, *self.files)


class BillingFiles:
    """A connector.Connector over local files."""

    def __init__(
        self, *, name: str, path: Path, kind: BillKind | str, rules: SplitRules | None = None, tenant: str = "default"
    ) -> None:
        """Raises SplitRulesError."""
        self._name = name
        self._path = path
        self._kind = BillKind(kind)
        self._rules = rules or SplitRules()
        self._tenant = tenant
        Splitter(self._rules, tenant)
        self._digests: dict[Path, tuple[tuple[int, int, int], bytes]] = {}

    @property
    def name(self) -> str:
        return self._name

    def has_files(self) -> bool:
        """Whether the path names any file now; reads the folders."""
        return has_files(self._path, is_wanted=_is_candidate)

    async def deliveries(self, known: Mapping[str, str]) -> AsyncIterator[Delivery | Unchanged | Refused]:
        """Every delivery that is there now, in the order of their names.

        Raises FileNotFoundError when the path names one file or folder that is not there.
        """
        for source in await asyncio.to_thread(lambda: list(self._discover())):
            if isinstance(source, Refused):
                yield source
                continue
            result = await asyncio.to_thread(self._read, source, known)
            if result is not None:
                yield result

    # The rest runs in a thread.

    def _discover(self) -> Iterator[_Source | Refused]:
        root, files = find_files(self._path, is_wanted=_is_candidate, connector=self._name)
        names = {file: file.relative_to(root).as_posix() for file in files}
        by_delivery: dict[str, list[Manifest]] = {}
        found: dict[str, _Source | Refused] = {}
        for file in files:
            if is_manifest(file):
                try:
                    manifest = read_manifest(file, names[file])
                except NotABillError as error:
                    found[names[file]] = self._refused(names[file], error)
                else:
                    by_delivery.setdefault(manifest.delivery, []).append(manifest)
        spoken_for: set[Path] = set()
        folders: set[Path] = set()
        for delivery, manifests in by_delivery.items():
            for manifest in manifests:
                spoken_for.update(locate(manifest, root)[0])
                folders.update(folder for folder in territory(manifest) if folder != root)
            found[delivery] = self._of_manifest(delivery, latest(manifests), root, names)
        for file in files:
            if not is_manifest(file) and file not in spoken_for and folders.isdisjoint(file.parents):
                found[names[file]] = _Source(name=names[file], manifest=None, files=(file,))
        for _, source in sorted(found.items()):
            yield source

    def _of_manifest(
        self, delivery: str, manifest: Manifest, root: Path, names: Mapping[Path, str]
    ) -> _Source | Refused:
        files, missing = locate(manifest, root)
        if missing:
            name = names.get(manifest.path, manifest.path.name)
            listed = f"all {len(manifest.keys)} files it lists"
            return self._refused(delivery, NotABillError(name, listed, f"no {', '.join(missing[:3])}"))
        return _Source(name=delivery, manifest=manifest.path, files=tuple(files))

    def _read(self, source: _Source, known: Mapping[str, str]) -> Delivery | Unchanged | Refused | None:
        origin = self._origin(source.name)
        try:
            fingerprint = self._fingerprint(source)
            if known.get(origin) == fingerprint:
                return Unchanged(origin=origin)
            delivery = self._deliver(origin, source, fingerprint)
            if self._fingerprint(source) != fingerprint:
                raise NotABillError(
                    source.name, "a file at rest", "that it changed while it was read; the next poll reads it again"
                )
            return delivery
        except OtherDatasetError as error:
            # In a folder of exports it stands beside the charges and is no mistake.
            return None if self._path.is_dir() else self._refused(source.name, error)
        except UnreadableFileError as error:
            return self._refused(source.name, error)
        except FileNotFoundError as error:
            gone = NotABillError(source.name, "the file to be there", f"that {error.filename} is gone")
            return self._refused(source.name, gone)
        except OSError as error:
            # One file's permissions, a bad block: the others are read, and this one again with the next poll.
            found = error.strerror or str(error)
            return self._refused(source.name, NotABillError(source.name, "a file that can be read", found))

    def _deliver(self, origin: str, source: _Source, fingerprint: str) -> Delivery:
        revision = max(file.stat().st_mtime_ns for file in source.all_files()) // 1_000_000
        aggregate = Aggregate(Splitter(self._rules, self._tenant))
        bad: list[BadRecord] = []
        rows = 0
        for file in source.files:
            label = source.name if source.manifest is None else file.name
            with open_table(file, label) as table:
                for row in self._charges(table):
                    rows += 1
                    if isinstance(row, Charge):
                        aggregate.add(row)
                    elif row is not None:
                        bad.append(self._bad_row(label, row))
                        if len(bad) > BAD_ROWS_BEFORE_REFUSAL and len(bad) * 2 > rows:
                            expected = f"rows of a {self._kind} file"
                            raise NotABillError(
                                label, expected, f"mostly rows that are none, such as: {bad[0].message}"
                            )
        facts: list[Fact] = []
        for item in aggregate.facts(origin=origin, revision=revision):
            if isinstance(item, Fact):
                facts.append(item)
            else:
                bad.append(self._overflow(source.name, item))
        return Delivery(
            origin=origin,
            revision=revision,
            facts=tuple(facts),
            complete_until=aggregate.complete_until,
            bad=tuple(bad),
            rows=rows,
            fingerprint=fingerprint,
        )

    def _charges(self, table: Table) -> Iterator[Charge | BadRow | None]:
        reader = FocusReader(table) if self._kind is BillKind.FOCUS else CurReader(table)
        return reader.charges()

    def _fingerprint(self, source: _Source) -> str:
        """Content, rules and reading version; names and times do not count."""
        digest = hashlib.sha256()
        digest.update(_RULES_ENCODER.encode((READING_VERSION, self._kind, self._tenant, self._rules)))
        for file in source.all_files():
            digest.update(self._digest(file))
        return digest.hexdigest()

    def _digest(self, file: Path) -> bytes:
        """SHA-256 of a file, calculated again only when its size, time or inode changed: polling stays cheap."""
        stat = file.stat()
        state = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
        seen = self._digests.get(file)
        if seen is not None and seen[0] == state:
            return seen[1]
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
        self._digests[file] = (state, digest)
        return digest

    def _origin(self, name: str) -> str:
        return clip(f"{self._name}:{name}", MAX_TEXT)

    def _refused(self, name: str, error: UnreadableFileError) -> Refused:
        return Refused(origin=self._origin(name), path=error.path, expected=error.expected, found=error.found)

    def _bad_row(self, label: str, row: BadRow) -> BadRecord:
        place = f"{label}:{row.line}"
        return BadRecord(
            source=self._name,
            place=place,
            field=row.field,
            reason=row.reason,
            message=f"{row.message} at {place}",
            raw=row.raw[:MAX_RAW_BYTES],
        )

    def _overflow(self, label: str, overflow: Overflow) -> BadRecord:
        return BadRecord(
            source=self._name,
            place=label,
            field=self._rules.metric,
            reason=BadReason.OUT_OF_RANGE,
            message=(
                f"expected the rows of one bucket to add up to an amount within +-1E+12, got {overflow.value:.6E} "
                f"for {overflow.series} at {overflow.charge_period_start} in {label}"
            ),
            raw=overflow.series.encode(),
        )


def _is_candidate(file: Path) -> bool:
    return is_manifest(file) or file.name.casefold().endswith(_SUFFIXES)
