from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from extracts.engine.publish import validate
from tests.extracts.connectors.contract import REPOSITORY
from tests.extracts.connectors.files.extracting import extract

FLIGHTS = REPOSITORY.parent / "shared" / "data" / "nycflights13"


needs_flights = pytest.mark.skipif(
    not FLIGHTS.is_dir() and "CI" not in os.environ, reason="the data of nycflights13 is absent"
)


@needs_flights
class TestRealData:
    NULLS = ("", "NA")

    def test_of_flights_arrive_completely(self, tmp_path):
        folder = self.copied(tmp_path, "flights.csv.gz")

        (part,) = extract(folder, "flights.csv.gz", null_strings=self.NULLS).parts

        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), sum(distance), count(dep_delay), min(time_hour)::VARCHAR "
                f"FROM '{part.path}'"
            ).fetchone()
            theirs = connection.execute(
                "SELECT count(*), sum(distance), count(nullif(dep_delay, 'NA')), NULL FROM "
                f"read_csv('{folder / 'flights.csv.gz'}', types = {{'dep_delay': 'VARCHAR'}})"
            ).fetchone()
        assert found[:3] == theirs[:3]
        assert found[0] == part.rows == 336_776

    @pytest.mark.hostile(21)
    def test_of_the_weather_keep_nulls_and_time_zone(self, tmp_path):
        folder = self.copied(tmp_path, "weather.csv.gz")

        (part,) = extract(
            folder, "weather.csv.gz", null_strings=self.NULLS, key=("origin", "time_hour")
        ).parts

        types = {c.name: c.type for c in validate(part.path, expected_rows=26_115).columns}
        table = pq.read_table(part.path)
        assert types["time_hour"] == "TIMESTAMP WITH TIME ZONE"
        assert types["temp"] == types["wind_gust"] == "DOUBLE"
        assert table["wind_gust"].null_count == 20_778
        assert table["time_hour"][0].as_py() == datetime(2013, 1, 1, 6, tzinfo=UTC)

    def test_gives_the_same_bytes_in_another_process(self, tmp_path):
        folder = self.copied(tmp_path, "weather.csv.gz")
        program = (
            "import sys\nfrom pathlib import Path\n"
            "from tests.extracts.connectors.files.extracting import extract\n"
            "(part,) = extract(Path(sys.argv[1]), 'weather.csv.gz', run=sys.argv[2],"
            " null_strings=('', 'NA')).parts\nprint(part.path)"
        )
        (mine,) = extract(folder, "weather.csv.gz", null_strings=self.NULLS).parts

        theirs = subprocess.run(
            [sys.executable, "-c", program, str(folder), "theirs"],
            cwd=REPOSITORY,
            env={**os.environ, "TZ": "America/New_York", "LC_ALL": "C"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

        assert Path(theirs).read_bytes() == mine.path.read_bytes()

    def copied(self, tmp_path: Path, name: str) -> Path:
        folder = tmp_path / "source"
        folder.mkdir()
        shutil.copy(FLIGHTS / name, folder / name)
        return folder
