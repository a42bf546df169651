"""The clock of a laptop is wrong by a year, and put right: nothing is lost, nothing stays old."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.installation import Installation
from tests.journeys.laptop import Laptop

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.hostile(42),
    pytest.mark.skipif(FAKETIME is None, reason="Debian's package faketime is not installed"),
]
ROWS = 100
YEAR = timedelta(days=365)
RIGHT = timedelta()


class LaptopWithClock(Laptop):
    """A laptop whose clock can be set; its files have the times that such a clock gives them."""

    def pull_at(self, server: str, *, off: timedelta) -> dict[str, Any]:
        """Pull while the clock is ``off``, and return what the client says."""
        self._shift(-off)
        self.environment |= {
            "LD_PRELOAD": str(FAKETIME), "FAKETIME": f"{off.total_seconds():+.0f}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        done = self.pull(server)
        # What the process was shown of its files is what a clock like this leaves behind.
        self._shift(off)
        assert done.returncode == 0, done.stdout + done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def pulled_at(self) -> datetime:
        """Return when it has pulled, by its own clock."""
        state = json.loads((self.folder / ".agnes" / "state.json").read_text())
        return datetime.fromisoformat(state["pulled_at"])

    def _shift(self, by: timedelta) -> None:
        for path in self.folder.rglob("*"):
            if not path.is_symlink():
                status = path.stat()
                moved = status.st_mtime_ns + round(by.total_seconds()) * 10**9
                os.utime(path, ns=(status.st_atime_ns, moved))


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """A server and a worker, with a table."""
    (tmp_path / "company").mkdir()
    found = Installation(tmp_path, like=migrated)
    try:
        _write(found, writing=1)
        found.start_web()
        found.start_worker(pool="solo")
        found.add_files_source("shop", tmp_path / "company")
        found.call(
            "POST", "/api/admin/register-table",
            {"name": "orders", "source": "shop", "source_table": "orders.csv"},
        )  # fmt: skip
        yield found
    finally:
        found.stop()


def _write(installation: Installation, *, writing: int) -> None:
    beside = installation.folder / "company" / ".orders"
    beside.write_text("id,writing\n" + f"order,{writing}\n" * ROWS)
    beside.rename(beside.with_name("orders.csv"))


def _publish(installation: Installation, *, writing: int) -> None:
    _write(installation, writing=writing)
    (run_id,) = installation.extract("orders")
    assert installation.finished(run_id)["version"] == writing


def test_every_pull_brings_what_is_new_and_nothing_else(installation, tmp_path):
    laptop = LaptopWithClock(tmp_path / "laptop", token=installation.token)

    for writing, off in enumerate([RIGHT, -YEAR, YEAR, RIGHT], start=1):
        _publish(installation, writing=writing)
        said = laptop.pull_at(installation.url, off=off)
        assert said["bytes_downloaded"] > 0
        assert abs(laptop.pulled_at() - datetime.now(tz=UTC) - off) < timedelta(days=1)
        assert laptop.shown() == {"orders": [(writing, ROWS)]}

        again = laptop.pull_at(installation.url, off=off)
        # The clock is put right, or is wrong in the other way.
        put_right = [laptop.pull_at(installation.url, off=other) for other in (RIGHT, -off)]
        assert [each["bytes_downloaded"] for each in (again, *put_right)] == [0, 0, 0]
        assert laptop.shown() == {"orders": [(writing, ROWS)]}
