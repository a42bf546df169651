"""Where the figures come from: the machine, the versions, and what else it was doing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from tests.journeys.installation import ROOT

_PACKAGES = ("duckdb", "pyarrow", "django", "gunicorn", "celery")


def facts() -> dict[str, str]:
    """Return what a reader must know to compare the figures with others."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kernel = platform.release().partition("-")[0]
    is_embedded = not os.environ.get("DATABASE_URL")
    return {
        "Machine": f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.machine()}",
        "System": f"{platform.system()} {kernel}, Python {platform.python_version()}",
        "Packages": packages,
        "Database": f"SQLite {sqlite3.sqlite_version}" if is_embedded else "PostgreSQL and Redis",
        "Code": _commit(),
    }


def busy_share(seconds: float = 1.0) -> float:
    """Return how much of the processors others use just now, between 0 and 1."""
    before = _processor_times()
    time.sleep(seconds)
    after = _processor_times()
    passed = [now - then for now, then in zip(after, before, strict=True)]
    idle = passed[3] + passed[4]  # idle, and waiting for a disk
    return 1 - idle / max(sum(passed), 1)


def _processor_times() -> list[int]:
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    return [int(word) for word in first.split()[1:9]]


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown"
    done = subprocess.run(
        ["git", "log", "-1", "--format=%h of %cs"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "unknown"
