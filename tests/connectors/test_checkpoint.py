import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.checkpoint import BucketKey, Checkpoint, CheckpointError, Intent
from connectors.facts import Basis

A = BucketKey("default/effective_cost/USD/1d/tag:team=a", "2024-09-01T00:00:00Z", Basis.BILLED)
B = BucketKey("default/effective_cost/USD/1d/tag:team=b", "2024-09-01T00:00:00Z", Basis.BILLED)


def intend(checkpoint: Checkpoint, fingerprint: str, revision: int, *buckets: BucketKey) -> Intent:
    return checkpoint.intend("bills", "bills:a", fingerprint=fingerprint, revision=revision, buckets=buckets)


def test_a_new_origin_takes_the_revision_of_its_source(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        assert intend(checkpoint, "one", 500, A) == Intent(revision=500, retract=())


def test_the_same_content_tried_again_keeps_its_revision(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        intend(checkpoint, "one", 500, A)
        assert intend(checkpoint, "one", 900, A).revision == 500


@pytest.mark.parametrize(("offered", "used"), [(400, 501), (500, 501), (501, 501), (800, 800)])
def test_other_content_gets_a_higher_revision(tmp_path: Path, offered: int, used: int) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        intend(checkpoint, "one", 500, A)
        assert intend(checkpoint, "two", offered, A).revision == used


def test_only_what_was_confirmed_is_known(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        intent = intend(checkpoint, "one", 1, A)
        assert checkpoint.known("bills") == {}
        checkpoint.confirm("bills", "bills:a", intent, complete_until="2024-10-01T00:00:00Z")
        assert checkpoint.known("bills") == {"bills:a": "one"}
        assert checkpoint.known("other") == {}
        assert checkpoint.complete_until("bills") == ("2024-10-01T00:00:00Z",)
        intend(checkpoint, "two", 2, B)
        assert checkpoint.known("bills") == {}


def test_going_back_to_confirmed_content_is_a_change_until_it_is_confirmed_again(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        checkpoint.confirm("bills", "bills:a", intend(checkpoint, "one", 1), complete_until=None)
        intend(checkpoint, "two", 1, A)  # published in part, then killed
        back = intend(checkpoint, "one", 1)
        assert checkpoint.known("bills") == {}
        assert back == Intent(revision=3, retract=(A,))
        checkpoint.confirm("bills", "bills:a", back, complete_until=None)
        assert checkpoint.known("bills") == {"bills:a": "one"}


def test_a_retraction_stays_due_until_it_is_confirmed(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as checkpoint:
        checkpoint.confirm("bills", "bills:a", intend(checkpoint, "one", 1, A, B), complete_until=None)
        assert intend(checkpoint, "two", 2, B).retract == (A,)
        second = intend(checkpoint, "three", 3, B)
        assert second.retract == (A,)
        checkpoint.confirm("bills", "bills:a", second, complete_until=None)
        assert intend(checkpoint, "four", 4, B).retract == ()


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "folder" / "c.db") as checkpoint:
        checkpoint.save_cursor("meter", "17")
        checkpoint.save_watermark("meter", "2024-09-02T00:00:00Z")
        checkpoint.save_cursor("meter", "18")
    with Checkpoint(tmp_path / "folder" / "c.db") as checkpoint:
        assert checkpoint.cursor("meter") == "18"
        assert checkpoint.watermark("meter") == "2024-09-02T00:00:00Z"
        assert checkpoint.cursor("other") is None


def test_an_intent_survives_kill_9(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.connectors.test_checkpoint import A, B, intend; from connectors.checkpoint import Checkpoint\n"
        "intend(Checkpoint(Path(sys.argv[1])), 'one', 1, A, B); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "c.db"
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", script, str(path)], check=False, cwd=root, env=os.environ)
    assert ended.returncode == -signal.SIGKILL
    with Checkpoint(path) as checkpoint:
        assert intend(checkpoint, "two", 2).retract == (A, B)


def test_another_broker_has_seen_nothing(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db", target="one:9092/spendwatch") as checkpoint:
        checkpoint.confirm("bills", "bills:a", intend(checkpoint, "one", 1, A), complete_until=None)
        checkpoint.save_cursor("meter", "5")
    with Checkpoint(tmp_path / "c.db", target="two:9092/spendwatch") as checkpoint:
        assert checkpoint.known("bills") == {}
        assert checkpoint.cursor("meter") is None
        assert intend(checkpoint, "two", 2).retract == ()


def test_two_processes_may_share_the_file(tmp_path: Path) -> None:
    with Checkpoint(tmp_path / "c.db") as one, Checkpoint(tmp_path / "c.db") as two:
        one.save_cursor("a", "1")
        two.save_cursor("b", "2")
        assert (one.cursor("b"), two.cursor("a")) == ("2", "1")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"timestamp,value\n" * 100)
    with pytest.raises(
        CheckpointError, match=r"c\.db: expected a checkpoint of version 1, found file is not a database"
    ):
        Checkpoint(path)


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with Checkpoint(path) as checkpoint:
        checkpoint._db.execute("PRAGMA user_version = 2")
    with pytest.raises(CheckpointError, match="found version 2; move the file away"):
        Checkpoint(path)
