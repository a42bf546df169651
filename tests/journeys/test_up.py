"""`manage.py up`: alone on its data, and nothing goes on without it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.installation import ROOT, Installation, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation without users, of which nothing runs yet."""
    made = Installation(tmp_path, with_admin=False)
    yield made
    made.stop()


def started_by(leader: int) -> set[int]:
    """The processes of the session that a process began, without itself."""
    return {pid for pid in map(int, _running()) if pid != leader and _session_of(pid) == leader}


def _running() -> Iterator[str]:
    return (path.name for path in Path("/proc").iterdir() if path.name.isdigit())


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def test_a_second_one_is_refused_and_told_of_the_first(installation):
    first = installation.start_up()
    # What a terminal says when it is closed: everything is started anew, and nothing is given up.
    before = started_by(first.pid)
    first.send_signal(signal.SIGHUP)
    wait_until(lambda: not before & started_by(first.pid), seconds=120)

    second = subprocess.run(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=installation.environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    first.terminate()
    first.wait(timeout=120)
    assert second.returncode == 1
    assert f"already, as process {first.pid}." in second.stderr


def test_what_it_started_ends_with_it_also_when_it_is_killed(installation):
    killed = installation.start_up()
    assert len(started_by(killed.pid)) >= 3

    killed.kill()
    killed.wait()

    wait_until(lambda: not started_by(killed.pid), seconds=120)
    following = installation.start_up()
    following.terminate()
    following.wait(timeout=120)
