"""A Redis without persistence."""

from pathlib import Path

from realservices.process import LOOPBACK, Started, exchange, free_ports, launch, need


def start(*, data: Path, log: Path) -> Started:
    (port,) = free_ports(1)
    options = ["--bind", LOOPBACK, "--port", str(port), "--dir", str(data), "--save", "", "--appendonly", "no"]
    return Started(
        process=launch("redis", [need("redis-server"), *options], log=log),
        environment={"SPENDWATCH_TEST_REDIS": f"redis://{LOOPBACK}:{port}/0"},
        answers=lambda: exchange(port, b"PING\r\n").startswith(b"+PONG"),
    )
