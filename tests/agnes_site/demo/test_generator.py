from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from agnes_site.core.errors import InvalidInputError
from agnes_site.demo import generator

ROOT = Path(__file__).parents[3]


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def counts(*, scale: float) -> dict[str, int]:
    with generator.connect(scale=scale) as company:
        names = [name for (name,) in company.execute("SHOW TABLES").fetchall()]
        return {name: len(company.table(name)) for name in names}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A company in files: the folder and what the generator says about it."""
    folder = tmp_path_factory.mktemp("company")
    return folder, generator.generate(folder, scale=0.02)


class TestGenerate:
    def test_writes_the_same_bytes_in_another_process(self, written, tmp_path):
        folder, _tables = written

        subprocess.run(
            [sys.executable, "-m", "agnes_site.demo.generator", tmp_path, "--scale", "0.02"],
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland", "PATH": ""},
            capture_output=True,
        )

        assert contents(tmp_path) == contents(folder)

    def test_writes_the_same_bytes_again_over_its_own_files(self, written, tmp_path):
        folder, _tables = written
        generator.generate(tmp_path, scale=0.02, seed=7)

        generator.generate(tmp_path, scale=0.02)

        assert contents(tmp_path) == contents(folder)

    def test_writes_other_data_for_another_seed(self, written, tmp_path):
        folder, _tables = written

        generator.generate(tmp_path, scale=0.02, seed=43)

        before, after = contents(folder), contents(tmp_path)
        same = {name for name in before if before[name] == after.get(name)}
        assert same == {"plans.csv"}

    def test_writes_what_connect_holds(self, written):
        folder, tables = written

        with generator.connect(scale=0.02) as company:
            for table in tables:
                reader = "read_parquet" if table.pattern.endswith("parquet") else "read_csv"
                company.execute(f"CREATE VIEW found AS FROM {reader}('{folder / table.pattern}')")
                wrong = company.execute(f"""
                    SELECT count(*) FROM (
                        (FROM {table.name} EXCEPT ALL FROM found)
                        UNION ALL (FROM found EXCEPT ALL FROM {table.name})
                    )
                """).fetchone()
                company.execute("DROP VIEW found")

                assert wrong == (0,), table.name

    def test_describes_what_it_wrote(self, written):
        folder, tables = written

        assert {path for table in tables for path in table.files} == {
            path for path in folder.rglob("*") if path.is_file()
        }
        for table in tables:
            assert table.description.endswith(".")
            assert sorted(folder.glob(table.pattern)) == list(table.files)
            assert table.bytes == sum(len(path.read_bytes()) for path in table.files)
            assert table.primary_key.endswith("_id")

    def test_uses_every_format_a_folder_of_files_may_hold(self, written):
        _folder, tables = written
        patterns = {table.name: table.pattern for table in tables}

        assert patterns["plans"] == "plans.csv"
        assert patterns["users"] == "users.csv.gz"
        assert patterns["subscriptions"] == "subscriptions.parquet"
        assert patterns["usage_events"] == "usage_events/*.csv.gz"
        events = next(table for table in tables if table.name == "usage_events")
        assert [path.name for path in events.files][-1] == "2026-10.csv.gz"
        assert len(events.files) == 34

    def test_leaves_other_files_alone_and_removes_months_that_are_gone(self, tmp_path):
        generator.generate(tmp_path, scale=0.01, until=date(2024, 6, 1))
        (tmp_path / "notes.txt").write_text("mine")

        generator.generate(tmp_path, scale=0.01, until=date(2024, 4, 1))

        months = sorted(path.name for path in (tmp_path / "usage_events").iterdir())
        assert months == ["2024-01.csv.gz", "2024-02.csv.gz", "2024-03.csv.gz"]
        assert (tmp_path / "notes.txt").read_text() == "mine"


class TestUntil:
    @pytest.mark.parametrize("until", [date(2026, 4, 1), date(2026, 9, 17)])
    def test_only_adds_rows_when_it_moves_on(self, until):
        settled = {
            "customers": "customer_id, name, email, segment, signed_up_at",
            "users": "*",
            "subscriptions": "* EXCLUDE (ended_on, end_reason)",
            "invoices": "* EXCLUDE (paid_on, status)",
            "web_sessions": "*",
            "usage_events": "*",
            "support_tickets": "ticket_id, customer_id, user_id, subject, created_at",
            "opportunities": "opportunity_id, customer_id, plan_id, kind, amount, created_on",
            "infrastructure_costs": "*",
        }
        with (
            generator.connect(scale=0.02, until=until) as earlier,
            generator.connect(scale=0.02) as later,
        ):
            for table, columns in settled.items():
                before = earlier.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
                after = later.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()

                assert 0 < len(before) < len(after), table
                assert set(before) <= set(after), table

    def test_refuses_a_day_before_the_company(self):
        with pytest.raises(InvalidInputError):
            generator.connect(until=generator.BUSINESS_START)


class TestScale:
    def test_one_is_about_a_million_rows(self):
        assert 800_000 < sum(counts(scale=1).values()) < 1_200_000

    def test_changes_the_number_of_rows_in_proportion(self):
        small, large = counts(scale=0.1), counts(scale=0.3)

        assert large["customers"] == pytest.approx(3 * small["customers"], abs=3)
        assert large["web_sessions"] == pytest.approx(3 * small["web_sessions"], rel=0.01)
        for table in ("subscriptions", "invoices", "usage_events", "support_tickets"):
            assert large[table] == pytest.approx(3 * small[table], rel=0.2)
        assert large["plans"] == small["plans"] == 8

    @pytest.mark.parametrize("scale", [0, -1, float("nan")])
    def test_refuses_what_is_no_size(self, scale):
        with pytest.raises(InvalidInputError):
            generator.connect(scale=scale)


class TestConnect:
    def test_does_not_depend_on_the_number_of_threads(self):
        digest = "SELECT sum(hash(rows)) FROM usage_events AS rows"
        with (
            duckdb.connect(config={"threads": 1}) as alone,
            duckdb.connect(config={"threads": 4}) as together,
        ):
            generator.fill(alone, scale=0.3)
            generator.fill(together, scale=0.3)

            assert alone.execute(digest).fetchone() == together.execute(digest).fetchone()

    def test_leaves_nothing_but_the_tables(self, company):
        schemas = company.execute(
            "SELECT DISTINCT schema_name FROM duckdb_tables() ORDER BY ALL"
        ).fetchall()

        assert schemas == [("main",)]


class TestDocumentation:
    def test_names_every_table_and_column(self, company):
        page = (ROOT / "docs" / "demo-company.md").read_text(encoding="utf-8")

        for (table,) in company.execute("SHOW TABLES").fetchall():
            section = page.partition(f"\n### {table}\n")[2].partition("\n### ")[0]
            documented = [
                line.split("`")[1] for line in section.splitlines() if line.startswith("| `")
            ]
            assert documented == company.table(table).columns, table


class TestCommand:
    def test_lists_names_rows_and_bytes(self, tmp_path):
        result = CliRunner().invoke(
            generator.main, [str(tmp_path), "--scale", "0.01", "--seed", "5", "--list"]
        )

        lines = result.stdout.splitlines()
        assert result.exit_code == 0
        assert lines[1].split()[:3] == ["plans", "8", str((tmp_path / "plans.csv").stat().st_size)]
        assert len(lines) == 11

    def test_says_what_is_wrong_with_the_scale(self, tmp_path):
        result = CliRunner().invoke(generator.main, [str(tmp_path / "company"), "--scale", "0"])

        assert result.exit_code == 1
        assert "scale" in result.stderr
        assert not (tmp_path / "company").exists()
