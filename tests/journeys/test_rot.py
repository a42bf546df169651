"""A bit of a stored file turns over: who reads it notices, and it comes back by itself."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.installation import Installation, wait_until
from tests.journeys.laptop import Laptop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.hostile(45)]

ROWS = 2000


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """A server and a worker, with a table that is published."""
    folder = tmp_path / "company"
    folder.mkdir()
    (folder / "orders.csv").write_text("id,writing\n" + "order,1\n" * ROWS)
    found = Installation(tmp_path, like=migrated, AGNES_SCRUB_SECONDS="86400")
    try:
        found.start_web()
        found.start_worker(pool="solo")
        found.add_files_source("shop", folder)
        found.call(
            "POST", "/api/admin/register-table",
            {"name": "orders", "source": "shop", "source_table": "orders.csv"},
        )  # fmt: skip
        (run_id,) = found.extract("orders")
        assert found.finished(run_id)["state"] == "succeeded"
        yield found
    finally:
        found.stop()


def _stored(installation: Installation) -> list[Path]:
    return list((installation.data / "store").rglob("*.parquet"))


def _rot(installation: Installation, *, at: float) -> None:
    """Turn a bit over as a disk does: size and time stay, and every link has it."""
    (path,) = _stored(installation)
    status, content = path.stat(), bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _is_mended(installation: Installation) -> bool:
    waiting = installation.rows(
        "SELECT 1 FROM extracts_run WHERE state IN ('queued', 'running')"
        " UNION ALL SELECT 1 FROM catalog_incident WHERE closed_at IS NULL"
    )
    if waiting:
        return False
    try:
        (stored,) = _stored(installation)
        return hashlib.sha256(stored.read_bytes()).hexdigest() == stored.stem
    except (ValueError, FileNotFoundError):  # it has been set aside and is not yet back
        return False


def _set_aside(installation: Installation) -> int:
    return len(list((installation.data / "quarantine" / "damaged").iterdir()))


def test_is_noticed_by_a_pull_and_by_scrub_and_comes_back(installation, tmp_path):
    first, second, third = (
        Laptop(tmp_path / name, token=installation.token) for name in ("first", "second", "third")
    )
    assert first.pull(installation.url).returncode == 0

    _rot(installation, at=1 / 2)
    refused = second.pull(installation.url)
    wait_until(lambda: _is_mended(installation), seconds=60)

    assert refused.returncode == 1
    assert "is damaged" in refused.stderr
    assert installation.rows(
        "SELECT count(*) FROM access_auditevent WHERE action = 'data.damage_reported'"
    ) == [(1,)]
    assert _set_aside(installation) == 1
    for laptop in (first, second):
        again = laptop.pull(installation.url)
        assert again.returncode == 0, again.stdout + again.stderr
        assert laptop.shown() == {"orders": [(1, ROWS)]}

    _rot(installation, at=1 / 3)
    found = installation.run_manage("scrub")
    wait_until(lambda: _is_mended(installation), seconds=60)
    content = installation.run_manage("scrub")
    pulled = third.pull(installation.url)

    assert found.returncode == 1
    assert "Files of orders are damaged or missing on the server: version 1." in found.stderr
    assert _set_aside(installation) == 2
    assert content.returncode == 0, content.stdout + content.stderr
    assert pulled.returncode == 0, pulled.stdout + pulled.stderr
    assert third.shown() == {"orders": [(1, ROWS)]}
