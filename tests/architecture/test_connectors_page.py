"""What docs/connectors.md tells a stranger to do works as it is written there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import duckdb
import pytest

from agnes_site.core.progress import silent
from catalog import connectors
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors import work
from extracts.connectors.external.connector import ExternalConfig, ExternalConnector, ExternalTable
from extracts.engine.candidate import Candidate
from tests.architecture.conftest import ROOT

BLOCKS = re.findall(
    r"^```\w+\n# (\S+)\n(.*?)^```$",
    (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
FILES = dict(BLOCKS)

METERS = [{"name": "Hall"}, {"name": "Roof 2"}]
READINGS = [
    {"read_at": "2026-01-01T00:00:00+00:00", "kwh": 0.5},
    {"read_at": "2026-01-01T01:00:00+00:00", "kwh": 0.25},
    {"read_at": "2026-01-01T02:00:00+00:00", "kwh": 0.75},
]


@pytest.fixture
def extracts(tmp_path: Path) -> Path:
    """The folder of extracts after the program of the page has run."""
    program = tmp_path / "leave_extract.py"
    program.write_text(FILES["leave_extract.py"], encoding="utf-8")
    folder = tmp_path / "extracts"
    for _ in range(2):  # it can be repeated
        subprocess.run([sys.executable, program, folder], check=True, cwd=tmp_path)
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch) -> None:
    """The package of the page, installed."""
    package = tmp_path / "agnes_meters"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "connector.py").write_text(FILES["agnes_meters/connector.py"], encoding="utf-8")
    project = tomllib.loads(FILES["agnes-meters/pyproject.toml"])["project"]
    described = tmp_path / f"{package.name}-{project['version']}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Name: {project['name']}\nVersion: 1.0.0\n")
    points = project["entry-points"]["agnes.connectors"].items()
    (described / "entry_points.txt").write_text(
        "[agnes.connectors]\n" + "".join(f"{name} = {value}\n" for name, value in points)
    )
    monkeypatch.syspath_prepend(tmp_path)
    connectors.installed.cache_clear()
    yield
    connectors.installed.cache_clear()
    for name in [name for name in sys.modules if name.startswith("agnes_meters")]:
        del sys.modules[name]


@pytest.fixture
def service(httpserver):
    """The service that the page speaks of."""
    httpserver.expect_request("/meters").respond_with_json(METERS)
    for page, rows in enumerate([READINGS[:2], READINGS[2:], []], start=1):
        httpserver.expect_request(
            "/meters/Hall", query_string={"page": str(page), "size": "2"}
        ).respond_with_json(rows)
    return httpserver


class TestProgramThatLeavesAnExtract:
    def test_is_a_source_with_its_table(self, extracts):
        config = ExternalConfig(folder=extracts / "shop_export")

        (table,) = ExternalConnector().discover(config, {})

        assert (table.name, table.rows, table.description) == ("orders", 1000, "One row an order.")

    def test_is_brought_byte_by_byte(self, extracts, tmp_path):
        folder = extracts / "shop_export"
        table = TableRequest(name="orders", source_table="orders", options=ExternalTable())

        result = ExternalConnector().extract(
            ExternalConfig(folder=folder), {}, ExtractRequest(table=table), Candidate(tmp_path)
        )

        (part,) = result.parts
        assert part.path.read_bytes() == (folder / "data" / "orders.parquet").read_bytes()


@pytest.mark.usefixtures("installed")
class TestConnectorOfTheReader:
    def test_is_found_by_its_entry_point(self):
        assert connectors.get("meters").display_name == "Meters"

    def test_tests_the_connection(self, service):
        answer = work.test(
            {"source_type": "meters", "config": {"url": service.url_for("")}, "secrets": {}}, silent
        )

        assert answer["message"] == "The service lists 2 meters."

    def test_finds_tables(self, service):
        found = work.discover(
            {"source_type": "meters", "config": {"url": service.url_for("")}, "secrets": {}}, silent
        )

        assert [spec["name"] for spec in found] == ["Hall", "roof_2"]

    def test_brings_a_table_that_publish_accepts(self, service, tmp_path):
        answer = work.extract(arguments(service.url_for(""), tmp_path), silent)

        (part,) = answer["parts"]
        rows = duckdb.sql(f"SELECT kwh FROM '{part['path']}' ORDER BY read_at").fetchall()
        assert rows == [(0.5,), (0.25,), (0.75,)]

    def test_says_when_the_service_fails(self, httpserver, tmp_path):
        httpserver.expect_request("/meters/Hall").respond_with_data("busy", status=503)

        with pytest.raises(import_module("agnes_meters.connector").UpstreamError, match="503"):
            work.extract(arguments(httpserver.url_for(""), tmp_path), silent)

    def test_passes_the_test_of_the_page(self, service, tmp_path):
        written = FILES["tests/test_connector.py"]
        names: dict[str, object] = {}
        exec(compile(written, "test_connector.py", "exec"), names)

        names["test_brings_all_readings"](tmp_path / "candidate", service.url_for(""))


def arguments(url: str, folder: Path) -> dict[str, object]:
    return {
        "source_type": "meters", "config": {"url": url}, "secrets": {}, "state": {},
        "folder": str(folder / "candidate"), "runs_sql": False, "drift_policy": "evolve",
        "mode": "full", "current_parts": [], "combined_max_bytes": 0,
        "table": {
            "name": "hall", "bucket": "", "source_table": "Hall", "source_query": "",
            "primary_key": ["read_at"], "options": {"page_size": 2}, "known_columns": [],
            "incremental_column": "", "incremental_window_days": None,
            "max_history_days": None,
        },
    }  # fmt: skip
