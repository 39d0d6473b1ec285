"""`spendwatch connect --once` as a process, against the embedded broker."""

import asyncio
import sys
from pathlib import Path

import pytest

from service.embedded import EmbeddedBroker
from tests.connectors.bills import focus_row, write_csv

CONFIG = """
kafka: {{bootstrap_servers: "{servers}"}}
connect: {{checkpoint_path: {folder}/checkpoint.db}}
connectors:
  - {{type: focus, name: empty, path: "{folder}/exports/*.csv"}}
  - {{type: focus, name: gone, path: "{folder}/gone.csv"}}
  - {{type: focus, name: bills, path: "{folder}/bill.csv"}}
"""


async def connect_once(config: Path, name: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", "connect", *([name] if name else []), "--once", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode()


@pytest.mark.embedded
async def test_a_connector_without_files_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    write_csv(tmp_path / "bill.csv", [focus_row()])
    config = tmp_path / "spendwatch.yaml"
    async with EmbeddedBroker() as broker:
        config.write_text(CONFIG.format(servers=broker.bootstrap_servers, folder=tmp_path))
        code, output = await connect_once(config, "bills")
        assert (code, "no file" in output) == (0, False), output
        code, output = await connect_once(config, "")
    assert code == 2, output
    assert f"empty: no file matches {tmp_path}/exports/*.csv" in output
    assert f"gone: no file matches {tmp_path}/gone.csv" in output
    assert "Traceback" not in output
    [line] = [line.split() for line in output.splitlines() if line.split()[:1] == ["bills"]]
    assert line[6] == "1"  # unchanged since the first run
