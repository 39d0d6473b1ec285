"""What is judged: one metric of one tag value (or service, account, region ...) per charge period.

A series' canonical text is its Kafka key, so that every fact of a series meets in one partition:

    default/effective_cost/USD/1d/tag:team=search
    tenant  metric         unit grain dimension=value

The value stands last and is taken as it is, so tag values need no escaping.
"""

import re
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

_NAME = re.compile(r"[A-Za-z0-9_.:\-]{1,64}")
_MAX_TEXT = 512

TOTAL = "total"
"""Dimension of the series that sums a whole tenant; its value is empty."""
OTHER = "__other__"
"""Value of the series that takes what exceeds the cap on new values of one dimension."""
UNTAGGED = "__untagged__"
"""Value of the series that takes what carries no value for a tag."""


class Grain(StrEnum):
    """Width of a bucket. Days are UTC days, as FOCUS's charge periods are."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        return _SECONDS[self]


_SECONDS = {Grain.MINUTE: 60, Grain.FIVE_MINUTES: 300, Grain.HOUR: 3600, Grain.DAY: 86400}


class SeriesKeyError(ValueError):
    """A text that is not a series key; the message says which part is wrong."""


class SeriesKey(Struct, frozen=True, kw_only=True):
    """The identity of a series.

    metric: `billed_cost`, `effective_cost` (money) or a usage metric such as `cpu_utilization`.
    unit: ISO 4217 code of the billing currency, or the unit of a usage metric. Part of the identity, so that
        amounts of two currencies are never added; a source that changes its currency begins another series.
    dimension: `tag:<key>`, a FOCUS column in snake case (`service_name`, `sub_account_id`, ...) or `total`.
    """

    tenant: str = "default"
    metric: str
    unit: str
    grain: Grain
    dimension: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.tenant}/{self.metric}/{self.unit}/{self.grain.value}/{self.dimension}={self.value}"

    @property
    def label(self) -> tuple[str, str]:
        """Name and value as people say them: ("team", "search") for `tag:team=search`."""
        return self.dimension.removeprefix("tag:"), self.value

    @classmethod
    def parse(cls, text: str) -> "SeriesKey":
        """Raises SeriesKeyError for anything `__str__` would not have written."""
        if len(text) > _MAX_TEXT:
            raise SeriesKeyError(f"a series key has at most {_MAX_TEXT} characters, got {len(text)}")
        head, equals, value = text.partition("=")
        tenant, metric, unit, grain, dimension = _parse_head(head)
        if not equals:
            raise SeriesKeyError(f"expected dimension=value, got {dimension!r}")
        return cls(tenant=tenant, metric=metric, unit=unit, grain=grain, dimension=dimension, value=value)


@lru_cache(maxsize=4096)
def _parse_head(head: str) -> tuple[str, str, str, Grain, str]:
    """All that stands before the value: a few texts, which a million series repeat. Raises SeriesKeyError."""
    parts = head.split("/", 4)
    if len(parts) != 5:
        raise SeriesKeyError(f"expected tenant/metric/unit/grain/dimension=value, got {head!r}")
    tenant, metric, unit, grain_text, dimension = parts
    for what, part in (("tenant", tenant), ("metric", metric), ("unit", unit)):
        if not _NAME.fullmatch(part):
            raise SeriesKeyError(f"{what} must match {_NAME.pattern}, got {part!r}")
    try:
        grain = Grain(grain_text)
    except ValueError:
        raise SeriesKeyError(f"grain must be one of {', '.join(Grain)}, got {grain_text!r}") from None
    if not dimension:
        raise SeriesKeyError(f"expected dimension=value, got {head!r}")
    return tenant, metric, unit, grain, dimension
