"""Bit rot in the store: found, set aside, told about, and mended."""

from __future__ import annotations

import errno
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from django.core.management import call_command
from django.utils import timezone
from kombu.exceptions import OperationalError as QueueError

from access.models import AuditEvent
from catalog.models import Incident, IncidentKind, Table
from catalog.services import incidents, registry, sources, versions
from extracts import tasks
from extracts.engine import rot
from extracts.models import Run, RunKind, RunState, ScrubRound
from extracts.services import damage_reports, extraction, runs, scrub
from tests.factories import TableFactory, publish, stored_file

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.hostile(45)]

LOTS = 1 << 40


@pytest.fixture(autouse=True)
def rung(monkeypatch) -> list[tuple[str, dict[str, str]]]:
    """There is no worker: these tests do the work themselves. What was sent is returned."""
    sent: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(
        runs.current_app, "send_task", lambda name, *, kwargs, queue: sent.append((name, kwargs))
    )
    return sent


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    """The file that the table comes from."""
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / "orders.csv"
    path.write_text("id,amount\n1,10\n2,20\n")
    return path


@pytest.fixture
def table(layout, csv: Path) -> Table:
    """A table that was extracted from its source, with its faces."""
    source = sources.add_source(
        slug="shop", source_type="files", config={"folder": str(csv.parent)}, by=None
    )
    found = registry.register_table(
        source=source, name="orders", source_table="orders.csv", by=None
    )
    runs.request_run(table=found, by=None)
    work()
    found.refresh_from_db()
    return found


def work() -> list[Run]:
    """Do what was asked for, and what follows from it."""
    done = []
    while (run := Run.objects.open().order_by("queued_at").first()) is not None:
        extraction.execute(runs.claim(run.pk, worker="test"))
        run.refresh_from_db()
        assert run.state == RunState.SUCCEEDED, run.error_message
        done.append(run)
    return done


def go_on(**more) -> ScrubRound | None:
    return scrub.go_on(**{"now": timezone.now(), "most_bytes": LOTS, **more})


def tomorrow():
    return timezone.now() + timedelta(days=1, seconds=1)


def stored(layout) -> Path:
    (path,) = layout.store.rglob("*.parquet")
    return path


def rot_in_place(path: Path, at: int = -100) -> bytes:
    """Flip a bit as a disk does: size, time and links stay; return what was there."""
    content = path.read_bytes()
    bad = bytearray(content)
    bad[at] ^= 1
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(bad)
    path.chmod(0o444)
    rot.os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return content


def open_incidents() -> list[Incident]:
    return list(Incident.objects.filter(closed_at=None, kind=IncidentKind.DAMAGED))


def extract_rows(layout) -> list[tuple[int, int]]:
    """Return what programs see in the extract folder of the source."""
    path = layout.extracts / "shop" / "extract.duckdb"
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute("FROM orders ORDER BY id").fetchall()


class TestDamagedFile:
    @pytest.mark.parametrize("damage", ["flipped", "cut", "unreadable", "missing"])
    def test_is_set_aside_and_comes_back_the_same(self, table, layout, damage, monkeypatch):
        path = stored(layout)
        good = path.read_bytes()
        if damage == "flipped":
            rot_in_place(path)
        elif damage == "cut":
            path.chmod(0o644)
            path.write_bytes(good[:-20])
        elif damage == "unreadable":
            monkeypatch.setattr(rot, "_hash_of", lambda descriptor: "")
        else:
            path.unlink()
            (layout.extracts / "shop" / "data" / "orders.parquet").unlink()
        bad = path.read_bytes() if path.exists() else None

        done = go_on()
        monkeypatch.undo() if damage == "unreadable" else None

        assert (done.files, done.bad_files) == (1, 1)
        assert not path.exists()
        assert [aside.read_bytes() for aside in layout.damaged.glob("*")] == ([bad] if bad else [])
        (incident,) = open_incidents()
        assert incident.code == "stored_file_damaged"
        assert "orders" in incident.message
        assert "A full run was asked for" in incident.hint
        (asked,) = Run.objects.open().filter(kind=RunKind.EXTRACT)
        assert asked.is_full

        work()

        assert path.read_bytes() == good
        assert table.versions.count() == 1
        assert open_incidents() == []
        assert extract_rows(layout) == [(1, 10), (2, 20)]

    def test_is_not_shown_by_the_faces_meanwhile(self, table, layout, csv):
        rot_in_place(stored(layout))
        go_on()

        (renewal,) = Run.objects.open().filter(kind=RunKind.REBUILD)
        extraction.execute(runs.claim(renewal.pk, worker="test"))

        with pytest.raises(duckdb.CatalogException):
            extract_rows(layout)

    def test_that_a_link_still_holds_comes_back_at_once(self, table, layout):
        path = stored(layout)
        good = path.read_bytes()
        path.unlink()

        assert go_on().bad_files == 1

        assert path.read_bytes() == good
        assert open_incidents() == []
        assert not Run.objects.open().filter(kind=RunKind.EXTRACT).exists()

    def test_whose_source_has_changed_leaves_an_older_version_to_look_at(self, table, layout, csv):
        rot_in_place(stored(layout))
        csv.write_text("id,amount\n1,10\n2,20\n3,30\n")
        go_on()

        work()

        assert extract_rows(layout) == [(1, 10), (2, 20), (3, 30)]
        (incident,) = open_incidents()
        assert "version 1." in incident.message
        assert "The version in service is whole" in incident.hint
        assert work() == []

    def test_of_an_older_version_is_said_once_and_can_be_waived(self, table, layout, admin):
        before = stored(layout)
        new = stored_file(layout, b"new rows")
        publish(table, new)
        rot_in_place(before)
        go_on()
        (incident,) = open_incidents()
        assert not Run.objects.open().filter(kind=RunKind.EXTRACT).exists()
        incidents.waive(incident=incident, by=admin)

        assert go_on(now=tomorrow()).bad_files == 1

        assert open_incidents() == []

    def test_of_a_pinned_table_is_not_asked_for_again(self, table, layout):
        publish(table, stored_file(layout, b"new rows"))
        versions.roll_back(table=table, number=1, by=None)
        rot_in_place(layout.stored(table.versions.get(number=1).parts.get().sha256))

        go_on()

        (incident,) = open_incidents()
        assert incident.hint.startswith("The table is pinned")
        assert not Run.objects.open().filter(kind=RunKind.EXTRACT).exists()

    def test_that_an_operator_restores_ends_the_incident(self, table, layout):
        path = stored(layout)
        good = rot_in_place(path)
        go_on()
        path.write_bytes(good)

        go_on()

        assert open_incidents() == []

    def test_that_was_replaced_meanwhile_stays(self, table, layout, monkeypatch):
        path = stored(layout)
        good = rot_in_place(path)
        found = rot.read_again(path, path.stem)
        beside = path.with_name("beside")
        beside.write_bytes(good)
        beside.replace(path)

        assert rot.set_aside(path, found, quarantine=layout.damaged) is None

        assert path.read_bytes() == good

    def test_is_not_what_a_failing_open_means(self, table, layout, monkeypatch):
        path = stored(layout)

        def refuse(*args, **more):
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", refuse)
            with pytest.raises(OSError, match="Too many"):
                go_on()

        assert path.exists()
        assert open_incidents() == []


class TestRound:
    @pytest.fixture
    def files(self, layout) -> list[str]:
        """Six files of one table."""
        table = TableFactory(name="events")
        parts = [stored_file(layout, bytes([n]) * 1000, key=f"k{n}") for n in range(6)]
        publish(table, *parts)
        return sorted(part.sha256 for part in parts)

    def test_reads_a_little_at_a_time_and_each_file_once(self, files):
        positions = []
        for _ in range(3):
            positions.append(go_on(most_bytes=2000).position)
        last = go_on(most_bytes=2000)

        assert positions == [files[1], files[3], files[5]]
        assert (last.files, last.bytes, last.bad_files) == (6, 6000, 0)
        assert last.finished_at is not None
        assert ScrubRound.objects.count() == 1

    def test_reads_one_file_that_is_larger_than_the_limit(self, files):
        assert go_on(most_bytes=1).position == files[0]
        assert go_on(most_bytes=1).position == files[1]

    def test_goes_on_after_the_end_of_its_process(self, files, layout, monkeypatch):
        layout.stored(files[2]).unlink()

        def end(name: str) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(scrub, "failpoint", end)
            with pytest.raises(KeyboardInterrupt):
                go_on(most_bytes=3000)

        done = go_on()

        assert (done.files, done.bad_files) == (6, 1)

    def test_rests_for_the_day(self, files):
        go_on()

        assert go_on() is None
        assert go_on(now=tomorrow()).files == 6

    def test_of_the_task_is_the_work_of_one_at_a_time(self, files, settings):
        tasks.scrub()

        assert scrub.last_finished().files == 6

    def test_reads_the_combined_file_too(self, layout):
        table = TableFactory(name="events")
        parts = [stored_file(layout, bytes([n]) * 1000, key=f"k{n}") for n in range(2)]
        whole = stored_file(layout, b"both")
        combined = versions.Combined(sha256=whole.sha256, md5=whole.md5, bytes=whole.bytes)
        publish(table, *parts, combined=combined)
        rot_in_place(layout.stored(whole.sha256), at=0)

        assert (go_on().files, len(open_incidents())) == (3, 1)


class TestCommand:
    def test_says_what_it_found_and_fails(self, table, layout, capsys):
        rot_in_place(stored(layout))

        with pytest.raises(SystemExit, match="1"):
            call_command("scrub")

        said = capsys.readouterr()
        assert "Read 1 file, " in said.out
        assert "1 damaged or missing." in said.out
        assert "Files of orders are damaged or missing" in said.err

    def test_is_content_when_all_is_well(self, table, capsys):
        call_command("scrub")

        assert "0 damaged or missing." in capsys.readouterr().out


class TestReport:
    URL = "/api/data/orders/report"

    def send(self, api, sha256: str, **more):
        body = json.dumps({"sha256": sha256, "found": "0" * 64} | more)
        return api.post(self.URL, body, content_type="application/json")

    @pytest.fixture
    def sha256(self, layout) -> str:
        """The file of a table without a source that answers."""
        damage_reports.cache.clear()
        part = stored_file(layout, b"rows" * 100)
        publish(TableFactory(name="orders"), part)
        return part.sha256

    @pytest.fixture
    def granted(self, sha256, analyst, grant) -> None:
        grant(analyst, Table.objects.get(name="orders"))

    @pytest.mark.usefixtures("granted")
    def test_has_the_file_read_at_once(self, api, sha256, layout, rung, analyst):
        rot_in_place(layout.stored(sha256))
        rung.clear()

        response = self.send(api, sha256)

        assert (response.status_code, response.json()) == (202, {"is_checked": True})
        assert rung == [("extracts.tasks.check_stored_file", {"sha256": sha256})]
        tasks.check_stored_file(sha256)
        assert len(open_incidents()) == 1
        event = AuditEvent.objects.get(action="data.damage_reported")
        assert (event.actor, event.resource) == (analyst, "table/orders")
        assert event.after == {"sha256": sha256, "found": "0" * 64}

    @pytest.mark.usefixtures("granted")
    def test_of_many_has_it_read_once(self, api, admin_api, sha256, rung):
        rung.clear()

        answers = [self.send(each, sha256).json() for each in (api, admin_api, api)]

        assert [answer["is_checked"] for answer in answers] == [True, False, False]
        assert len(rung) == 1

    @pytest.mark.usefixtures("granted")
    def test_while_the_queue_is_gone_has_the_next_one_heard(self, api, sha256, rung, monkeypatch):
        rung.clear()

        def refuse(name, **options):
            raise QueueError("Connection refused")

        with monkeypatch.context() as gone:
            gone.setattr(damage_reports.current_app, "send_task", refuse)
            assert self.send(api, sha256).status_code == 202

        assert self.send(api, sha256).json() == {"is_checked": True}
        assert len(rung) == 1

    @pytest.mark.usefixtures("granted")
    def test_is_refused_after_too_many(self, api, sha256):
        for _ in range(damage_reports.MOST_AN_HOUR):
            assert self.send(api, sha256).status_code == 202

        response = self.send(api, sha256)

        assert (response.status_code, response.json()["code"]) == (429, "too_many_reports")

    def test_of_a_table_that_is_not_granted_finds_none(self, api, sha256, rung):
        response = self.send(api, sha256)

        assert (response.status_code, response.json()["code"]) == (404, "table_not_found")
        assert rung == []

    @pytest.mark.usefixtures("granted")
    def test_of_a_file_of_another_table_is_refused(self, api, sha256, layout, rung):
        other = stored_file(layout, b"somebody else's")
        publish(TableFactory(name="salaries"), other)
        rung.clear()

        response = self.send(api, other.sha256)

        assert (response.status_code, response.json()["code"]) == (404, "version_not_found")
        assert rung == []

    @pytest.mark.parametrize("text", ["", "x" * 64, "../../etc/passwd"])
    @pytest.mark.usefixtures("granted")
    def test_of_no_hash_is_refused(self, api, text):
        assert self.send(api, text).status_code == 422
