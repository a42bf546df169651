"""A company whose data changes once, brought through everything that an installation does.

The way is the same each time: sources of several kinds, a first day, a second day on which all of
them have changed, then the upkeep. Whoever does a step again where a process was killed does what
production would: the next beat, the next slot of a schedule, a person who tries again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import requests

from tests import measured
from tests.journeys.installation import ROOT, Installation, wait_until

# Files keep their times, so that what a connector remembers of them is the same each time.
_NOON = 1_767_268_800
SECRET = "a password that is typed"
FIRST = {"orders": 1, "events": 1, "returns": 1, "legacy": 1, "customers": 1, "contacts": 1}
SECOND = {"orders": 2, "events": 2, "returns": 2, "extra": 1, "customers": 2, "contacts": 2}


class Company:
    """Does the steps of the way in one installation, and waits after each until all is well."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.folder = installation.folder / "company"
        self.folder.mkdir()
        (self.folder / "shop" / "events").mkdir(parents=True)
        (self.folder / "old").mkdir()

    def first_day(self) -> None:
        """Set up all sources and bring every table for the first time."""
        self._write_files(day=1)
        self._leave_extract(day=1)
        self._import(_document(self.folder, day=1))
        self._put("/api/admin/sources/bank/secrets/password", {"value": SECRET})
        self._bring(FIRST)

    def second_day(self) -> None:
        """Change everything at its source, drop a source and its table, bring the rest again."""
        shop = self.installation.data / "extracts" / "shop"
        (shop / "notes.txt").write_text("somebody else's")
        self._write_files(day=2)
        self._leave_extract(day=2)
        self._import(_document(self.folder, day=2))
        old = f"{self.installation.url}/api/admin/sources/old?with_tables=true"
        removed = self._again(lambda: requests.delete(old, headers=self._headers, timeout=30))
        assert removed.ok or "source_not_found" in removed.text, removed.text
        self._bring(SECOND)
        wait_until(lambda: not (shop.parent / "old").exists(), seconds=60)

    def lose_files(self) -> None:
        """Let the disk damage one stored file and lose another, and have all read again."""
        _rot(self._stored("orders"))
        self._stored("extra").unlink()  # its extract folder still has it
        self._do("scrub", lease="scrub", is_done=self._is_read_again)
        wait_until(lambda: self._is_mended() and self._is_brought(SECOND), seconds=150)

    def do_upkeep(self) -> None:
        """Forget what nobody needs, and rotate the keys of secrets; each once more if killed."""
        self._do("collect_garbage", lease="garbage", is_done=self._is_tidy)
        done = self.installation.run_manage("rotate_secrets")
        if done.returncode == -signal.SIGKILL:
            done = self.installation.run_manage("rotate_secrets")
        assert done.returncode == 0, done.stderr

    def agnes(self, *args: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the client of an analyst in a workspace."""
        return subprocess.run(
            [sys.executable, "-c", "from analyst_cli.main import main; main()", *args],
            cwd=folder, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={
                "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder.parent),
                "AGNES_CONFIG_DIR": str(folder.with_name(f"{folder.name}-config")),
                **measured.ENVIRONMENT, **settings,
            },
        )  # fmt: skip

    def init(self, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Make a folder a workspace of this installation."""
        folder.mkdir(exist_ok=True)
        return self.agnes(
            "init", "--server", self.installation.url, "--token", self.installation.token,
            folder=folder, **settings,
        )  # fmt: skip

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.installation.token}"}

    def _bring(self, versions: dict[str, int]) -> None:
        ours = sorted(set(versions) - {"contacts"})  # found by the scan
        self._ask_for(ours)
        try:
            wait_until(lambda: self._is_brought(versions), seconds=150)
        except TimeoutError as error:
            unfinished = self.installation.rows(
                "SELECT t.name, r.kind, r.state, r.attempt, r.error_code, r.error_message"
                " FROM extracts_run r LEFT JOIN catalog_table t ON r.table_id = t.id"
                " WHERE r.state <> 'succeeded'"
            )
            raise AssertionError(f"Not all is brought: {unfinished}") from error

    def _ask_for(self, tables: list[str]) -> None:
        """Ask for tables; who was cut off asks for those that there are no new runs of."""
        before = self._runs()
        try:
            self.installation.extract(*tables)
        except requests.ConnectionError:
            wait_until(self.installation.is_ready, seconds=30)
            asked_for = {name for name, _ in self._runs() - before}
            self.installation.extract(*[name for name in tables if name not in asked_for])

    def _runs(self) -> set[tuple[str, str]]:
        found = self.installation.rows(
            "SELECT t.name, r.id FROM extracts_run r JOIN catalog_table t ON r.table_id = t.id"
        )
        return {(name, str(pk)) for name, pk in found}

    def _is_brought(self, versions: dict[str, int]) -> bool:
        rows = self.installation.rows
        # Looked at first: what ends after that has left its version by the time that is read.
        if rows("SELECT 1 FROM extracts_run WHERE state IN ('queued', 'running')"):
            return False
        found = dict(
            rows(
                "SELECT t.name, v.number FROM catalog_table t"
                " LEFT JOIN catalog_tableversion v ON t.current_version_id = v.id"
                " WHERE t.query_mode <> 'remote'"
            )
        )
        if found != versions:
            # A child that is killed fails its run; the next slot of its schedule tries again.
            crashed = [
                name
                for (name,) in rows(
                    "SELECT t.name FROM extracts_run r JOIN catalog_table t ON r.table_id = t.id"
                    " WHERE r.error_code = 'child_crashed'"
                )
                if found[name] != versions[name]
            ]
            if crashed:
                self.installation.extract(*crashed)
            return False
        behind = rows(
            "SELECT 1 FROM catalog_source WHERE slug <> 'bank' AND"
            " (extract_stamp IS NULL OR extract_stamp <> stamp"
            " OR analytics_stamp IS NULL OR analytics_stamp <> stamp)"
        )
        looked = rows("SELECT 1 FROM extracts_remotecatalog WHERE looked_at IS NOT NULL")
        is_swept = not any((self.installation.data / "tmp").iterdir())
        return not behind and bool(looked) and is_swept

    def _do(self, task: str, *, lease: str, is_done: Callable[[], bool]) -> None:
        """Ring for a task of the upkeep, again where it was killed, and wait until it is done."""
        for _ in range(3):
            before = self._count(lease)
            self.installation.ring(f"extracts.tasks.{task}")
            wait_until(partial(self._is_over, is_done, lease, before), seconds=60)
            if is_done():
                return
        raise AssertionError(f"{task} does not come to its end.")

    def _is_over(self, is_done: Callable[[], bool], lease: str, before: int) -> bool:
        return is_done() or self._count(lease) > before

    def _count(self, lease: str) -> int:
        """Return how often a lease was taken, once it is over."""
        found = self.installation.rows(
            f"SELECT fencing FROM extracts_lease WHERE name = '{lease}'"
            " AND until < CURRENT_TIMESTAMP"
        )
        return int(found[0][0]) if found else -1

    def _is_read_again(self) -> bool:
        rows = self.installation.rows
        return bool(rows("SELECT 1 FROM extracts_scrubround WHERE finished_at IS NOT NULL"))

    def _is_mended(self) -> bool:
        rows = self.installation.rows
        is_told = rows(
            "SELECT 1 FROM catalog_incident WHERE kind = 'damaged' AND closed_at IS NULL"
        )
        return not is_told and all(self._stored(name).exists() for name in ("orders", "extra"))

    def _stored(self, table: str) -> Path:
        """Return the place of the one file that a table has in service."""
        ((sha256,),) = self.installation.rows(
            "SELECT p.sha256 FROM catalog_tablepart p JOIN catalog_table t"
            f" ON p.version_id = t.current_version_id WHERE t.name = '{table}'"
        )
        return self.installation.layout.stored(sha256)

    def _is_tidy(self) -> bool:
        rows = self.installation.rows
        named = {sha256 for (sha256,) in rows("SELECT sha256 FROM catalog_tablepart")} | {
            sha256
            for (sha256,) in rows("SELECT combined_sha256 FROM catalog_tableversion")
            if sha256
        }
        stored = {path.stem for path in (self.installation.data / "store").rglob("*.parquet")}
        runs = {str(uuid.UUID(str(pk))) for (pk,) in rows("SELECT id FROM extracts_run")}
        kept = {path.stem for path in (self.installation.data / "quarantine").glob("*.*")}
        many = rows("SELECT 1 FROM catalog_tableversion GROUP BY table_id HAVING count(*) > 1")
        return stored == named and kept <= runs and not many

    def _import(self, document: dict[str, Any]) -> None:
        text = json.dumps(document)  # which is YAML as well
        response = self._again(
            lambda: requests.post(
                f"{self.installation.url}/api/admin/import", headers=self._headers, timeout=30,
                files={"file": ("agnes.yaml", text)},
            )
        )  # fmt: skip
        assert response.ok, response.text

    def _put(self, path: str, body: object) -> None:
        self._again(lambda: self.installation.call("PUT", path, body))

    def _again(self, ask: Callable[[], Any]) -> Any:
        """Ask, and where the web process was killed meanwhile, ask once more."""
        try:
            return ask()
        except requests.ConnectionError:
            wait_until(self.installation.is_ready, seconds=30)
            return ask()

    def _write_files(self, *, day: int) -> None:
        shop = self.folder / "shop"
        _write(shop / "orders.csv", ["id,amount", *(f"{n},{n * day}.5" for n in range(2000))])
        _write(shop / "returns.csv", ["id,amount", "1,2.5", f"{day},none", f"3,{day}.5"])
        _write(shop / "extra.csv", ["id,note", "1,new"])
        _write(self.folder / "old" / "legacy.csv", ["id,amount", "1,2.5", "2,none"])
        days = {1: {"a": 1, "b": 1, "c": 1}, 2: {"a": 1, "b": 2, "d": 2}}[day]
        for file in (shop / "events").iterdir():
            if file.stem not in days:
                file.unlink()
        for name, version in days.items():
            lines = ["id,kind", *(f"{n},{name}{version}" for n in range(500))]
            _write(shop / "events" / f"{name}.csv", lines)
        _write_crm(self.folder / "crm.sqlite", day=day)

    def _leave_extract(self, *, day: int) -> None:
        """Leave an extract as a foreign producer does, its `extract.duckdb` last."""
        place = self.installation.data / "extracts" / "partner"
        (place / "data").mkdir(parents=True, exist_ok=True)
        data, extract = place / "data" / "contacts.parquet", place / "extract.duckdb"
        new_data, new_extract = (self.installation.folder / f"{day}-{n}" for n in ("data", "meta"))
        duckdb.execute(
            f"COPY (SELECT range AS id, 'day {day}' AS name FROM range(100)) TO '{new_data}'"
            " (FORMAT parquet)"
        )
        if not data.exists():  # a view can only be made over what is there
            shutil.copy(new_data, data)
        with duckdb.connect(str(new_extract)) as connection:
            connection.execute(
                "CREATE TABLE _meta (table_name VARCHAR, description VARCHAR, rows BIGINT,"
                " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR)"
            )
            connection.execute(
                "INSERT INTO _meta VALUES ('contacts', 'People', 100, 1, '2026-01-01', 'local')"
            )
            connection.execute(f"CREATE VIEW contacts AS SELECT * FROM read_parquet('{data}')")
        # Together, so that no look at the folder comes in between.
        new_data.rename(data)
        new_extract.rename(extract)


def _document(folder: Path, *, day: int) -> dict[str, Any]:
    quarantine = {"bad_rows": "quarantine", "types": {"amount": "DOUBLE"}}
    tables: dict[str, Any] = {
        "orders": {"source": "shop", "source_table": "orders.csv", "description": f"Day {day}"},
        "events": {
            "source": "shop", "source_table": "events/*.csv", "options": {"part_per_file": True},
        },
        "returns": {"source": "shop", "source_table": "returns.csv", "options": quarantine},
        "customers": {
            "source": "crm", "source_table": "customers", "sync_strategy": "incremental",
            "primary_key": ["id"], "incremental_column": "changed_at",
        },
        "people": {"source": "crm", "source_table": "people", "query_mode": "remote"},
    }  # fmt: skip
    sources: dict[str, Any] = {
        "shop": {"type": "files", "settings": {"folder": str(folder / "shop")}},
        "crm": {"type": "sqlite", "settings": {"path": str(folder / "crm.sqlite")}},
        "bank": {
            "type": "postgres",
            "settings": {"host": "db.example.com", "database": "bank", "user": "agnes"},
        },
    }
    if day == 1:
        sources["old"] = {"type": "files", "settings": {"folder": str(folder / "old")}}
        tables["legacy"] = {
            "source": "old", "source_table": "legacy.csv", "options": quarantine,
        }  # fmt: skip
    else:
        tables["extra"] = {"source": "shop", "source_table": "extra.csv"}
    return {"agnes": 1, "sources": sources, "tables": tables}


def _rot(path: Path) -> None:
    """Change what a file holds as a disk does: size, time and links stay."""
    status = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        bad = file.read(1)[0] ^ 1
        file.seek(-100, os.SEEK_END)
        file.write(bytes([bad]))
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _write(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if path.exists() and path.read_text() == text:
        return
    path.write_text(text)
    at = _NOON + sum(text.encode()) % 100_000  # another time, as the content is another
    os.utime(path, (at, at))


def _write_crm(path: Path, *, day: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS customers"
            " (id INTEGER PRIMARY KEY NOT NULL, name TEXT, changed_at TIMESTAMP)"
        )
        connection.execute("CREATE TABLE IF NOT EXISTS people (id INTEGER, name TEXT)")
        connection.executemany(
            "INSERT OR REPLACE INTO customers VALUES (?, ?, ?)",
            [
                (number, f"name {number} of day {day}", f"2026-01-0{day} 12:00:00")
                for number in range(0, 1000, 1 if day == 1 else 97)
            ],
        )
    connection.close()
