"""What has to be installed: on Debian, and as root, it is."""

import os
import shutil
from collections.abc import Iterable

from realservices.process import ServicesError, find, run, say

DEBIAN_PACKAGES = {
    "java": "default-jre-headless",
    "mvn": "maven",
    "redis-server": "redis-server",
    "postgres": "postgresql",
}


def install_missing(programs: Iterable[str] = tuple(DEBIAN_PACKAGES)) -> None:
    """Raises ServicesError naming the packages when they cannot be installed."""
    missing = [DEBIAN_PACKAGES[program] for program in programs if find(program) is None]
    if not missing:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise ServicesError(f"missing: {', '.join(missing)} (Debian's package names); install them and start again")
    say(f"installing {' '.join(missing)}")
    # RUNLEVEL=1 keeps the packages from starting services of their own on the default ports.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    options = ["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=3"]
    run([apt, *options, "update"], environment=environment)
    run([apt, *options, "install", "--no-install-recommends", *missing], environment=environment)
    if still := [program for program in programs if find(program) is None]:
        raise ServicesError(f"still missing after apt-get: {', '.join(still)}")
