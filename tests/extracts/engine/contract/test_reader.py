from __future__ import annotations

import pytest

from catalog.connectors import Attach, QueryMode
from extracts.engine.contract import ExtractDamagedError, ExtractInvalidError, read_extract
from tests.extracts.engine.contract.folders import META, NOON, meta_row, write_parquet


class TestReadExtract:
    def test_reports_what_meta_says(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE t (id INTEGER NOT NULL, d DECIMAL(10, 2))",
            "COMMENT ON COLUMN t.d IS 'In euros'",
            "INSERT INTO _meta VALUES ('t', 'All', 2, 3, '2026-05-04 12:00:00', 'materialized')",
        )

        (found,) = read_extract(path).tables

        assert (found.name, found.description, found.rows, found.size_bytes) == ("t", "All", 2, 3)
        assert found.extracted_at == NOON
        assert found.query_mode is QueryMode.MATERIALIZED
        assert found.files is None
        assert [(c.name, c.type, c.nullable, c.description) for c in found.columns] == [
            ("id", "INTEGER", False, ""),
            ("d", "DECIMAL(10,2)", True, "In euros"),
        ]

    def test_accepts_integer_counts_and_missing_optional_columns(self, foreign):
        path = foreign(
            "CREATE TABLE _meta (table_name VARCHAR, rows INTEGER)",
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', NULL)",
        )

        (found,) = read_extract(path).tables

        assert (found.rows, found.size_bytes, found.query_mode) == (0, 0, QueryMode.LOCAL)
        assert found.extracted_at is None

    @pytest.mark.parametrize(
        "source",
        [
            "read_parquet('{folder}/data/orders.parquet')",
            "parquet_scan('{folder}/data/orders.parquet')",
            "'{folder}/data/orders.parquet'",
            "read_parquet(['{folder}/data/orders.parquet'], union_by_name = true)",
        ],
    )
    def test_finds_the_file_of_a_plain_view(self, foreign, source):
        path = foreign(META, f"CREATE VIEW orders AS SELECT * FROM {source}", meta_row("orders"))

        (found,) = read_extract(path).tables

        assert found.files == (path.parent / "data/orders.parquet",)

    def test_finds_the_files_of_a_glob(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW months AS FROM read_parquet('{folder}/data/months/*.parquet')",
            meta_row("months"),
        )

        (found,) = read_extract(path).tables

        assert [file.name for file in found.files] == ["2026-01.parquet", "2026-02.parquet"]

    def test_finds_no_files_where_they_are_gone(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW months AS FROM read_parquet('{folder}/data/months/*.parquet')",
            meta_row("months"),
        )
        for file in (path.parent / "data/months").iterdir():
            file.unlink()

        (found,) = read_extract(path).tables

        assert found.files == ()

    @pytest.mark.parametrize(
        "select",
        [
            "SELECT id + 1 AS id FROM read_parquet('{folder}/data/orders.parquet')",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') WHERE id > 0",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') LIMIT 1",
            "SELECT DISTINCT * FROM read_parquet('{folder}/data/orders.parquet')",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet', filename = true)",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet'), range(2)",
            "SELECT * FROM read_parquet('{folder}/data/orders.parquet') USING SAMPLE 1",
        ],
    )
    def test_leaves_the_rest_to_evaluation(self, foreign, select):
        path = foreign(META, f"CREATE VIEW orders AS {select}", meta_row("orders"))

        (found,) = read_extract(path).tables

        assert found.files is None

    def test_leaves_renamed_columns_to_evaluation(self, foreign):
        path = foreign(
            META,
            "CREATE VIEW orders (x, y) AS FROM read_parquet('{folder}/data/orders.parquet')",
            meta_row("orders"),
        )

        assert read_extract(path).tables[0].files is None

    def test_leaves_folders_that_add_columns_to_evaluation(self, foreign):
        path = foreign(META)
        write_parquet(path.parent / "data/hive/month=1/a.parquet")
        path = foreign(
            META,
            "CREATE VIEW hive AS FROM read_parquet('{folder}/data/hive/*/*.parquet')",
            meta_row("hive"),
        )

        (found,) = read_extract(path).tables

        assert [column.name for column in found.columns] == ["id", "letter", "month"]
        assert found.files is None

    @pytest.mark.hostile(20)
    def test_takes_no_file_from_outside_its_folder_for_its_own(self, foreign, tmp_path):
        write_parquet(tmp_path / "outside.parquet")
        path = foreign(META)
        (path.parent / "data/link.parquet").symlink_to(tmp_path / "outside.parquet")
        path = foreign(
            META,
            f"CREATE VIEW direct AS FROM read_parquet('{tmp_path}/outside.parquet')",
            f"CREATE VIEW dots AS FROM read_parquet('{path.parent}/../../outside.parquet')",
            f"CREATE VIEW globbed AS FROM read_parquet('{tmp_path}/*.parquet')",
            "CREATE VIEW linked AS FROM read_parquet('{folder}/data/link.parquet')",
            *map(meta_row, ["direct", "dots", "globbed", "linked"]),
        )

        assert [found.files for found in read_extract(path).tables] == [None] * 4

    def test_reports_remote_tables_and_their_catalog(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE _remote_attach (alias VARCHAR, extension VARCHAR, url VARCHAR,"
            " token_env VARCHAR)",
            "INSERT INTO _remote_attach VALUES ('kbc', 'keboola', 'https://x', 'KBC_TOKEN')",
            "ATTACH ':memory:' AS kbc",
            "CREATE TABLE kbc.main.t (a INTEGER)",
            "CREATE VIEW sales AS SELECT * FROM kbc.main.t",
            meta_row("sales", "remote"),
        )

        extract = read_extract(path)

        assert extract.remote == (
            Attach(alias="kbc", extension="keboola", url="https://x", token_name="KBC_TOKEN"),
        )
        assert extract.tables[0].is_remote

    def test_skips_and_names_rows_it_cannot_use(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE good AS SELECT 1 AS a",
            'CREATE TABLE "x; y" AS SELECT 1 AS a',
            *map(meta_row, ["good", "GOOD", "missing", "../x", "x; y", "_meta"]),
            "CREATE TABLE odd AS SELECT 1 AS a",
            meta_row("odd", "sometimes"),
        )

        extract = read_extract(path)

        assert [found.name for found in extract.tables] == ["good"]
        assert {left.table: left.reason for left in extract.skipped} == {
            "GOOD": "The extract lists this table twice.",
            "missing": "The extract has no table or view of this name.",
            "../x": "This cannot be the name of a table.",
            "x; y": "This cannot be the name of a table.",
            "_meta": "This cannot be the name of a table.",
            "odd": "There is no query mode 'sometimes'.",
        }

    def test_looks_only_for_the_table_it_is_asked_for(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE orders AS SELECT 1 AS a",
            "CREATE TABLE people AS SELECT 1 AS a",
            *map(meta_row, ["orders", "people", "../x"]),
        )

        extract = read_extract(path, only="People")

        assert [found.name for found in extract.tables] == ["people"]
        assert extract.skipped == ()

    @pytest.mark.hostile(21)
    def test_survives_counts_that_no_database_has(self, foreign):
        path = foreign(
            "CREATE TABLE _meta (table_name VARCHAR, rows UBIGINT, size_bytes INTEGER)",
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', 18446744073709551615, -1)",
        )

        (found,) = read_extract(path).tables

        assert (found.rows, found.size_bytes) == (2**63 - 1, 0)

    @pytest.mark.hostile(21)
    def test_survives_dates_that_python_has_not(self, foreign):
        path = foreign(
            META,
            "CREATE TABLE t AS SELECT 1 AS a",
            "INSERT INTO _meta VALUES ('t', '', 1, 1, 'infinity', 'local')",
        )

        assert read_extract(path).tables[0].extracted_at is None

    def test_accepts_a_view_in_the_place_of_meta(self, foreign):
        path = foreign(
            "CREATE TABLE good AS SELECT 1 AS a",
            "CREATE VIEW _meta AS SELECT 'good' AS table_name",
        )

        assert [found.name for found in read_extract(path).tables] == ["good"]

    @pytest.mark.hostile(20)
    def test_evaluates_nothing_that_lies_outside(self, foreign, tmp_path):
        (tmp_path / "secret.csv").write_text("table_name\ngood\n")
        path = foreign(
            "CREATE TABLE good AS SELECT 1 AS a",
            f"CREATE VIEW _meta AS SELECT * FROM read_csv('{tmp_path}/secret.csv')",
        )

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE unrelated (a INTEGER)",
            "CREATE TABLE _meta (name VARCHAR)",
            "CREATE TABLE _meta (table_name VARCHAR, rows VARCHAR)",
        ],
    )
    def test_refuses_a_database_that_does_not_keep_the_contract(self, foreign, statement):
        with pytest.raises(ExtractInvalidError):
            read_extract(foreign(statement))
