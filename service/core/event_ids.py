"""Which events a series has counted already.

64 bits of each id are kept, in order of arrival: at least the last KEPT_IDS // 2 of a series, at most KEPT_IDS.
A repetition that comes later than that counts again; `EngineStats.forgotten_ids` says how many ids are exposed to it.
With n ids kept, a new event is taken for a repetition with probability n / 2**64: below 1e-15.
"""

from hashlib import blake2b

KEPT_IDS = 4096
ID_BYTES = 8


class EventHash:
    """Digests of the event ids of one origin: two origins may number their events alike.

    A copy of a hash that has taken in the origin already costs half of hashing both anew.
    """

    __slots__ = ("_begun",)

    def __init__(self, origin: str) -> None:
        self._begun = blake2b(f"{origin}\n".encode(), digest_size=ID_BYTES)

    def __call__(self, event_id: str) -> bytes:
        hashed = self._begun.copy()
        hashed.update(event_id.encode())
        return hashed.digest()


def forget_older_half(seen: set[bytes], log: bytearray) -> int:
    """Keep memory within bounds; returns how many ids were forgotten."""
    half = len(log) // (2 * ID_BYTES)
    for position in range(0, half * ID_BYTES, ID_BYTES):
        seen.discard(bytes(log[position : position + ID_BYTES]))
    del log[: half * ID_BYTES]
    return half


def restore_ids(log: bytes) -> set[bytes]:
    return {log[position : position + ID_BYTES] for position in range(0, len(log), ID_BYTES)}
