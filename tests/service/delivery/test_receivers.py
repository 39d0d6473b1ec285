"""Every receiver keeps its contracts."""

import pytest

from tests.contracts.receiver import ReceiverContract, TicketContract, WordedContract
from tests.remotes.kinds import KINDS, TICKETS, WORDED, Kind


def name(kind: Kind) -> str:
    return kind.name


@pytest.mark.parametrize("kind", KINDS, ids=name)
class TestReceivers(ReceiverContract):
    pass


@pytest.mark.parametrize("kind", TICKETS, ids=name)
class TestTickets(TicketContract):
    pass


@pytest.mark.parametrize("kind", WORDED, ids=name)
class TestWorded(WordedContract):
    pass
