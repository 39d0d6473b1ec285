"""A PostgreSQL cluster of its own. The server refuses to run as root."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from realservices.process import LOOPBACK, ServicesError, Started, free_ports, launch, need, run


def user() -> str | None:
    """Whom it runs as; None is the caller."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise ServicesError("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def start(*, data: Path, log: Path) -> Started:
    (port,) = free_ports(1)
    runs_as = user()
    password = secrets.token_hex(16)
    password_file = data / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if runs_as is not None:
        for path in (data, password_file):
            shutil.chown(path, runs_as)
    cluster = data / "cluster"
    initdb = [need("initdb"), f"--pgdata={cluster}", "--username=spendwatch", f"--pwfile={password_file}"]
    run([*initdb, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"], user=runs_as)
    # No Unix socket: its path may be too long. No fsync: the data is thrown away.
    settings = {"listen_addresses": LOOPBACK, "port": str(port), "unix_socket_directories": "", "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [need("postgres"), "-D", str(cluster), *options]
    ready = [need("pg_isready"), "--quiet", f"--host={LOOPBACK}", f"--port={port}"]
    address = f"{LOOPBACK}:{port}/postgres"
    return Started(
        # SIGINT is its fast shutdown: it does not wait for clients.
        process=launch("postgres", command, log=log, stop_signal=signal.SIGINT, user=runs_as),
        environment={"SPENDWATCH_TEST_POSTGRES": f"postgresql+asyncpg://spendwatch:{password}@{address}"},
        answers=lambda: subprocess.run(ready, check=False, stdin=subprocess.DEVNULL).returncode == 0,
    )
