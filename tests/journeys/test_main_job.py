"""The main job on real data: files in, Parquet out, the same bytes each time."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import duckdb
import pytest
from django.db import connection

from agnes_site.core.errors import NotFoundError
from agnes_site.core.progress import silent
from catalog.models import Incident, Source, Table
from catalog.services import registry, sources, versions
from extracts.models import Run, RunKind, RunState
from extracts.services import extraction, publication, regeneration, runs, scanning
from tests.factories import TableFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch, layout):
    """There is no worker: these tests do the runs themselves."""
    monkeypatch.setattr(runs.current_app, "send_task", lambda *args, **kwargs: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "files"
    found.mkdir()
    return found


def _source(folder: Path, slug: str = "shop"):
    return sources.add_source(
        slug=slug, source_type="files", config={"folder": str(folder)}, by=None
    )


def _register(source, name: str, source_table: str, **fields) -> Table:
    return registry.register_table(
        source=source, name=name, source_table=source_table, by=None, **fields
    )


def do(run: Run) -> Run:
    """Claim a run and do it, as a worker would."""
    extraction.execute(runs.claim(run.pk, worker="test"))
    run.refresh_from_db()
    return run


def extract(table: Table) -> Run:
    """Extract a table now and do what follows from it."""
    run = do(runs.request_run(table=table, by=None)[0])
    for rebuild in Run.objects.open().filter(kind=RunKind.REBUILD):
        do(rebuild)
    table.refresh_from_db()
    return run


class TestFlights:
    def test_come_out_as_they_went_in(self, real_data, folder, layout):
        for name in ("flights.csv.gz", "weather.csv.gz", "planes.csv"):
            shutil.copy(real_data / name, folder)
        source = _source(folder)
        null = {"null_strings": ["", "NA"]}
        flights = _register(source, "flights", "flights.csv.gz", options=null)
        weather = _register(source, "weather", "weather.csv.gz", options=null)

        assert extract(flights).state == RunState.SUCCEEDED
        assert extract(weather).state == RunState.SUCCEEDED

        assert flights.current_version.rows == 336_776
        types = dict(weather.columns.values_list("name", "type"))
        assert types["time_hour"] == "TIMESTAMP WITH TIME ZONE"
        assert types["wind_gust"] == "DOUBLE"
        served = regeneration.orchestrator.current(layout.analytics)
        with duckdb.connect(str(served), read_only=True) as connection:
            answer = connection.execute(
                "SELECT carrier, count(*), round(avg(dep_delay), 3) FROM flights"
                " GROUP BY carrier ORDER BY 2 DESC LIMIT 3"
            ).fetchall()
        expected = duckdb.execute(
            "SELECT carrier, count(*), round(avg(dep_delay), 3) FROM"
            f" read_csv('{real_data}/flights.csv.gz', nullstr = ['', 'NA'])"
            " GROUP BY carrier ORDER BY 2 DESC LIMIT 3"
        ).fetchall()
        assert answer == expected


class TestSameInput:
    @pytest.mark.parametrize("name", ["orders.csv", "orders.csv.gz", "orders.parquet"])
    def test_is_the_same_version(self, folder, layout, name):
        text = "id,city\n" + "".join(f"{number},Brno {number % 7}\n" for number in range(5000))
        if name.endswith(".parquet"):
            duckdb.execute(
                f"COPY (SELECT range AS id, 'Brno' AS city FROM range(5000)) TO '{folder / name}'"
            )
        elif name.endswith(".gz"):
            (folder / name).write_bytes(gzip.compress(text.encode()))
        else:
            (folder / name).write_text(text)
        table = _register(_source(folder), "orders", name)
        extract(table)
        first, stamp = table.current_version, table.source.stamp

        (folder / name).write_bytes((folder / name).read_bytes())
        run = extract(table)

        assert run.state == RunState.SUCCEEDED
        assert table.current_version == first
        table.source.refresh_from_db()
        assert table.source.stamp != stamp or table.versions.count() == 1
        assert len(list(layout.store.rglob("*.parquet"))) == 1


class TestBadData:
    def test_a_bad_row_is_named_and_the_good_version_stays(self, folder):
        file = folder / "orders.csv"
        file.write_text("id,amount\n1,2.5\n2,3.5\n")
        table = _register(_source(folder), "orders", "orders.csv")
        extract(table)
        good = table.current_version

        file.write_text("id,amount\n1,2.5\n2,three\n")
        run = extract(table)

        assert run.state == RunState.FAILED
        assert "amount" in run.error_message
        assert "3" in run.error_message
        assert run.error_hint
        assert table.current_version == good
        assert Incident.objects.get(table=table, closed_at=None).message == run.error_message

        file.write_text("id,amount\n1,2.5\n2,3.0\n")
        assert extract(table).state == RunState.SUCCEEDED
        assert not Incident.objects.filter(table=table, closed_at=None).exists()

    @pytest.mark.parametrize("damage", ["cut", "flip"])
    def test_a_damaged_file_of_another_producer_is_found_before_it_is_served(self, layout, damage):
        folder = _foreign_extract(layout.extracts / "crm")
        scanning.scan()
        source = sources.Source.objects.get(slug="crm")
        do(source.runs.get())
        table = Table.objects.get(name="contacts")
        assert do(table.runs.get()).state == RunState.SUCCEEDED
        table.refresh_from_db()
        good = table.current_version

        file = folder / "data" / "contacts.parquet"
        content = bytearray(file.read_bytes())
        if damage == "cut":
            del content[len(content) // 2 :]
        else:
            content[len(content) // 3] ^= 0x40
        file.write_bytes(content)
        run = extract(table)

        assert run.state == RunState.FAILED
        assert table.current_version == good
        assert Incident.objects.filter(table=table, closed_at=None).exists()


def _foreign_extract(folder: Path) -> Path:
    """What a producer of its own would leave: plain DuckDB, no code of ours."""
    (folder / "data").mkdir(parents=True)
    file = folder / "data" / "contacts.parquet"
    duckdb.execute(
        "COPY (SELECT range AS id, 'name ' || range AS name, sqrt(range) AS score"
        f" FROM range(20000)) TO '{file}' (FORMAT parquet)"
    )
    with duckdb.connect(str(folder / "extract.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE _meta (table_name VARCHAR, description VARCHAR, rows BIGINT,"
            " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR)"
        )
        connection.execute(
            "INSERT INTO _meta VALUES ('contacts', 'People', 20000, 1, now(), 'local')"
        )
        connection.execute(f"CREATE VIEW contacts AS SELECT * FROM read_parquet('{file}')")
    return folder


class TestForeignExtract:
    def test_is_registered_once_when_a_look_at_it_was_ended(self, layout, monkeypatch):
        def end(name: str) -> None:
            if name == "scan.table_registered":
                raise KeyboardInterrupt

        _foreign_extract(layout.extracts / "crm")
        scanning.scan()
        source = sources.Source.objects.get(slug="crm")
        with monkeypatch.context() as patch:
            patch.setattr(scanning, "failpoint", end)
            with pytest.raises(KeyboardInterrupt):
                do(source.runs.get())
        source.runs.all().delete()

        scanning.scan()
        assert do(source.runs.get()).state == RunState.SUCCEEDED

        assert Table.objects.get().name == "contacts"
        assert not Incident.objects.exists()

    def test_is_found_registered_and_not_granted(self, layout, api):
        _foreign_extract(layout.extracts / "crm")

        assert [source.slug for source in scanning.scan()] == ["crm"]
        source = sources.Source.objects.get(slug="crm")
        assert do(source.runs.get()).state == RunState.SUCCEEDED
        table = Table.objects.get(name="contacts")
        assert do(table.runs.get()).state == RunState.SUCCEEDED

        table.refresh_from_db()
        assert table.current_version.rows == 20_000
        assert table.description == "People"
        assert api.get("/api/sync/manifest").json()["tables"] == {}
        assert scanning.scan() == []

    def test_a_corrupt_one_does_not_stop_the_others(self, layout):
        _foreign_extract(layout.extracts / "crm")
        bad = layout.extracts / "broken"
        bad.mkdir()
        (bad / "extract.duckdb").write_bytes(b"not a database")

        scanning.scan()
        states = {run.source.slug: do(run) for run in Run.objects.open().select_related("source")}

        assert states["crm"].state == RunState.SUCCEEDED
        assert (states["broken"].state, states["broken"].error_code) == (
            RunState.FAILED, "extract_damaged",
        )  # fmt: skip
        incident = Incident.objects.get(source__slug="broken", closed_at=None)
        assert incident.hint
        assert scanning.scan() == []

    def test_is_found_beside_a_source_whose_connector_is_gone(self, layout):
        _foreign_extract(layout.extracts / "crm")
        _foreign_extract(layout.extracts / "abc")
        Source.objects.create(slug="abc", source_type="uninstalled")

        scanning.scan()

        assert Source.objects.filter(slug="crm").exists()
        assert (layout.extracts / "abc" / "extract.duckdb").exists()

    def test_a_name_that_another_source_has_is_left_out(self, layout):
        TableFactory(name="contacts")
        _foreign_extract(layout.extracts / "crm")
        scanning.scan()
        source = sources.Source.objects.get(slug="crm")

        run = do(source.runs.get())

        assert run.state == RunState.SUCCEEDED
        assert "contacts" in Incident.objects.get(source=source, closed_at=None).message
        assert not source.tables.exists()

    def test_a_table_that_was_unregistered_does_not_come_back(self, layout):
        folder = _foreign_extract(layout.extracts / "crm")
        scanning.scan()
        source = sources.Source.objects.get(slug="crm")
        do(source.runs.get())
        registry.unregister_table(table=source.tables.get(), by=None)

        with duckdb.connect(str(folder / "extract.duckdb")) as connection:
            connection.execute("UPDATE _meta SET description = 'Humans'")
        scanning.scan()
        do(Run.objects.open().get(source=source))

        assert not source.tables.exists()


class TestUnchangedSource:
    @pytest.fixture
    def table(self, layout) -> Table:
        _foreign_extract(layout.extracts / "crm")
        scanning.scan()
        do(Run.objects.get(source__slug="crm"))
        found = Table.objects.get(name="contacts")
        assert extract(found).state == RunState.SUCCEEDED
        return found

    def test_brings_nothing(self, table):
        assert "Nothing new" in extract(table).log

    def test_ends_the_incident_of_a_fault_that_is_over(self, table):
        fault = NotFoundError("The disk of the source is not mounted.")
        publication.hold(table=table, error=fault)

        assert extract(table).state == RunState.SUCCEEDED

        assert not Incident.objects.filter(table=table, closed_at=None).exists()

    def test_is_brought_again_when_the_store_has_lost_a_file(self, table, layout):
        [stored] = layout.store.rglob("*.parquet")
        content = stored.read_bytes()
        stored.unlink()

        assert extract(table).state == RunState.SUCCEEDED

        assert stored.read_bytes() == content
        assert table.versions.count() == 1


class TestFaces:
    def test_a_foreign_file_in_a_folder_of_ours_is_moved_aside(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        table = _register(_source(folder), "orders", "orders.csv")
        extract(table)
        stranger = layout.extracts / "shop" / "extract.duckdb"
        stranger.write_bytes(b"from somebody else")

        scanning.scan()
        for run in Run.objects.open():
            assert do(run).state == RunState.SUCCEEDED

        incident = Incident.objects.get(source=table.source, closed_at=None)
        assert incident.code == "foreign_file"
        assert list((layout.extracts / "shop" / "foreign").iterdir())
        with duckdb.connect(str(stranger), read_only=True) as connection:
            assert connection.execute("SELECT rows FROM _meta").fetchall() == [(1,)]

    def test_two_rebuilds_do_not_take_each_others_file_for_a_foreign_one(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        table = _register(_source(folder), "orders", "orders.csv")
        do(runs.request_run(table=table, by=None)[0])

        def rebuild_meanwhile(phase: str, **_: object) -> None:
            if phase == "extracts":
                regeneration.rebuild_source(Source.objects.get(slug="shop"), silent)

        assert regeneration.rebuild(rebuild_meanwhile) == []

        assert not Incident.objects.exists()
        assert not (layout.extracts / "shop" / "foreign").exists()

    def test_of_a_source_made_meanwhile_stay(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        pending = [folder]

        def make_meanwhile(execute, sql, params, many, context):
            answer = execute(sql, params, many, context)
            if pending and 'FROM "catalog_source"' in sql:
                extract(_register(_source(pending.pop()), "orders", "orders.csv"))
            return answer

        with connection.execute_wrapper(make_meanwhile):
            regeneration.rebuild(silent)

        assert (layout.extracts / "shop" / "extract.duckdb").exists()
        assert regeneration.orchestrator.shown_sources(layout.analytics) == {"shop"}

    def test_of_a_deleted_source_go(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        source = _source(folder)
        table = _register(source, "orders", "orders.csv")
        extract(table)

        registry.unregister_table(table=table, by=None)
        sources.remove_source(source=source, by=None)
        for run in Run.objects.open():
            assert do(run).state == RunState.SUCCEEDED

        assert not (layout.extracts / "shop").exists()
        assert regeneration.orchestrator.shown_sources(layout.analytics) == frozenset()
        assert scanning.scan() == []

    def test_a_copy_of_a_folder_of_ours_is_another_producers(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        extract(_register(_source(folder), "orders", "orders.csv"))
        copy = layout.extracts / "copied"
        shutil.copytree(layout.extracts / "shop", copy)

        regeneration.rebuild(silent)

        assert (copy / "data" / "orders.parquet").exists()
        assert [source.slug for source in scanning.scan()] == ["copied"]

    def test_of_a_deleted_source_leave_what_was_set_aside(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        source = _source(folder)
        table = _register(source, "orders", "orders.csv")
        extract(table)
        (layout.extracts / "shop" / "notes.txt").write_text("mine")
        file = folder / "orders.csv"
        file.write_text("id\n2\n")
        extract(table)

        registry.unregister_table(table=table, by=None)
        sources.remove_source(source=source, by=None)
        regeneration.rebuild(silent)

        (kept,) = (path for path in (layout.extracts / "shop").rglob("*") if path.is_file())
        assert kept.read_text() == "mine"

    def test_come_back_when_somebody_removes_them(self, folder, layout):
        (folder / "orders.csv").write_text("id\n1\n")
        extract(_register(_source(folder), "orders", "orders.csv"))
        shutil.rmtree(layout.extracts)
        shutil.rmtree(layout.analytics)
        layout.create()

        assert regeneration.request_behind() == 1
        for run in Run.objects.open():
            assert do(run).state == RunState.SUCCEEDED

        assert (layout.extracts / "shop" / "data" / "orders.parquet").exists()
        served = regeneration.orchestrator.current(layout.analytics)
        with duckdb.connect(str(served), read_only=True) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1,)


class TestRollBack:
    def test_serves_an_older_version_until_it_is_released(self, folder):
        file = folder / "orders.csv"
        file.write_text("id\n1\n")
        table = _register(_source(folder), "orders", "orders.csv")
        extract(table)
        file.write_text("id\n1\n2\n")
        extract(table)

        versions.roll_back(table=table, number=1, by=None)
        table.refresh_from_db()
        assert (table.current_version.number, table.current_version.rows) == (3, 1)
        assert extract(table).state == RunState.SKIPPED

        versions.release(table=table, by=None)
        table.refresh_from_db()
        assert extract(table).state == RunState.SUCCEEDED
        assert (table.current_version.number, table.current_version.rows) == (4, 2)
