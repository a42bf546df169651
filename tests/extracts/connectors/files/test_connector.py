"""Files become tables as they are, or an error says which one to look at."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from agnes_site.core.errors import AgnesError, UpstreamError
from catalog.connectors import ColumnSpec, ExtractRequest
from extracts.connectors.files.connector import FilesConnector
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.files.source_file import (
    SourceFileRefusedError,
    SourceFilesMissingError,
    SourceFolderMissingError,
)
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.candidate import Candidate
from tests.extracts.connectors.contract import ConnectorContract
from tests.extracts.connectors.files.extracting import extract, files_connector, request_of, rows_of


class TestFilesConnectorWithCsv(ConnectorContract):
    @pytest.fixture
    def connector(self):
        return files_connector()

    @pytest.fixture
    def config(self, folder):
        (folder / "orders.csv").write_text("id,label\n1,a\n2,b\n3,c\n")
        return FilesConfig(folder=folder)

    @pytest.fixture
    def table(self):
        return request_of("orders.csv", key=("id",)).table


class TestFilesConnectorWithParquet(ConnectorContract):
    @pytest.fixture
    def connector(self):
        return files_connector()

    @pytest.fixture
    def config(self, folder):
        (folder / "orders").mkdir()
        pq.write_table(pa.table({"id": [3, 1]}), folder / "orders" / "a.parquet")
        pq.write_table(pa.table({"id": [2, 4]}), folder / "orders" / "b.parquet")
        return FilesConfig(folder=folder)

    @pytest.fixture
    def table(self):
        return request_of("orders").table


class TestDiscover:
    def test_makes_a_table_of_each_file_and_of_each_folder_of_one_kind(self, folder):
        (folder / "orders 2025.csv").write_text("id\n1\n")
        (folder / "notes.txt").write_text("not a table")
        (folder / "events").mkdir()
        for month in ("01", "02"):
            pq.write_table(pa.table({"id": [1]}), folder / "events" / f"{month}.parquet")
        (folder / "mixed").mkdir()
        (folder / "mixed" / "a.csv").write_text("a\n1\n")
        pq.write_table(pa.table({"b": [1]}), folder / "mixed" / "b.parquet")

        specs = list(files_connector().discover(FilesConfig(folder=folder), {}))

        assert [(spec.name, spec.source_table) for spec in specs] == [
            ("orders_2025", "orders 2025.csv"),
            ("events", "events"),
            ("a", "mixed/a.csv"),
            ("b", "mixed/b.parquet"),
        ]
        assert specs[0].columns == (ColumnSpec(name="id", type="BIGINT"),)
        assert specs[0].bytes == 5

    def test_is_not_stopped_by_a_bad_file(self, folder):
        (folder / "bad.csv").write_bytes(b"")
        (folder / "good.csv").write_text("id\n1\n")

        bad, good = files_connector().discover(FilesConfig(folder=folder), {})

        assert bad.columns == ()
        assert bad.problem.startswith("bad.csv is empty. ")
        assert good.columns

    def test_says_with_a_bad_file_what_to_do(self, folder):
        (folder / "bad.csv").write_bytes("číslo\n1\n".encode("cp1250"))

        (bad,) = files_connector().discover(FilesConfig(folder=folder), {})

        assert "Set encoding in the settings of the table" in bad.problem

    def test_needs_the_folder_and_not_a_file_in_it(self, folder):
        (folder / "a.csv").write_text("id\n1\n")

        with pytest.raises(SourceFolderMissingError, match="is a file") as failed:
            files_connector().test(FilesConfig(folder=folder / "a.csv"), {})

        assert "Give the folder" in failed.value.hint

    def test_needs_the_folder(self, folder):
        with pytest.raises(SourceFolderMissingError):
            files_connector().test(FilesConfig(folder=folder / "missing"), {})


class TestSettings:
    def test_refuse_a_relative_folder(self):
        with pytest.raises(ValidationError, match="beginning with /"):
            FilesConfig(folder="data")

    @pytest.mark.parametrize("kind", ["BIGINT; DROP TABLE x", "INTEGER'", ""])
    def test_refuse_what_is_no_type(self, kind):
        with pytest.raises(ValidationError):
            FilesTable(types={"id": kind})


@pytest.mark.hostile(20)
class TestSourceTable:
    @pytest.mark.parametrize("name", ["../secret.csv", "/etc/passwd", "a/../../x.csv", "", "a\0b"])
    def test_stays_below_the_folder(self, folder, name):
        (folder.parent / "secret.csv").write_text("a\n1\n")

        with pytest.raises(SourceFileRefusedError):
            extract(folder, name)

    @pytest.mark.parametrize("name", ["link.csv", "*.csv", "inner/secret.csv", "inner"])
    def test_stays_below_the_folder_through_links(self, folder, name):
        outside = folder.parent / "outside"
        outside.mkdir()
        (outside / "secret.csv").write_text("a\n1\n")
        (folder / "link.csv").symlink_to(outside / "secret.csv")
        (folder / "inner").symlink_to(outside)

        with pytest.raises(SourceFileRefusedError, match="outside"):
            extract(folder, name)

    def test_may_be_a_link_that_stays_inside(self, folder):
        (folder / "2025.csv").write_text("a\n1\n")
        (folder / "latest.csv").symlink_to("2025.csv")

        assert rows_of(folder, "latest.csv") == [{"a": 1}]

    @pytest.mark.parametrize("name", ["missing.csv", "*.csv", "empty"])
    def test_must_exist(self, folder, name):
        (folder / "empty").mkdir()

        with pytest.raises(SourceFilesMissingError):
            extract(folder, name)

    def test_must_not_be_a_folder_with_the_name_of_a_file(self, folder):
        (folder / "t.csv").mkdir()

        with pytest.raises(SourceFileRefusedError, match="is not a file"):
            extract(folder, "t.csv")

    def test_must_not_be_a_pipe(self, folder):
        os.mkfifo(folder / "t.csv")

        with pytest.raises(SourceFileRefusedError, match="is not a file"):
            extract(folder, "t.csv")

    def test_must_be_of_one_kind(self, folder):
        (folder / "in").mkdir()
        (folder / "in" / "a.csv").write_text("a\n1\n")
        pq.write_table(pa.table({"a": [1]}), folder / "in" / "b.parquet")

        with pytest.raises(SourceFileRefusedError, match="CSV and Parquet"):
            extract(folder, "in")

    def test_must_be_supported(self, folder):
        (folder / "t.docx").write_bytes(b"PK")

        with pytest.raises(SourceFileRefusedError, match="of no known format"):
            extract(folder, "t.docx")


class TestUnchanged:
    def run(self, connector, folder, request, name):
        out = Candidate(folder.parent / name)
        return connector.extract(FilesConfig(folder=folder), {}, request, out)

    def later(self) -> FilesConnector:
        """A connector that runs two minutes after the files were written."""
        return files_connector(now_ns=lambda: time.time_ns() + 120 * 10**9)

    def test_files_are_not_read_again(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        request = request_of("t.csv")
        first = self.run(self.later(), folder, request, "1")

        again = ExtractRequest(table=request.table, state=first.state)
        second = self.run(self.later(), folder, again, "2")

        assert second.is_unchanged
        assert second.state == first.state

    def test_fresh_files_are_always_read(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        first = self.run(files_connector(), folder, request_of("t.csv"), "1")

        assert first.state == {}

    def test_a_rewritten_file_is_read_though_its_times_and_size_are_the_same(self, folder):
        path = folder / "t.csv"
        path.write_text("a\n1\n")
        request = request_of("t.csv")
        first = self.run(self.later(), folder, request, "1")
        old = path.stat()
        path.write_text("a\n2\n")
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))

        again = ExtractRequest(table=request.table, state=first.state)
        second = self.run(self.later(), folder, again, "2")

        assert not second.is_unchanged
        assert pq.read_table(second.parts[0].path).to_pylist() == [{"a": 2}]

    def test_other_settings_read_the_files_again(self, folder):
        (folder / "t.csv").write_text("a\n1\n")
        first = self.run(self.later(), folder, request_of("t.csv"), "1")

        other = request_of("t.csv", types={"a": "VARCHAR"}).table
        second = self.run(self.later(), folder, ExtractRequest(table=other, state=first.state), "2")

        assert not second.is_unchanged

    def test_a_file_that_changes_while_it_is_read_is_tried_again(self, folder):
        path = folder / "t.csv"
        path.write_text("a\n1\n")

        def change(phase, *, done=0, total=None, message=""):
            path.write_text("a\n1\n2\n")

        out = Candidate(folder.parent / "run", progress=change)
        with pytest.raises(UpstreamError, match="changed while"):
            files_connector().extract(FilesConfig(folder=folder), {}, request_of("t.csv"), out)


class TestErrors:
    def test_never_name_a_place_of_the_server(self, folder):
        (folder / "t.csv").write_text("a,b\n1\n")

        with pytest.raises(AgnesError) as refusal:
            extract(folder, "t.csv")

        assert str(folder.parent) not in f"{refusal.value.message} {refusal.value.hint}"
