"""Which events a series has counted already.

64 bits of each id are kept, in order of arrival: at least the last KEPT_IDS // 2 of a series, at most KEPT_IDS.
A repetition that comes later than that counts again; `EngineStats.forgotten_ids` says how many ids are exposed to it.
With n ids kept, a new event is taken for a repetition with probability n / 2**64: below 1e-15.
"""

from hashlib import blake2b

KEPT_IDS = 4096
ID_BYTES = 8


def digest_of(origin: str, event_id: str) -> bytes:
    """Two origins may number their events alike, so the origin is part of it; neither may hold the separator."""
    return blake2b(f"{origin}\n{event_id}".encode(), digest_size=ID_BYTES).digest()


def forget_older_half(seen: set[bytes], log: bytearray) -> int:
    """Keep memory within bounds; returns how many ids were forgotten."""
    half = len(log) // (2 * ID_BYTES)
    for position in range(0, half * ID_BYTES, ID_BYTES):
        seen.discard(bytes(log[position : position + ID_BYTES]))
    del log[: half * ID_BYTES]
    return half


def restore_ids(log: bytes) -> set[bytes]:
    return {log[position : position + ID_BYTES] for position in range(0, len(log), ID_BYTES)}
