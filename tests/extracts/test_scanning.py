"""Finding what other producers leave in ``extracts/``."""

from __future__ import annotations

import os
import shutil
from contextlib import closing

import duckdb
import pyarrow as pa
import pytest

from agnes_site.core.progress import silent
from catalog.models import Incident, Source, Table
from catalog.services import removal
from extracts.models import Run, RunKind, RunState
from extracts.services import extraction, regeneration, runs, scanning
from tests.factories import SourceFactory, TableFactory, parquet_bytes, publish, stored_file


@pytest.fixture
def leave(layout):
    """Leave an extract of a table without rows, whose ``_meta`` lists these names."""
    (layout.extracts / "plant").mkdir()

    def write(*listed: str) -> None:
        file = layout.extracts / "plant" / "extract.duckdb"
        file.unlink(missing_ok=True)
        with closing(duckdb.connect(str(file))) as connection:
            connection.execute("CREATE TABLE sensors (id BIGINT)")
            connection.execute("CREATE TABLE _meta (table_name VARCHAR)")
            for name in listed:
                connection.execute("INSERT INTO _meta VALUES (?)", [name])

    return write


def look() -> Run:
    """Scan, and do the run of the source that the scan asks for."""
    scanning.scan()
    run = Run.objects.open().get(table=None, kind=RunKind.EXTRACT)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


@pytest.mark.django_db
class TestScan:
    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
    def test_has_what_is_no_file_set_aside_in_a_folder_of_ours(self, layout, make):
        source = SourceFactory(slug="shop", extract_hashes=["00"])
        (layout.extracts / "shop").mkdir()
        make(layout.extracts / "shop" / "extract.duckdb")

        scanning.scan()

        assert Run.objects.get(source=source).kind == RunKind.REBUILD

    def test_passes_over_what_leads_elsewhere_and_what_is_no_name(self, leave, layout):
        leave("sensors")
        elsewhere = (layout.extracts / "plant").rename(layout.root / "elsewhere")
        (layout.extracts / "folder").symlink_to(elsewhere)
        (layout.extracts / "file").mkdir()
        (layout.extracts / "file" / "extract.duckdb").symlink_to(elsewhere / "extract.duckdb")
        shutil.copytree(elsewhere, layout.extracts / "my plant")

        assert scanning.scan() == []

        assert not Source.objects.exists()

    def test_makes_no_second_source_of_a_name_in_another_case(self, leave):
        known = SourceFactory(slug="Plant")
        leave("sensors")

        assert scanning.scan() == []

        assert list(Source.objects.all()) == [known]

    def test_does_not_bring_a_deleted_source_back(self, layout):
        table = TableFactory(source=SourceFactory(slug="shop"))
        publish(table, stored_file(layout, parquet_bytes(pa.table({"id": [1]}))))
        regeneration.rebuild_source(table.source, silent)
        removal.remove_source(source=table.source, by=None, with_tables=True)

        assert (layout.extracts / "shop" / "extract.duckdb").exists()
        assert scanning.scan() == []

        assert not Source.objects.exists()


@pytest.mark.django_db
class TestTablesOfAnExtract:
    def test_are_named_where_they_cannot_be_registered(self, leave):
        leave("sensors", "read-ings", "pumps")

        run = look()

        assert run.state == RunState.SUCCEEDED
        assert [table.name for table in Table.objects.all()] == ["sensors"]
        incident = Incident.objects.waiting().get()
        assert incident.code == "extract_tables_left_out"
        assert "'read-ings': This cannot be the name of a table." in incident.message
        assert "'pumps': The extract has no table or view of this name." in incident.message

    def test_keep_a_description_without_what_is_no_text(self, leave, layout):
        leave("sensors")
        with closing(duckdb.connect(str(layout.extracts / "plant/extract.duckdb"))) as connection:
            connection.execute("ALTER TABLE _meta ADD COLUMN description VARCHAR")
            connection.execute("UPDATE _meta SET description = 'Read ' || chr(0) || 'daily.'")

        assert look().state == RunState.SUCCEEDED
        assert Table.objects.get().description == "Read daily."

    def test_are_named_where_another_source_has_the_name(self, leave):
        TableFactory(name="sensors")
        leave("sensors")

        look()

        incident = Incident.objects.waiting().get()
        assert "'sensors': Another source has a table of this name." in incident.message

    def test_are_forgiven_once_the_extract_is_mended(self, leave):
        leave("sensors", "pumps")
        look()
        leave("sensors")

        look()

        assert not Incident.objects.waiting().exists()

    def test_are_not_all_named_where_there_are_many(self, leave):
        leave(*(f"pump{number}" for number in range(7)))

        look()

        message = Incident.objects.get().message
        assert message.startswith("The extract lists 7 tables that cannot be registered.")
        assert message.endswith("And 2 more.")
