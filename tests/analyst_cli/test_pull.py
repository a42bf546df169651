"""What `agnes pull` leaves in a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("signed_in", "workspace")


def snapshot(workspace: Path) -> dict[str, bytes]:
    """Return the visible files below the folder of pulled files."""
    folder = workspace / "server" / "parquet"
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class TestPull:
    def test_brings_every_table(self, agnes, rows, workspace, server):
        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert snapshot(workspace) == {
            "orders.parquet": server.tables["orders"].parts[0].content,
            "customers.parquet": server.tables["customers"].parts[0].content,
        }
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert rows("DESCRIBE orders")[0][0] == "id"

    def test_reports_as_json(self, agnes):
        first = json.loads(agnes("pull", "--json").stdout)
        second = json.loads(agnes("pull", "--json").stdout)

        assert first["tables_updated"] == 2
        assert first["parquets_total"] == 2
        assert first["rows_total"] == 5
        assert first["bytes_downloaded"] > 0
        assert not first["not_modified"]
        assert second == first | {
            "tables_updated": 0, "bytes_downloaded": 0, "not_modified": True,
            "duration_s": second["duration_s"],
        }  # fmt: skip
