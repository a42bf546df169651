"""What a person is told when PostgreSQL cannot be read, and that no password is among it."""

from __future__ import annotations

import socket
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import StorageFullError
from catalog import connectors
from catalog.connectors import ExtractRequest, TableRequest
from extracts.connectors.database.errors import (
    EncryptionError,
    RightMissingError,
    SignInRefusedError,
    SourceFailedError,
    SourceInterruptedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UpstreamMissingError,
)
from extracts.connectors.postgres import explaining
from extracts.engine.candidate import Candidate
from tests.extracts.connectors.postgres_server import PASSWORD
from tests.journeys.installation import wait_until


@pytest.fixture
def connector():
    return connectors.get("postgres")


@pytest.fixture
def failure(connector, server):
    """Test the connection with other settings and return the error."""

    def tried(*, password: str | None = PASSWORD, **settings) -> AgnesError:
        defaults = {"host": "127.0.0.1", "port": server.port, "database": "shop", "user": "reader"}
        config = connector.config_schema(**{**defaults, **settings})
        with pytest.raises(AgnesError) as caught:
            connector.test(config, {"password": password} if password else {})
        told = "".join(traceback.format_exception(caught.value))
        assert (password or PASSWORD) not in told + repr(caught.value.details) + caught.value.hint
        return caught.value

    return tried


def reading(connector, server, table: str, folder, *, user: str = "reader", **settings):
    config = connector.config_schema(
        host="127.0.0.1", port=server.port, database="shop", user=user, **settings
    )
    wanted = TableRequest(
        name="t", source_table=table, bucket="public", options=connector.table_schema()
    )
    return connector.extract(
        config, {"password": PASSWORD}, ExtractRequest(table=wanted), Candidate(folder)
    )


def test_says_that_the_password_is_wrong(failure):
    error = failure(password="wr'ong\\ pass=word")

    assert isinstance(error, SignInRefusedError)
    assert 'password authentication failed for user "reader"' in error.message


def test_says_that_a_password_is_needed(failure):
    assert isinstance(failure(password=None), SignInRefusedError)


def test_says_that_there_is_no_such_host(failure):
    error = failure(host="db.invalid")

    assert isinstance(error, SourceUnreachableError)
    assert "DNS" in error.hint


def test_says_that_nobody_listens(failure):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failure(port=taken.getsockname()[1])

    assert isinstance(error, SourceUnreachableError)
    assert "refused" in error.message


def test_does_not_wait_for_a_silent_server_for_ever(failure):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(port=silent.getsockname()[1], connect_timeout_seconds=2)

    assert isinstance(error, SourceUnreachableError)


def test_says_that_the_database_is_missing(failure):
    assert isinstance(failure(database="nowhere"), UpstreamMissingError)


def test_says_that_the_server_does_not_let_this_address_in(failure):
    error = failure(user="stranger", database="stranger")

    assert isinstance(error, SignInRefusedError)
    assert "pg_hba.conf" in error.hint


def test_says_that_encryption_is_required(failure):
    error = failure(database="tls_only", sslmode="disable")

    assert isinstance(error, SignInRefusedError)
    assert "sslmode" in error.hint


def test_says_that_the_certificate_is_not_trusted(failure):
    error = failure(sslmode="verify-full")

    assert isinstance(error, EncryptionError)
    assert "authority" in error.hint


def test_says_that_the_certificate_is_of_another_host(failure, server):
    error = failure(host="localhost", sslmode="verify-full", ssl_root_certificate=server.authority)

    assert isinstance(error, EncryptionError)
    assert "host name" in error.message


def test_says_that_the_file_of_the_authority_is_missing(failure):
    error = failure(sslmode="verify-full", ssl_root_certificate="/nowhere/authority.pem")

    assert isinstance(error, EncryptionError)


def test_signs_in_over_tls_with_a_trusted_certificate(connector, server):
    config = connector.config_schema(
        host="127.0.0.1", port=server.port, database="tls_only", user="reader",
        sslmode="verify-full", ssl_root_certificate=server.authority,
    )  # fmt: skip

    assert "PostgreSQL" in connector.test(config, {"password": PASSWORD}).message


def test_names_the_grant_that_is_missing(connector, server, tmp_path):
    with pytest.raises(RightMissingError) as caught:
        reading(connector, server, "pgbench_tellers", tmp_path / "run", user="nobody")

    assert 'GRANT SELECT ON "public"."pgbench_tellers" TO "nobody"' in caught.value.hint


def test_names_the_right_whatever_columns_the_table_has(connector, server, tmp_path):
    """The query of such a column holds the very words by which unreadable values are known."""
    server.execute(
        "DROP VIEW IF EXISTS behind; DROP TABLE IF EXISTS prices;"
        "CREATE TABLE prices (price numeric(9,2)); REVOKE SELECT ON prices FROM reader;"
        "CREATE VIEW behind WITH (security_invoker) AS TABLE prices;"
        "GRANT SELECT ON behind TO reader"
    )

    with pytest.raises(RightMissingError, match=r"may not read public\.prices"):
        reading(connector, server, "prices", tmp_path / "run")
    with pytest.raises(RightMissingError, match="permission denied for table prices"):
        reading(connector, server, "behind", tmp_path / "run")


def test_names_the_right_for_a_function_of_a_query(connector, server):
    server.execute(
        "CREATE OR REPLACE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42';"
        "REVOKE ALL ON FUNCTION answer FROM public"
    )
    config = connector.config_schema(
        host="127.0.0.1", port=server.port, database="shop", user="reader"
    )

    with pytest.raises(RightMissingError) as caught:
        connector.check_query(config, {"password": PASSWORD}, "SELECT answer()")

    assert 'GRANT EXECUTE ON FUNCTION "answer" TO "reader"' in caught.value.hint


def test_tells_a_failure_inside_of_a_view_as_it_is(connector, server, tmp_path):
    server.execute(
        "CREATE OR REPLACE VIEW broken AS SELECT 1 / (tid - tid) AS n FROM pgbench_tellers;"
        "GRANT SELECT ON broken TO reader"
    )

    with pytest.raises(SourceFailedError, match=r"while reading public\.broken: division by zero"):
        reading(connector, server, "broken", tmp_path / "run")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ('could not write to file "/data/tmp/spill": No space left on device', StorageFullError),
        (
            'Failed to fetch header for COPY: ERROR:  could not write to file "base/pgsql_tmp/1": '
            "No space left on device",
            SourceFailedError,
        ),
    ],
)
def test_tells_whose_disk_is_full(connector, said, error):
    config = connector.config_schema(host="db.example.com", database="shop", user="reader")

    assert isinstance(explaining.explained(f"IO Error: {said}", config=config), error)


def test_waits_for_a_locked_table_only_so_long(connector, server, tmp_path):
    with server.connect("shop") as other, other.transaction():
        other.execute("LOCK TABLE pgbench_branches IN ACCESS EXCLUSIVE MODE")

        with pytest.raises(SourceTimeoutError, match="lock timeout"):
            reading(connector, server, "pgbench_branches", tmp_path / "run", lock_timeout_seconds=1)


def test_ends_a_query_that_takes_too_long(connector, server, tmp_path):
    server.execute(
        "CREATE OR REPLACE VIEW slow AS SELECT pg_sleep(30)::text AS slept;"
        "GRANT SELECT ON slow TO reader"
    )

    with pytest.raises(SourceTimeoutError, match="statement timeout"):
        reading(connector, server, "slow", tmp_path / "run", statement_timeout_seconds=1)


@pytest.mark.hostile(53)
def test_calls_a_restart_in_the_middle_worth_another_try(connector, server, tmp_path):
    server.execute(
        "CREATE OR REPLACE VIEW endless AS SELECT n, pg_sleep(0.001)::text AS slept "
        "FROM generate_series(1, 100000) n; GRANT SELECT ON endless TO reader"
    )

    def restart() -> None:
        wait_until(lambda: server.is_asked("%endless%"), seconds=60)
        server.restart()

    with ThreadPoolExecutor(max_workers=1) as other:
        restarted = other.submit(restart)
        with pytest.raises(SourceInterruptedError) as caught:
            reading(connector, server, "endless", tmp_path / "run")
        restarted.result()

    assert caught.value.retry_after
    assert not list((tmp_path / "run" / "parts").iterdir())


def test_reads_on_after_the_restart(connector, server, tmp_path):
    result = reading(connector, server, "pgbench_tellers", tmp_path / "run")

    assert result.parts[0].rows == 10
