"""A PostgreSQL that does not speak English: nothing it says is taken for something else."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from catalog import connectors
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.database.errors import (
    QueryRefusedError,
    RightMissingError,
    SourceFailedError,
    SourceTimeoutError,
    UpstreamMissingError,
    ValueUnreadableError,
)
from extracts.engine.candidate import Candidate
from tests.extracts.connectors import postgres_server
from tests.extracts.connectors.postgres_server import PASSWORD, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that speaks German, with a locale that was made for it."""
    if not shutil.which("localedef") or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip("the definitions of locales are not installed")
    with (
        pytest.MonkeyPatch.context() as patched,
        postgres_server.running() as server,
    ):
        # Where the user of the server can read it.
        locales = server.folder / "locales"
        locales.mkdir(mode=0o755)
        locale = str(locales / "de_DE.UTF-8")
        subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", locale], check=True)
        patched.setenv("LOCPATH", str(locales))
        server.control("restart")
        try:
            server.execute("ALTER SYSTEM SET lc_messages = 'de_DE.UTF-8'")
        except psycopg.Error:
            pytest.skip("the server cannot use the locale")
        server.control("restart")
        with server.connect() as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT 1 / 0")
        if "Division durch Null" not in str(caught.value):
            pytest.skip("PostgreSQL's translations are not installed")
        yield server


@pytest.fixture
def connector():
    return connectors.get("postgres")


@pytest.fixture
def config(connector, server):
    return connector.config_schema(
        host="127.0.0.1", port=server.port, database="shop", user="reader"
    )


@pytest.fixture
def read(connector, config, tmp_path):
    def bring(table: str, **changes) -> None:
        wanted = TableRequest(name="t", source_table=table, options=connector.table_schema())
        connector.extract(
            config.model_copy(update=changes), {"password": PASSWORD},
            ExtractRequest(table=wanted), Candidate(tmp_path / "run"),
        )  # fmt: skip

    return bring


def test_that_refuses_to_let_somebody_in_is_quoted(connector, config):
    with pytest.raises(SourceFailedError, match="Passwort-Authentifizierung") as caught:
        connector.test(config, {"password": "wrong"})

    assert "user, password and database" in caught.value.hint


def test_that_refuses_a_query_is_quoted(connector, config):
    with pytest.raises(QueryRefusedError, match=r"^PostgreSQL: Spalte »nope« existiert nicht"):
        connector.check_query(config, {"password": PASSWORD}, "SELECT nope FROM pgbench_tellers")


def test_is_not_misunderstood_by_what_a_query_holds(connector, config):
    query = "SELECT 'too many clients ERROR: statement timeout' FROM nix nox noo"

    with pytest.raises(QueryRefusedError, match=r"^PostgreSQL: Syntaxfehler bei »noo«"):
        connector.check_query(config, {"password": PASSWORD}, query)


def test_is_asked_about_rights_and_tables_without_words(read, server):
    server.execute("CREATE TABLE hidden (n numeric(9,2)); REVOKE SELECT ON hidden FROM reader")

    with pytest.raises(RightMissingError) as caught:
        read("hidden")
    with pytest.raises(UpstreamMissingError):
        read("gone")

    assert 'GRANT SELECT ON "public"."hidden" TO "reader"' in caught.value.hint


def test_still_names_the_column_of_a_value_that_cannot_be_read(read, server):
    server.execute("CREATE TABLE odd (n numeric(9,2)); INSERT INTO odd VALUES ('NaN')")

    with pytest.raises(ValueUnreadableError, match=r"^Column n holds .*: NaN\.$"):
        read("odd")


def test_says_more_once_it_speaks_english(read, server):
    server.execute("CREATE VIEW slow AS SELECT pg_sleep(30)::text; GRANT SELECT ON slow TO reader")

    with pytest.raises(SourceFailedError, match="Zeitüberschreitung") as caught:
        read("slow", statement_timeout_seconds=1)
    server.execute(caught.value.hint.partition(" by ")[2].removesuffix("."))

    try:
        with pytest.raises(SourceTimeoutError):
            read("slow", statement_timeout_seconds=1)
    finally:
        server.execute("ALTER ROLE reader RESET lc_messages")
