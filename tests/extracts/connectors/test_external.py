import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from agnes_site.core.errors import InvalidInputError
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.external.connector import (
    ExternalConfig,
    ExternalConnector,
    ExternalTable,
    FilesChangingError,
    FilesMissingError,
    InnerTableMissingError,
)
from extracts.connectors.external.evaluation import EvaluationError, EvaluationLostError, evaluated
from extracts.connectors.external.files import ReachesOutsideError, opened_inside
from extracts.engine import landlock
from extracts.engine.candidate import Candidate

ROOT = Path(__file__).resolve().parents[3]
META = (
    "CREATE TABLE _meta (table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT,"
    " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local')"
)


class MeddledCandidate(Candidate):
    """A candidate during whose making somebody else does something."""

    def __init__(self, folder, meddle):
        super().__init__(folder)
        self.meddle = meddle

    def copy(self, path, *, key=""):
        part = super().copy(path, key=key)
        self.meddle()
        return part


def write_parquet(path, query="SELECT 1 AS id, 'a' AS letter"):
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "extracts" / "shop"
    write_parquet(folder / "data/orders.parquet")
    write_parquet(folder / "data/months/2026-01.parquet", "SELECT 1 AS id")
    write_parquet(folder / "data/months/2026-02.parquet", "SELECT 2 AS id")
    return folder


@pytest.fixture
def produce(folder):
    """Write the extract: tables by name and how each is made; ``{folder}`` is its place."""

    def write(*others, **tables):
        beside = folder / "extract.duckdb.tmp"
        with duckdb.connect(beside) as connection:
            connection.execute(META)
            for name, definition in tables.items():
                kind, _, query = definition.replace("{folder}", str(folder)).partition(" ")
                connection.execute(f'CREATE {kind} "{name}" AS {query}')
                connection.execute("INSERT INTO _meta (table_name) VALUES (?)", [name])
            for statement in others:
                connection.execute(statement)
        beside.rename(folder / "extract.duckdb")

    return write


@pytest.fixture
def extract(folder, tmp_path):
    """Extract one table as a run would, into a candidate of its own."""

    def run(name, *, state=None, out=None):
        out = out or Candidate(Path(tempfile.mkdtemp(dir=tmp_path)))
        table = TableRequest(name=name, source_table=name, options=ExternalTable())
        request = ExtractRequest(table=table, state=state or {})
        return ExternalConnector().extract(ExternalConfig(folder=folder), {}, request, out)

    return run


ORDERS = "VIEW SELECT * FROM read_parquet('{folder}/data/orders.parquet')"
MONTHS = "VIEW SELECT * FROM read_parquet('{folder}/data/months/*.parquet')"


class TestExternalConfig:
    def test_refuses_a_relative_folder(self):
        with pytest.raises(ValidationError, match="beginning with /"):
            ExternalConfig(folder="extracts/shop")


class TestConnection:
    def test_says_what_the_extract_shows_and_what_it_skips(self, folder, produce):
        produce("INSERT INTO _meta (table_name) VALUES ('../x')", orders=ORDERS)

        health = ExternalConnector().test(ExternalConfig(folder=folder), {})

        assert health.message == "The extract shows 1 tables."
        assert health.details == {"skipped": {"../x": "This cannot be the name of a table."}}


class TestDiscover:
    def test_yields_tables_with_columns_and_description(self, folder, produce):
        produce("UPDATE _meta SET description = 'What was sold', rows = 7", orders=ORDERS)

        (spec,) = ExternalConnector().discover(ExternalConfig(folder=folder), {})

        assert (spec.name, spec.source_table, spec.rows) == ("orders", "orders", 7)
        assert spec.description == "What was sold"
        assert [(column.name, column.type) for column in spec.columns] == [
            ("id", "INTEGER"),
            ("letter", "VARCHAR"),
        ]

    def test_says_which_tables_are_remote(self, folder, produce):
        produce(
            "UPDATE _meta SET query_mode = 'remote' WHERE table_name = 'sales'",
            orders=ORDERS,
            sales="TABLE SELECT 1 AS a",
        )

        specs = ExternalConnector().discover(ExternalConfig(folder=folder), {})

        assert {spec.name: spec.query_mode for spec in specs} == {
            "orders": "local", "sales": "remote",
        }  # fmt: skip


class TestExtractingPlainParquet:
    def test_copies_the_bytes(self, folder, produce, extract):
        produce(orders=ORDERS)

        (part,) = extract("orders").parts

        assert part.key == ""
        assert part.path.read_bytes() == (folder / "data/orders.parquet").read_bytes()
        assert part.path.stat().st_ino != (folder / "data/orders.parquet").stat().st_ino

    def test_makes_each_file_a_part(self, produce, extract):
        produce(months=MONTHS)

        result = extract("months")

        assert [part.key for part in result.parts] == ["2026-01", "2026-02"]
        assert result.is_complete

    def test_evaluates_files_whose_names_do_not_tell_them_apart(self, folder, produce, extract):
        write_parquet(folder / "data/years/a/1.parquet", "SELECT 1 AS id")
        write_parquet(folder / "data/years/b/1.parquet", "SELECT 2 AS id")
        produce(years="VIEW SELECT * FROM read_parquet('{folder}/data/years/*/*.parquet')")

        (part,) = extract("years").parts

        assert (part.key, part.rows) == ("", 2)

    def test_evaluates_files_whose_names_cannot_be_keys(self, folder, produce, extract):
        (folder / "data/months/2026-02.parquet").rename(folder / "data/months/Únor 2026.parquet")
        produce(months=MONTHS)

        (part,) = extract("months").parts

        assert (part.key, part.rows) == ("", 2)

    @pytest.mark.hostile(17)
    def test_copies_a_damaged_page_as_it_is(self, folder, produce, extract):
        path = folder / "data/orders.parquet"
        damaged = bytearray(path.read_bytes())
        damaged[10] ^= 1
        produce(orders=ORDERS)
        path.write_bytes(damaged)

        (part,) = extract("orders").parts

        assert part.path.read_bytes() == damaged

    @pytest.mark.hostile(17)
    def test_names_a_file_that_is_no_parquet(self, folder, produce, extract):
        produce(orders=ORDERS)
        (folder / "data/orders.parquet").write_bytes(b"damaged")

        with pytest.raises(InvalidInputError, match=r"orders\.parquet"):
            extract("orders")

    def test_notices_a_file_that_changes_meanwhile(self, folder, produce, extract, tmp_path):
        def write_in_place():
            with (folder / "data/orders.parquet").open("ab") as file:
                file.write(b"more")

        produce(orders=ORDERS)

        with pytest.raises(FilesChangingError):
            extract("orders", out=MeddledCandidate(tmp_path / "meddled", write_in_place))

    def test_notices_a_file_that_is_replaced_meanwhile(self, folder, produce, extract, tmp_path):
        def replace():
            write_parquet(folder / "data/new.parquet").rename(folder / "data/orders.parquet")

        produce(orders=ORDERS)

        with pytest.raises(FilesChangingError):
            extract("orders", out=MeddledCandidate(tmp_path / "meddled", replace))

    def test_asks_to_come_back_when_files_are_missing(self, folder, produce, extract):
        produce(months=MONTHS, orders=ORDERS)
        shutil.rmtree(folder / "data")

        for name in ("months", "orders"):
            with pytest.raises(FilesMissingError):
                extract(name)

    def test_names_a_table_that_the_extract_does_not_show(self, produce, extract):
        produce(orders=ORDERS)

        with pytest.raises(InnerTableMissingError):
            extract("people")


class TestExtractingAgain:
    @pytest.mark.parametrize("definition", [ORDERS, MONTHS, "TABLE SELECT 1 AS id"])
    def test_brings_nothing_while_nothing_changed(self, produce, extract, definition):
        produce(t=definition)
        state = extract("t").state

        again = extract("t", state=state)

        assert again.is_unchanged
        assert again.parts == ()
        assert again.state == state

    def test_brings_a_file_that_was_written_in_place(self, folder, produce, extract):
        produce(orders=ORDERS)
        path = folder / "data/orders.parquet"
        state = extract("orders").state
        content, status = path.read_bytes(), path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        assert not extract("orders", state=state).is_unchanged

    def test_brings_a_table_whose_extract_was_replaced(self, produce, extract):
        produce(t="TABLE SELECT 1 AS id")
        state = extract("t").state
        produce(t="TABLE SELECT 2 AS id")

        result = extract("t", state=state)

        assert pq.read_table(result.parts[0].path).to_pylist() == [{"id": 2}]

    def test_brings_a_part_that_was_added(self, folder, produce, extract):
        produce(months=MONTHS)
        state = extract("months").state
        write_parquet(folder / "data/months/2026-03.parquet", "SELECT 3 AS id")

        assert len(extract("months", state=state).parts) == 3


class TestEvaluating:
    def test_brings_the_rows_of_an_inner_table(self, produce, extract):
        produce(t="TABLE SELECT range AS id, 'row ' || range AS text FROM range(50000)")

        (part,) = extract("t").parts

        rows = pq.read_table(part.path)
        assert part.rows == rows.num_rows == 50_000
        assert sorted(rows.column("id").to_pylist())[-1] == 49_999

    def test_brings_the_rows_of_a_view_over_its_own_files(self, produce, extract):
        produce(double="VIEW SELECT id * 2 AS id FROM read_parquet('{folder}/data/orders.parquet')")

        (part,) = extract("double").parts

        assert pq.read_table(part.path).to_pylist() == [{"id": 2}]

    def test_brings_types_that_need_time_zones_and_nesting(self, produce, extract):
        produce(
            t="TABLE SELECT TIMESTAMPTZ '2026-05-04 12:00:00+02' AS at, [1, 2] AS list,"
            " {'a': 1} AS struct, 1.5::DECIMAL(10, 2) AS amount"
        )

        (part,) = extract("t").parts

        assert pq.read_table(part.path).to_pylist()[0]["list"] == [1, 2]

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT * FROM read_parquet('{outside}/secret.parquet')",
            "SELECT * FROM read_parquet('{outside}/*.parquet')",
            "SELECT * FROM read_parquet('{folder}/../../secret.parquet')",
            "SELECT * FROM read_parquet('{folder}/data/link.parquet')",
            "SELECT * FROM read_parquet('{folder}/linked/secret.parquet')",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT 1 + (SELECT count(*) FROM read_csv('/etc/passwd', header = false)) AS n",
        ],
    )
    @pytest.mark.hostile(20)
    def test_refuses_what_lies_outside_of_the_folder(
        self, folder, produce, extract, tmp_path, query
    ):
        write_parquet(tmp_path / "secret.parquet", "SELECT 'secret' AS word")
        (folder / "data/link.parquet").symlink_to(tmp_path / "secret.parquet")
        (folder / "linked").symlink_to(tmp_path)
        produce(t="VIEW " + query.replace("{outside}", str(tmp_path)))

        with pytest.raises(ReachesOutsideError):
            extract("t")

    def test_opens_no_pipe(self, folder, produce, extract):
        os.mkfifo(folder / "data/pipe.csv")
        produce(t="TABLE SELECT 1 AS id")

        with pytest.raises(ReachesOutsideError, match=r"pipe\.csv"):
            extract("t")

    def test_reports_what_duckdb_says(self, folder, produce, extract):
        produce(t="VIEW SELECT id + 1 AS id FROM read_parquet('{folder}/data/orders.parquet')")
        write_parquet(folder / "data/orders.parquet", "SELECT 1 AS other")

        with pytest.raises(EvaluationError, match="Binder Error"):
            extract("t")

    def test_reports_a_failure_in_the_middle(self, produce, extract):
        produce(
            t="VIEW SELECT CASE WHEN range = 2000000 THEN error('broken row') ELSE 'x' END AS x"
            " FROM range(3000000)"
        )

        with pytest.raises(EvaluationError, match="broken row"):
            extract("t")

    def test_does_not_take_a_lost_process_for_the_end_of_the_rows(self, folder, produce, tmp_path):
        produce(t="VIEW SELECT range AS x FROM range(100000000000)")

        def read_on_after_a_kill():
            with evaluated(folder, "t", scratch=tmp_path) as batches:
                batches.read_next_batch()
                os.kill(_evaluators()[0], signal.SIGKILL)
                for _ in batches:
                    pass

        with pytest.raises(EvaluationLostError):
            read_on_after_a_kill()

    def test_leaves_no_process_and_no_file_behind_when_the_caller_gives_up(
        self, folder, produce, tmp_path
    ):
        produce(t="VIEW SELECT range AS x FROM range(100000000000)")
        scratch = tmp_path / "scratch"
        scratch.mkdir()

        def give_up_after_a_batch():
            with evaluated(folder, "t", scratch=scratch) as batches:
                batches.read_next_batch()
                raise KeyError

        with pytest.raises(KeyError):
            give_up_after_a_batch()

        assert _evaluators() == []
        assert list(scratch.iterdir()) == []

    def test_leaves_no_process_behind_when_the_caller_is_killed(self, folder, produce, tmp_path):
        produce(t="VIEW SELECT range AS x FROM range(100000000000)")
        code = f"""
import os
from pathlib import Path
from extracts.connectors.external.evaluation import evaluated
with evaluated(Path("{folder}"), "t", scratch=Path("{tmp_path}")) as batches:
    batches.read_next_batch()
    print(Path(f"/proc/self/task/{{os.getpid()}}/children").read_text(), flush=True)
    for _ in batches:
        pass
"""
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as caller:
            evaluator = os.pidfd_open(int(caller.stdout.readline()))
            caller.kill()

        # A pidfd becomes readable when its process has ended.
        ended, _, _ = select.select([evaluator], [], [], 10)
        os.close(evaluator)
        assert ended


def _evaluators():
    """Return the evaluating processes that this one started."""
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
    running = []
    for pid in map(int, children):
        if b"external.evaluator" in Path(f"/proc/{pid}/cmdline").read_bytes():
            running.append(pid)
    return running


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock")
@pytest.mark.hostile(20)
class TestTheWallOfTheEvaluator:
    def test_holds_where_duckdb_has_none(self, folder, tmp_path):
        (tmp_path / "secret").write_text("secret")
        # The evaluator's own order of steps, with code instead of a table behind the wall.
        attempt = f"""
import os
import sys
from pathlib import Path
import duckdb
from extracts.connectors.external import evaluator

def attack(connection, path, *, threads):
    for place in ("{folder}/data/orders.parquet", "{tmp_path}/secret"):
        try:
            print(Path(place).stat().st_size > 0 and len(Path(place).read_bytes()) > 0)
        except PermissionError:
            print("refused")
    try:
        Path("{folder}/data/orders.parquet").write_bytes(b"")
    except PermissionError:
        print("refused")
    sys.stdout.flush()
    raise duckdb.Error("done")

evaluator.attach = attack
evaluator.main(Path("{folder}"), "t", Path("{tmp_path}/spill"), -1, os.getppid())
"""
        (tmp_path / "spill").mkdir()

        done = subprocess.run(
            [sys.executable, "-c", attempt],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip

        assert done.stdout.split() == ["True", "refused", "refused"]


class TestPreview:
    def test_returns_the_first_rows(self, folder, produce):
        produce(t="TABLE SELECT range AS id FROM range(1000)", months=MONTHS)
        connector, config = ExternalConnector(), ExternalConfig(folder=folder)

        tables = [
            connector.preview(
                config, {}, TableRequest(name=name, source_table=name, options=ExternalTable()), 1
            )
            for name in ("t", "months")
        ]

        assert [table.num_rows for table in tables] == [1, 1]


@pytest.mark.hostile(20)
class TestOpenedInside:
    def test_yields_the_file_that_was_checked_whatever_happens_to_its_name(self, folder, tmp_path):
        (tmp_path / "secret").write_text("secret")
        path = folder / "data/plain"
        path.write_text("plain")

        with opened_inside(folder, path, scratch=tmp_path) as opened:
            path.unlink()
            path.symlink_to(tmp_path / "secret")

            assert opened.read_text() == "plain"

    def test_refuses_links_that_lead_out_and_pipes(self, folder, tmp_path):
        (tmp_path / "secret").write_text("secret")
        (folder / "data/link").symlink_to(tmp_path / "secret")
        os.mkfifo(folder / "data/pipe")

        for name in ("link", "pipe"):
            with (
                pytest.raises(ReachesOutsideError),
                opened_inside(folder, folder / "data" / name, scratch=tmp_path),
            ):
                pass
