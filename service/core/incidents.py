"""Which open alerts are the same money, and which one of them people should be told of: the head.

A runaway machine shows in its team, project, customer, service, account and the total at once. Two alerts are the same
money if they are of one tenant, metric and unit, go the same way, meet in time, and one shows most of the change of the
other (stakes.overlap): a resource that both name; a service or account that the drivers of the other lie in; the total,
which holds everything. Two values of one tag never are. Heads are found in three steps:

1. Whoever has been told of stays a head while it is open.
2. A change spread over many (the price of a service, felt by twelve teams) has the whole for its head: more than FEW of
   one dimension take part in it, or they explain less than MOST of it, and none moved more than the whole did. Where
   few explain it, the parts that somebody owns are the heads.
3. All others in the order of preference, tags first and the total last: what the heads so far explain is inhibited by
   the one that explains most; what they do not is a head. The total stays silent if without the heads it would have
   stayed within its bounds, or nearly.

An alert is only ever inhibited by a head that has money in common with it, so two incidents that meet in a third alert
stay two. Pure; the answer does not depend on the order of the alerts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from service.core.alerts import Alert
from service.core.kinship import Kinship
from service.core.stakes import Family, Stake, begin_together, follows, overlap, stake_of
from service.core.wording import amount, who

HALF = 0.5
"""`most of the change`: of one alert, by another."""
MOST = 0.8
"""So much of a change must be explained by several together."""
FEW = 3
HINT = 0.25
_TIPS = 0.3
"""What explains so much, and without which the alert would have stayed within its bounds, explains it."""


def heads(
    open_alerts: Sequence[Alert],
    *,
    told: Collection[str],
    order: Sequence[str],
    inhibited: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Alert id -> id of the head it is the same money as; heads themselves are absent.

    told: ids of alerts that people have heard of as heads. order: split.tags, then split.dimensions; what is not
    listed comes after them, the total last. inhibited: what was answered before for alerts nobody was told of. It holds
    while that head is told and open, whatever later buckets show, but for the total, which has to be accounted for anew
    each time. Alerts that are over may be among them, to inhibit what outlasts them.
    """
    ranks = {name.removeprefix("tag:"): place for place, name in reversed(list(enumerate(order)))}
    families: dict[Family, list[Stake]] = defaultdict(list)
    for alert in open_alerts:
        stake = stake_of(alert, ranks)
        families[stake.family].append(stake)
    known = frozenset(told)
    found: dict[str, str] = {}
    for stakes in families.values():
        if len(stakes) > 1:
            found.update(_Choice(stakes, known, inhibited).made())
    return found


def member_text(alert: Alert) -> str:
    """One line for the message of the head it is the same money as: `project=ranker +412.10 USD`."""
    subject = "".join(letter if letter.isprintable() else " " for letter in who(alert.series))
    return f"{subject} {amount(alert.impact, alert.unit, signed=True)}"


class _Choice:
    """Among the alerts of one family."""

    def __init__(self, stakes: Iterable[Stake], told: Collection[str], inhibited: Mapping[str, str]) -> None:
        self._stakes = sorted(stakes, key=lambda stake: stake.key)
        self._kin = Kinship(self._stakes)
        self._heads: dict[str, Stake] = {stake.id: stake for stake in self._stakes if stake.id in told}
        self._of = {
            stake.id: inhibited[stake.id]
            for stake in self._stakes
            if not stake.is_total and stake.id not in self._heads and inhibited.get(stake.id) in self._heads
        }

    def made(self) -> Mapping[str, str]:
        for whole in self._spread():
            self._decide(whole)
        for stake in self._stakes:
            self._decide(stake)
        return self._of

    def _decide(self, stake: Stake) -> None:
        if stake.id in self._heads or stake.id in self._of:
            return
        head = self._head_of(stake)
        if head is None:
            self._heads[stake.id] = stake
        else:
            self._of[stake.id] = head.id

    def _head_of(self, stake: Stake) -> Stake | None:
        """The head that explains most of *stake*, if heads explain it."""
        explained: list[tuple[float, Stake]] = []
        for head in self._kin.of(stake):
            if head.id in self._heads:
                money = overlap(head, stake)
                if money > 0 and _speaks_for(head, stake, money):
                    explained.append((money, head))
        if not explained:
            return None
        most, head = min(explained, key=lambda entry: (-entry[0], entry[1].key))
        if stake.is_total and not head.is_total:
            together = sum(money for money, _ in explained)
            is_accounted_for = together >= HALF * stake.net and stake.net - together <= stake.enough
            return head if is_accounted_for or together >= MOST * stake.net else None
        if most >= HALF * stake.moved or (most >= _TIPS * stake.moved and stake.net - most <= stake.enough):
            return head
        together = sum(money for money, _ in explained)
        return head if together >= MOST * stake.moved or _is_echo(stake, head, together) else None

    def _spread(self) -> list[Stake]:
        """The wholes whose change is spread over many, but those that are part of a wider one."""
        parts = {whole.id: self._parts(whole) for whole in self._stakes}
        spread = {whole.id: whole for whole in self._stakes if _is_spread(whole, parts[whole.id])}
        return [
            whole
            for whole in spread.values()
            if not any(wider.id in spread and _takes_part(whole, wider) for wider in self._kin.of(whole))
        ]

    def _parts(self, whole: Stake) -> list[tuple[float, Stake]]:
        """What is preferred to *whole* and of which it shows most, with the money in common."""
        found = []
        for part in self._kin.of(whole):
            if part.rank < whole.rank:
                money = overlap(whole, part)
                if money >= HALF * part.moved:
                    found.append((money, part))
        return found


def _speaks_for(head: Stake, stake: Stake, money: float) -> bool:
    """A head that is preferred does; one that is not, if it is the same or the other only takes part in it. What begins
    later under a service or a total that was told of is news."""
    if head.rank <= stake.rank:
        return True
    together = begin_together(stake, head)
    is_same = money >= HALF * head.moved
    return (is_same and (together or head.is_owned)) or (together and follows(stake, head))


def _is_echo(stake: Stake, head: Stake, explained: float) -> bool:
    """Whether a service or account, with few named drivers, moved as a head in it did and names no other cause."""
    other_causes = sum(stake.drivers.values()) - explained
    return not stake.is_owned and explained >= HINT * stake.moved and other_causes < HALF * stake.moved


def _is_spread(whole: Stake, parts: Sequence[tuple[float, Stake]]) -> bool:
    taking: dict[str, list[float]] = defaultdict(list)
    alone: dict[str, float] = defaultdict(float)
    for money, part in parts:
        if overlap(part, whole) >= HALF * whole.moved:
            return False
        if begin_together(part, whole) and follows(part, whole):
            taking[part.dimension].append(money)
        else:
            alone[part.dimension] += money
    if any(money >= HALF * whole.moved for money in alone.values()):
        return False
    return any(len(moneys) > FEW for moneys in taking.values()) or (
        bool(taking) and all(sum(moneys) + alone[name] < MOST * whole.moved for name, moneys in taking.items())
    )


def _takes_part(part: Stake, whole: Stake) -> bool:
    money = overlap(whole, part)
    return HALF * part.moved <= money and overlap(part, whole) < HALF * whole.moved and follows(part, whole)
