"""From the connectors of the configuration to connectors that run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import assert_never

from rich.console import Console
from rich.table import Table

from connectors.billing_files import BillingFiles
from connectors.connector import Connector, ContinuousConnector
from connectors.metric_csv import MetricCsvConnector, MetricSeries
from connectors.runner import Schedule, Summary
from connectors.split import SplitRules
from connectors.synthetic import SyntheticConnector, SyntheticOptions
from service import settings as configured
from service.errors import ConfigError
from service.settings import Settings


def chosen(settings: Settings, names: Sequence[str]) -> list[configured.Connector]:
    """The connectors with these names, or all. Raises ConfigError for a name that none has, or without any."""
    if not settings.connectors:
        raise ConfigError("no connectors are configured")
    known = {one.name: one for one in settings.connectors}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"no connector is named {', '.join(unknown)}; configured: {', '.join(known)}")
    return [known[name] for name in names] if names else list(settings.connectors)


def schedule(one: configured.Connector, settings: Settings) -> Schedule:
    poll_seconds = one.poll_seconds if isinstance(one, configured.FileConnector) and not one.once else None
    return Schedule(connector=make(one, settings), poll_seconds=poll_seconds)


def make(one: configured.Connector, settings: Settings) -> Connector | ContinuousConnector:
    match one:
        case configured.FileConnector():
            # A connector without a split of its own follows the general one.
            split = one.split if "split" in one.model_fields_set else settings.split
            rules = SplitRules(**split.model_dump())
            return BillingFiles(name=one.name, path=one.path, kind=one.type, rules=rules, tenant=settings.tenant)
        case configured.MetricsFileConnector():
            series = MetricSeries(
                metric=one.metric, unit=one.unit, grain=one.grain, dimension=one.dimension, tenant=settings.tenant
            )
            return MetricCsvConnector(one.name, one.path, series, speed=one.speed)
        case configured.SyntheticConnector():
            options = synthetic_options(one, settings.tenant)
            return SyntheticConnector(options, speed=one.speed, truth_path=one.truth_path)
        case _:
            assert_never(one)


def missing_files(wanted: Sequence[configured.Connector], settings: Settings) -> dict[str, Path]:
    """Connector -> path, of those whose path names no file at all: most likely a mistake in it. Reads the folders."""
    missing = {}
    for one in wanted:
        if not isinstance(one, configured.SyntheticConnector):
            source = make(one, settings)
            assert isinstance(source, BillingFiles | MetricCsvConnector)
            if not source.has_files():
                missing[one.name] = one.path
    return missing


def synthetic_options(one: configured.SyntheticConnector, tenant: str) -> SyntheticOptions:
    return SyntheticOptions(
        name=one.name,
        seed=one.seed,
        tags=one.tags,
        history_days=one.history_days,
        days=one.days,
        grain=one.grain,
        tenant=tenant,
    )


def print_summary(summaries: Sequence[Summary], missing: Mapping[str, Path], console: Console) -> None:
    """What `connect --once` says when it is done: counts, then each file that is not what it claims to be or not there.

    missing: of `missing_files`.
    """
    table = Table("connector", box=None)
    counts = ("rows", "facts", "series", "bad rows", "deliveries", "unchanged", "retracted")
    for name in counts:
        table.add_column(name, justify="right")
    for one in summaries:
        numbers = (one.rows, one.facts, len(one.series), one.bad.total(), one.deliveries, one.unchanged, one.retracted)
        table.add_row(one.connector, *(f"{number:,}" for number in numbers))
    console.print(table)
    for name, path in missing.items():
        console.print(f"{name}: no file matches {path}", markup=False, soft_wrap=True)
    for one in summaries:
        for reason, count in sorted(one.bad.items()):
            console.print(f"{one.connector}: {count:,} rows {reason.value}, kept as dead letters", markup=False)
        for refused in one.refused:
            console.print(f"{one.connector}: {refused}", markup=False)
