"""A laptop that pulls tables of which each row says how often its file was written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb

from tests import measured
from tests.journeys.installation import ROOT


class Laptop:
    """A workspace of an analyst."""

    def __init__(self, folder: Path, *, token: str) -> None:
        self.folder = folder
        (folder / ".claude").mkdir(parents=True)
        (folder / ".claude" / "init-complete").write_text("{}")
        self.environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT),
            "AGNES_CONFIG_DIR": str(folder / "config"), "AGNES_TOKEN": token,
            "AGNES_PULL_PARALLELISM": "1", **measured.ENVIRONMENT,
        }  # fmt: skip

    def pull(self, server: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from analyst_cli.main import main; main()", "pull", "--json"],
            cwd=self.folder, env={**self.environment, "AGNES_SERVER": server},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def shown(self) -> dict[str, list[tuple[int, int]]]:
        """Return of each table which writings its rows are of, and how many each has."""
        database = self.folder / "user" / "duckdb" / "analytics.duckdb"
        with duckdb.connect(str(database), read_only=True) as connection:
            names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
            return {
                name: connection.execute(
                    f"SELECT writing, count(*) FROM {name} GROUP BY ALL ORDER BY ALL"
                ).fetchall()
                for name in names
            }
