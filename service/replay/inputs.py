"""Files on the command line -> connectors: those of the configuration where it names the file, else by content."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from connectors.billing_files import BillingFiles
from connectors.cells import CellError, instant
from connectors.connector import Connector, ContinuousConnector, Delivery, Refused, Unchanged
from connectors.manifests import is_manifest
from connectors.metric_csv import MetricCsvConnector, MetricSeries
from connectors.paths import find_files
from connectors.recognise import FileKind, recognise
from connectors.series import Grain
from connectors.split import SplitRules
from connectors.unpacking import lines_of
from service import settings as configured_as
from service.replay.errors import ReplayError
from service.replay.survey import split_for, survey
from service.settings import FileConnector, MetricsFileConnector, Settings, Split
from service.sources import make

_SUFFIXES = (".csv", ".gz", ".zip", ".parquet", ".json", ".jsonl", ".ndjson")
_BILLS = (FileKind.FOCUS, FileKind.CUR)
_LINES_LOOKED_AT = 200


@dataclass(slots=True, kw_only=True)
class Inputs:
    """What is to be replayed. split: how bills without a connector of their own are split; None without such bills."""

    connectors: list[Connector | ContinuousConnector] = field(default_factory=list)
    fact_files: list[Path] = field(default_factory=list)
    split: Split | None = None
    notes: list[str] = field(default_factory=list)


class _Chain:
    """Bills of several files as one source, as if they lay in one folder. A connector."""

    def __init__(self, name: str, parts: Sequence[BillingFiles]) -> None:
        self.name = name
        self._parts = parts

    async def deliveries(self, known: Mapping[str, str]) -> AsyncIterator[Delivery | Unchanged | Refused]:
        for part in self._parts:
            async for delivery in part.deliveries(known):
                yield delivery


def gather(paths: Sequence[Path], settings: Settings, *, configured: bool) -> Inputs:
    """The inputs that *paths* name; all connectors of the configuration without any path.

    configured: *settings* come from a configuration; else tags and grain are looked up in the bills.
    Raises ReplayError and what `recognise` raises.
    """
    inputs = Inputs()
    if not paths:
        if not settings.connectors:
            raise ReplayError("nothing to replay: name files, a --topic, or a configuration with connectors")
        inputs.connectors += [make(_at_once(one), settings) for one in settings.connectors]
        return inputs
    bills: list[tuple[Path, FileKind]] = []
    metrics: list[Path] = []
    for path, file in _expanded(paths):
        own = _configured(settings, file)
        kind = None if own is not None else recognise(file)
        if own is not None:
            inputs.connectors.append(own)
        elif kind is FileKind.FACTS:
            inputs.fact_files.append(file)
        elif kind is FileKind.METRIC_CSV:
            metrics.append(file)
        elif kind is not None and (bill := (_place(path, file), kind)) not in bills:
            bills.append(bill)
    if bills:
        inputs.split = settings.split if configured else _found_split(bills, inputs.notes)
        inputs.connectors += list(_bill_connectors(bills, SplitRules(**inputs.split.model_dump()), settings.tenant))
    for number, file in enumerate(metrics, start=1):
        inputs.connectors.append(_metric_connector(f"metrics-{number}", file, settings.tenant))
    return inputs


def _place(path: Path, file: Path) -> Path:
    """A folder with manifests is read as a whole: they say which of its files count."""
    return path if path.is_dir() and any(map(is_manifest, path.rglob("*"))) else file


def _expanded(paths: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """(as given, file), each file once."""
    seen: set[Path] = set()
    for path in paths:
        try:
            _, files = find_files(path, is_wanted=_is_candidate, connector="replay")
        except FileNotFoundError:
            raise ReplayError(f"{path}: no such file, folder or glob") from None
        except OSError as error:
            raise ReplayError(f"{path}: {error.strerror or error}") from None
        found = [file for file in files if not is_manifest(file)]
        if not found:
            raise ReplayError(f"{path}: no file in it that a connector could read")
        for file in found:
            if file not in seen:
                seen.add(file)
                yield path, file


def _is_candidate(file: Path) -> bool:
    return file.name.casefold().endswith(_SUFFIXES)


def _configured(settings: Settings, file: Path) -> Connector | ContinuousConnector | None:
    """The connector whose path names *file*, reading that file alone, under its own name and split."""
    for one in settings.connectors:
        if isinstance(one, FileConnector | MetricsFileConnector) and _names(one.path, file):
            return make(_at_once(one.model_copy(update={"path": file})), settings)
    return None


def _names(path: Path, file: Path) -> bool:
    try:
        _, files = find_files(path, is_wanted=_is_candidate, connector="replay")
    except OSError:
        return False
    return file.resolve() in {known.resolve() for known in files}


def _at_once(one: configured_as.Connector) -> configured_as.Connector:
    """Without the pace that a recording is played at."""
    if isinstance(one, MetricsFileConnector | configured_as.SyntheticConnector):
        return one.model_copy(update={"speed": None})
    return one


def _found_split(bills: Sequence[tuple[Path, FileKind]], notes: list[str]) -> Split:
    files = [(file, kind) for place, kind in bills for file in _files_of(place)]
    found = survey(files)
    split = split_for(found, Split().tags)
    tags = ", ".join(found.tags()) or "none"
    notes.append(f"{found.charges:,} charges, judged per {_period(split.grain)}; tags found: {tags}")
    return split


def _period(grain: Grain) -> str:
    return "hour" if grain is Grain.HOUR else "day"


def _files_of(place: Path) -> list[Path]:
    return [file for _, file in _expanded([place])]


def _bill_connectors(bills: Sequence[tuple[Path, FileKind]], rules: SplitRules, tenant: str) -> Iterator[Connector]:
    """One source a kind; files of equal names are told apart by a source of their own."""
    for kind in _BILLS:
        chains: list[list[Path]] = []
        for place in (place for place, its_kind in bills if its_kind is kind):
            for chain in chains:
                if all(place.name != known.name for known in chain):
                    chain.append(place)
                    break
            else:
                chains.append([place])
        for number, chain in enumerate(chains, start=1):
            name = kind.value if number == 1 else f"{kind.value}-{number}"
            yield _Chain(
                name, [BillingFiles(name=name, path=place, kind=kind, rules=rules, tenant=tenant) for place in chain]
            )


def _metric_connector(name: str, file: Path, tenant: str) -> MetricCsvConnector:
    return MetricCsvConnector(
        name, file, MetricSeries(metric="value", unit="count", grain=_grain_of(file), tenant=tenant), speed=None
    )


def _grain_of(file: Path) -> Grain:
    """The widest grain that holds no more than one sample, by the commonest step between the first lines."""
    stamps: list[float] = []
    for number, line in lines_of(file):
        if number > _LINES_LOOKED_AT:
            break
        try:
            stamps.append(instant(line.decode(errors="replace").partition(",")[0].strip().strip('"')).timestamp())
        except CellError:
            continue
    steps = Counter(int(after - before) for before, after in pairwise(stamps) if after > before)
    step = steps.most_common(1)[0][0] if steps else 300
    return max(
        (grain for grain in Grain if grain.seconds <= step), key=lambda grain: grain.seconds, default=Grain.MINUTE
    )
