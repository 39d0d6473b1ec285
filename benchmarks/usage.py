"""What a process has used so far, as the kernel says. Linux only."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """at: monotonic seconds, the same clock for all processes. cpu_seconds: user and system, of all its threads.

    rss_mb, peak_rss_mb: in MiB. The peak is since the program was executed, without that of whoever started it, which
    getrusage would count in.
    """

    at: float
    cpu_seconds: float
    rss_mb: float
    peak_rss_mb: float

    @classmethod
    def of(cls, pid: int | None = None) -> Self:
        """pid: None for this process. Raises OSError when it has ended."""
        folder = Path("/proc/self" if pid is None else f"/proc/{pid}")
        at = time.monotonic()
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        return cls(
            at=at,
            cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
            rss_mb=int(status["VmRSS"].split()[0]) / 1024,
            peak_rss_mb=int(status["VmHWM"].split()[0]) / 1024,
        )
