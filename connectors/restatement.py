"""What a delivery restates: the buckets it sets, and those a later revision takes back. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from connectors.checkpoint import BucketKey
from connectors.connector import Delivery
from connectors.errors import ConnectorError
from connectors.facts import Fact, Fold, format_instant
from connectors.instants import parse_instant
from connectors.series import SeriesKey


class DeliveryError(ConnectorError):
    """A connector broke its contract; a fault of ours, nothing of the delivery was published."""

    exit_code = 70

    def __init__(self, origin: str, message: str) -> None:
        super().__init__(f"delivery of {origin!r}: {message}")
        self.origin = origin


def buckets_of(delivery: Delivery, connector: str) -> list[BucketKey]:
    """The buckets a delivery sets, checked against the promises of connectors/connector.py."""
    if not delivery.origin.startswith(f"{connector}:"):
        raise DeliveryError(delivery.origin, f"the origin must begin with {connector + ':'!r}")
    buckets: set[BucketKey] = set()
    for fact in delivery.facts:
        if fact.origin != delivery.origin:
            raise DeliveryError(delivery.origin, f"a fact of series {fact.series!r} has the origin {fact.origin!r}")
        if fact.fold is not Fold.SET:
            continue  # events are told apart by their ids and never taken back by leaving them out
        try:
            bucket = BucketKey(
                fact.series, _bucket_start(_grain_seconds(fact.series), fact.charge_period_start), fact.basis
            )
        except ValueError as error:
            raise DeliveryError(delivery.origin, f"series {fact.series!r}: {error}") from error
        if bucket in buckets:
            raise DeliveryError(
                delivery.origin, f"two facts set series {fact.series!r} in the bucket of {bucket.start}"
            )
        buckets.add(bucket)
    return sorted(buckets)


def with_revision(facts: Sequence[Fact], revision: int) -> list[Fact]:
    return [fact if fact.revision == revision else msgspec.structs.replace(fact, revision=revision) for fact in facts]


def retraction(origin: str, bucket: BucketKey, revision: int) -> Fact:
    """Take back what an earlier revision said and this one no longer mentions."""
    return Fact(
        series=bucket.series,
        charge_period_start=bucket.start,
        value=0.0,
        origin=origin,
        revision=revision,
        basis=bucket.basis,
    )


@lru_cache(maxsize=65536)
def _grain_seconds(series: str) -> int:
    return SeriesKey.parse(series).grain.seconds


@lru_cache(maxsize=65536)
def _bucket_start(seconds: int, instant: str) -> str:
    """A fact may name any instant of its bucket; a bucket is remembered by its first."""
    at = int(instant_of(instant).timestamp())
    return format_instant(datetime.fromtimestamp(at - at % seconds, UTC))


@lru_cache(maxsize=65536)
def instant_of(text: str) -> datetime:
    """An instant as facts carry it, remembered. Raises InstantError, a ValueError."""
    return parse_instant(text)
