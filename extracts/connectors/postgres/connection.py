"""One read-only connection to PostgreSQL through DuckDB, and one snapshot for all it reads."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from agnes_site.core.errors import AgnesError
from agnes_site.core.sql import quote_identifier, quote_literal
from extracts.connectors.database.errors import CursorTypeError, EncryptionError
from extracts.connectors.database.relation import Relation, SourceColumn
from extracts.connectors.database.upstream import Upstream
from extracts.connectors.postgres import explaining
from extracts.connectors.postgres.settings import PostgresConfig, SslMode
from extracts.engine import extensions
from extracts.engine.session import session

ALIAS = "upstream"
_SECRET = "upstream_sign_in"

# Types that say what is new, and how PostgreSQL compares them byte for byte.
_TIMES = {"timestamptz": "now()", "timestamp": "(now() AT TIME ZONE 'UTC')", "date": "current_date"}
_ORDERED = {"int2", "int4", "int8", "numeric", "oid", "uuid"}
_TEXTS = {"text", "varchar", "bpchar", "name"}

# A query whose reader is gone ends by itself, where the server can notice: since version 14, and
# not on every system.
_WATCH = (
    "CASE WHEN current_setting('server_version_num')::int >= 140000 AND version() ~ 'linux' "
    "THEN set_config('client_connection_check_interval', '5s', true) END AS watch"
)

# Languages of messages: "C", "C.UTF-8", "en_GB.UTF-8", "English_United States.1252".
_ENGLISH = re.compile(r"C(\..*)?|POSIX|en.*", re.IGNORECASE)

_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class Postgres(Upstream):
    """An attached database, inside of one read-only transaction."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, config: PostgresConfig) -> None:
        self.connection = connection
        self.config = config
        self.is_english = False

    def run(self, sql: str) -> str:
        """Return DuckDB's table function for a query of PostgreSQL."""
        return f"postgres_query({quote_literal(ALIAS)}, {quote_literal(sql)})"

    def explain(self, error: Exception, relation: Relation | None = None) -> AgnesError:
        """Say what a failure means."""
        return explaining.explained(
            str(error), config=self.config, is_english=self.is_english, relation=relation
        )

    def compared(self, column: SourceColumn) -> str:
        """Return SQL for a cursor as it is compared: texts by their bytes."""
        quoted = quote_identifier(column.name)
        if column.kind in _TEXTS:
            return f'{quoted}::text COLLATE "C"'
        if column.kind in _TIMES or column.kind in _ORDERED:
            return quoted
        raise CursorTypeError(
            f"{column.name!r} cannot be the incremental column: its type is "
            f"{column.kind or column.spec.type}.",
            column=column.name,
        )

    def literal(self, column: SourceColumn, value: str, *, back: timedelta = timedelta(0)) -> str:
        """Return the value of a cursor as SQL; ``back`` counts for times only."""
        if column.kind in _TEXTS:
            return f'{quote_literal(value)}::text COLLATE "C"'
        quoted = f"{quote_literal(value)}::{column.kind}"
        if column.kind not in _TIMES or not back:
            return quoted
        span = back.days if column.kind == "date" else f"interval '{back.total_seconds()} s'"
        return f"({quoted} - {span})"

    def moment(self, column: SourceColumn, at: datetime) -> str:
        """Return a moment as SQL of the type of a column."""
        if column.kind not in _TIMES:
            raise CursorTypeError(
                f"The history of {column.name!r} cannot be limited: its type is "
                f"{column.kind or column.spec.type}, which is no time.",
                column=column.name,
            )
        text = at.isoformat() if column.kind == "timestamptz" else at.replace(tzinfo=None)
        return f"{quote_literal(str(text))}::{column.kind}"

    def newest(self, relation: Relation, column: SourceColumn) -> str | None:
        """Return the largest value of a cursor; times that are yet to come do not count."""
        value, quoted = self.compared(column), quote_identifier(column.name)
        limit = f" AND {value} <= {_TIMES[column.kind]}" if column.kind in _TIMES else ""
        if column.kind == "numeric":
            # It sorts behind every number: nothing would ever be newer.
            limit = f" AND {value} <> 'NaN'"
        rows = self.values(
            f"SELECT ({quoted})::text AS newest FROM {relation.origin} "  # noqa: S608  quoted
            f"WHERE {quoted} IS NOT NULL{limit} ORDER BY {value} DESC LIMIT 1"
        )
        return str(rows[0][0]) if rows else None

    def is_marked(self, column: SourceColumn, values: Sequence[str]) -> str:
        """Return a condition for the rows that a tombstone marks."""
        text = f"{quote_identifier(column.name)}::text"
        if values:
            listed = ", ".join(quote_literal(value) for value in values)
            return f"coalesce({text} IN ({listed}), false)"
        # A number may write its nothing as 0.00.
        return f"coalesce({text} !~ '^(false|-?0+([.]0*)?)$', false)"


@contextmanager
def connected(
    config: PostgresConfig, secrets: Mapping[str, str], scratch: Path
) -> Iterator[Postgres]:
    """Sign in and begin the transaction; DuckDB spills into ``scratch``.

    Raises:
        AgnesError: there is no way in; the message says why and never holds the password.
    """
    with session(scratch) as connection:
        extensions.load(connection, "postgres_scanner")
        upstream = Postgres(connection, config)
        with upstream.explained():
            connection.execute(_create_secret(config, secrets))
            # Views and sizes are asked for by our own queries; the catalog is never listed.
            connection.execute("SET pg_pool_max_connections = 1")
            connection.execute(
                f"ATTACH {quote_literal(connection_string(config))} AS {ALIAS} "
                f"(TYPE postgres, READ_ONLY, SECRET {_SECRET})"
            )
            connection.execute("BEGIN")
        try:
            asked = [*_settings(config), _WATCH, "current_setting('lc_messages') AS language"]
            language = str(upstream.values(f"SELECT {', '.join(asked)}")[0][-1])
            upstream.is_english = _ENGLISH.fullmatch(language) is not None
            yield upstream
        finally:
            # Left to the end of the connection, it ends the process if the server is gone.
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")


def _create_secret(config: PostgresConfig, secrets: Mapping[str, str]) -> str:
    options = {**_place(config), "database": config.database}
    del options["dbname"]
    if secrets.get("password"):
        options["password"] = secrets["password"]
    listed = ", ".join(f"{name} {quote_literal(value)}" for name, value in options.items())
    return f"CREATE SECRET {_SECRET} (TYPE postgres, {listed})"


def connection_string(config: PostgresConfig, *, is_whole: bool = False) -> str:
    """Return the options of a connection in libpq's notation, without the password.

    Those that a DuckDB secret holds are part of it where ``is_whole`` says so.
    """
    options = {
        **(_place(config) if is_whole else {}),
        "connect_timeout": str(config.connect_timeout_seconds),
        "sslmode": config.sslmode.value,
        "application_name": "agnes",
        "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "6",
    }  # fmt: skip
    if config.sslmode in (SslMode.VERIFY_CA, SslMode.VERIFY_FULL):
        options["sslrootcert"] = str(_authorities(config))
    return " ".join(f"{name}={_conninfo_value(value)}" for name, value in options.items())


def _place(config: PostgresConfig) -> dict[str, str]:
    return {
        "host": config.host, "port": str(config.port),
        "dbname": config.database, "user": config.user,
    }  # fmt: skip


def _conninfo_value(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _authorities(config: PostgresConfig) -> Path:
    """Return the file of certificates to trust.

    Raises:
        EncryptionError: there is none.
    """
    named = config.ssl_root_certificate
    standard = [ssl.get_default_verify_paths().cafile, *_AUTHORITIES]
    for place in [named] if named else [Path(each) for each in standard if each]:
        if place.is_file():
            return place
    if named:
        raise EncryptionError(f"There is no file {named} with the authority's certificate.")
    raise EncryptionError("The operating system has no file of trusted certificates.")


def _settings(config: PostgresConfig) -> list[str]:
    """Return what makes results the same everywhere, for the length of the transaction."""
    wanted = {
        "statement_timeout": f"{config.statement_timeout_seconds}s",
        "lock_timeout": f"{config.lock_timeout_seconds}s",
        "idle_in_transaction_session_timeout": "0",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
        # Rows come in the order of the table, which changes only when the table does.
        "synchronize_seqscans": "off",
        "max_parallel_workers_per_gather": "0",
    }
    return [
        f"set_config({quote_literal(name)}, {quote_literal(value)}, true) AS {name}"
        for name, value in wanted.items()
    ]
