"""What docs/connectors.md tells a stranger to do works as it is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.external.connector import ExternalConfig, ExternalConnector, ExternalTable
from extracts.engine.candidate import Candidate
from tests.architecture.conftest import ROOT
from tests.third_party import describe

BLOCKS = re.findall(
    r"^```\w+\n# (\S+)\n(.*?)^```$",
    (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
FILES = dict(BLOCKS)


@pytest.fixture
def extracts(tmp_path: Path) -> Path:
    """The folder of extracts after the program of the page has run."""
    program = tmp_path / "leave_extract.py"
    program.write_text(FILES["leave_extract.py"], encoding="utf-8")
    folder = tmp_path / "extracts"
    for _ in range(2):  # it can be repeated
        subprocess.run(
            [sys.executable, program, folder],
            check=True,
            cwd=tmp_path,
            env={"TZ": "Pacific/Kiritimati"},
        )
    return folder


class TestProgramThatLeavesAnExtract:
    def test_is_a_source_with_its_table(self, extracts):
        config = ExternalConfig(folder=extracts / "shop_export")

        (table,) = ExternalConnector().discover(config, {})

        assert (table.name, table.rows, table.description) == ("orders", 1000, "One row an order.")

    def test_says_in_utc_when_it_was_made(self, extracts):
        with duckdb.connect(str(extracts / "shop_export" / "extract.duckdb")) as connection:
            (made,) = connection.execute("SELECT extracted_at FROM _meta").fetchone()

        assert abs(datetime.now(UTC) - made.replace(tzinfo=UTC)) < timedelta(minutes=30)

    def test_is_brought_byte_by_byte(self, extracts, tmp_path):
        folder = extracts / "shop_export"
        table = TableRequest(name="orders", source_table="orders", options=ExternalTable())

        result = ExternalConnector().extract(
            ExternalConfig(folder=folder), {}, ExtractRequest(table=table), Candidate(tmp_path)
        )

        (part,) = result.parts
        assert part.path.read_bytes() == (folder / "data" / "orders.parquet").read_bytes()


class TestPackageOfTheReader:
    def test_passes_the_tests_of_the_page_where_it_is_installed(self, tmp_path):
        project = tomllib.loads(FILES["agnes-meters/pyproject.toml"])["project"]
        for name in FILES:
            if name.endswith(".py") and "/" in name:
                place = tmp_path / "agnes-meters" / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(FILES[name], encoding="utf-8")
        packages = tmp_path / "agnes-meters"
        describe(packages, project["name"], project["entry-points"]["agnes.connectors"])

        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
            cwd=packages,
            env={"PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)]), "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout
