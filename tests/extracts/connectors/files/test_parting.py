"""With a part per file, only the files that changed are read."""

from __future__ import annotations

import dataclasses

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.connectors import ColumnSpec
from extracts.connectors.files.errors import TableSettingsError, TooManyBadRowsError
from extracts.connectors.files.parting import part_key
from extracts.connectors.files.settings import FilesConfig
from tests.extracts.connectors.files.places import Runs, connector, table


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    (path / "a.csv").write_text("id,v\n2,x\n1,y\n")
    (path / "b.csv").write_text("id,v\n3,z\n")
    return path


@pytest.fixture
def runs(folder, tmp_path):
    wanted = table("*.csv", key=("id",), part_per_file=True)
    return Runs(tmp_path, FilesConfig(folder=folder), wanted)


def known(runs: Runs, *columns: tuple[str, str]) -> None:
    specs = tuple(ColumnSpec(name=name, type=kind) for name, kind in columns)
    runs.table = dataclasses.replace(runs.table, known_columns=specs)


class TestPartPerFile:
    def test_brings_each_file_as_a_part_in_the_order_of_the_key(self, runs):
        result = runs.run()

        assert result.is_complete
        assert sorted(runs.parts) == ["a.csv", "b.csv"]
        assert [row["id"] for row in runs.rows()] == [1, 2, 3]

    def test_reads_nothing_again_that_has_not_changed(self, runs, folder):
        runs.run()
        assert runs.run().is_unchanged
        (folder / "b.csv").write_text("id,v\n3,new\n")
        known(runs, ("id", "BIGINT"), ("v", "VARCHAR"))

        result = runs.run()

        assert [part.key for part in result.parts] == ["b.csv"]
        assert not result.is_complete
        assert [row["v"] for row in runs.rows()] == ["y", "x", "new"]
        assert runs.run().is_unchanged

    def test_adds_new_files_and_drops_those_that_are_gone(self, runs, folder):
        runs.run()
        (folder / "a.csv").unlink()
        (folder / "sub").mkdir()
        (folder / "c.csv").write_text("id,v\n9,\n")
        known(runs, ("id", "BIGINT"), ("v", "VARCHAR"))

        result = runs.run()

        assert result.removed_parts == ("a.csv",)
        assert [row["id"] for row in runs.rows()] == [3, 9]

    def test_reads_everything_again_when_a_file_has_another_column(self, runs, folder):
        runs.run()
        known(runs, ("id", "BIGINT"), ("v", "VARCHAR"))
        (folder / "c.csv").write_text("id,v,more\n4,w,true\n")

        result = runs.run()

        assert result.is_complete
        assert [row["more"] for row in runs.rows()] == [None, None, None, True]

    def test_gives_a_file_without_some_columns_nulls(self, runs, folder):
        (folder / "b.csv").write_text("id\n3\n")
        runs.run()
        known(runs, ("id", "BIGINT"), ("v", "VARCHAR"))
        (folder / "b.csv").write_text("id\n4\n")

        result = runs.run()

        assert [part.key for part in result.parts] == ["b.csv"]
        assert runs.rows()[-1] == {"id": 4, "v": None}

    def test_reads_everything_again_when_the_settings_change(self, runs):
        runs.run()
        runs.table = table("*.csv", part_per_file=True)

        assert runs.run().is_complete

    def test_works_for_parquet_as_well(self, tmp_path, folder):
        for number in (1, 2):
            pq.write_table(pa.table({"id": [number]}), folder / f"{number}.parquet")
        runs = Runs(tmp_path, FilesConfig(folder=folder), table("*.parquet", part_per_file=True))
        runs.run()
        known(runs, ("id", "BIGINT"))
        pq.write_table(pa.table({"id": [7]}), folder / "2.parquet")

        result = runs.run()

        assert [part.key for part in result.parts] == ["2.parquet"]
        assert [row["id"] for row in runs.rows()] == [1, 7]


class TestBadRows:
    @pytest.fixture(autouse=True)
    def _bad_rows(self, folder):
        (folder / "a.csv").write_text("id,v\n2,x\nsix,y\n")
        (folder / "b.csv").write_text("id,v\n3,z\nnine,z\n")

    @pytest.mark.parametrize("options", [{"part_per_file": True}, {"file_name_column": "file"}])
    def test_of_all_files_are_set_aside_together(self, folder, tmp_path, options):
        wanted = table("*.csv", bad_rows="quarantine", types={"id": "BIGINT"}, **options)
        runs = Runs(tmp_path, FilesConfig(folder=folder), wanted)

        result = runs.run()

        assert [(row["id"], row["v"]) for row in runs.rows()] == [(2, "x"), (3, "z")]
        aside = [orjson.loads(line) for line in result.rejected.path.read_bytes().splitlines()]
        assert [(line["file"], line["row"]) for line in aside] == [("a.csv", 3), ("b.csv", 3)]
        assert result.rejected.rows == 2

    @pytest.mark.parametrize("options", [{"part_per_file": True}, {"file_name_column": "file"}])
    def test_of_all_files_count_against_the_limit(self, folder, tmp_path, options):
        wanted = table(
            "*.csv", bad_rows="quarantine", max_bad_rows=1, types={"id": "BIGINT"}, **options
        )

        with pytest.raises(TooManyBadRowsError):
            Runs(tmp_path, FilesConfig(folder=folder), wanted).run()


class TestFileNameColumn:
    @pytest.mark.parametrize("part_per_file", [False, True])
    def test_holds_the_name_of_the_file_of_each_row(self, folder, tmp_path, part_per_file):
        wanted = table("*.csv", file_name_column="file", part_per_file=part_per_file)
        runs = Runs(tmp_path, FilesConfig(folder=folder), wanted)

        runs.run()

        assert [(row["id"], row["file"]) for row in runs.rows()] == [
            (2, "a.csv"), (1, "a.csv"), (3, "b.csv"),
        ]  # fmt: skip

    @pytest.mark.parametrize("part_per_file", [False, True])
    def test_is_there_as_well_where_files_are_read_with_care(self, folder, tmp_path, part_per_file):
        # DuckDB refuses line ends that are mixed.
        for name in ("a.csv", "c.csv"):
            (folder / name).write_bytes(b"id,v\n1,x\r\n2,y\n")
        wanted = table("*.csv", file_name_column="file", part_per_file=part_per_file)
        runs = Runs(tmp_path, FilesConfig(folder=folder), wanted)

        runs.run()

        assert [(row["id"], row["v"], row["file"]) for row in runs.rows()] == [
            (1, "x", "a.csv"), (2, "y", "a.csv"), (3, "z", "b.csv"),
            (1, "x", "c.csv"), (2, "y", "c.csv"),
        ]  # fmt: skip

    def test_is_shown_by_the_preview(self, folder):
        wanted = table("*.csv", file_name_column="file")

        shown = connector().preview(FilesConfig(folder=folder), {}, wanted, 3)

        assert shown.column("file").to_pylist() == ["a.csv", "a.csv", "b.csv"]

    def test_cannot_take_the_name_of_a_column(self, folder, tmp_path):
        wanted = table("*.csv", file_name_column="V")

        with pytest.raises(TableSettingsError, match="themselves"):
            Runs(tmp_path, FilesConfig(folder=folder), wanted).run()


class TestPartKey:
    def test_keeps_plain_names_and_tells_others_apart(self):
        names = ["a.csv", "A.csv", "x/a.csv", "x-a.csv", "ä.csv", "é.csv", "..csv", "a" * 300, "-"]

        keys = [part_key(name) for name in names]

        assert keys[0] == "a.csv"
        assert len({key.lower() for key in keys}) == len(names)
        assert all(len(key) < 128 for key in keys)
