"""Attaching a remote catalog for a look at its tables; only ever in a child process.

The secret goes into a secret of DuckDB, which lives as long as this connection and is in no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from agnes_site.core.errors import ConfigurationError, UpstreamError
from agnes_site.core.sql import quote_identifier, quote_literal
from catalog.connectors import Attach
from extracts.engine import extensions
from extracts.engine.session import session

_SECRET = "sign_in"
# Packages of extensions that are called differently in ATTACH.
_PACKAGES = {"postgres": "postgres_scanner", "sqlite": "sqlite_scanner", "mysql": "mysql_scanner"}
_WITH_PASSWORD = frozenset(["postgres", "mysql"])


class RemoteUnreachableError(UpstreamError):
    """The remote catalog cannot be attached."""

    code = "remote_unreachable"
    hint = "“Test connection” on the page of the source says more. It is tried again by itself."


class RemoteUnsupportedError(ConfigurationError):
    """A catalog of this kind cannot be attached here."""

    code = "remote_unsupported"
    hint = "Register the tables as local ones, or ask for another kind of source."


@dataclass(frozen=True, kw_only=True)
class RemoteColumns:
    """A table of a remote catalog: where it is, and its columns as DuckDB sees them."""

    schema: str
    table: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was found by the keys that were asked for, and why something was not."""

    found: Mapping[str, RemoteColumns]
    missing: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return it as it travels to the caller."""
        found = {key: asdict(columns) for key, columns in self.found.items()}
        return {"found": found, "missing": dict(self.missing)}


def look(
    attach: Attach, *, secret: str, tables: Mapping[str, tuple[str, str]], scratch: Path
) -> Look:
    """Attach a catalog read-only and describe its ``tables``, each a schema and a name.

    An empty schema stands for that which the catalog takes by default.

    Raises:
        RemoteUnreachableError: it cannot be attached now.
        RemoteUnsupportedError: it can be attached by nothing that is installed.
    """
    with session(scratch) as connection:
        _attach(connection, attach, secret)
        default = _default_schema(connection, attach)
        found, missing = {}, {}
        for key, (schema, name) in tables.items():
            place = (schema or default, name)
            try:
                columns = _described(connection, [attach.alias, *place])
            except duckdb.Error:
                missing[key] = f"There is no table {name!r} in {place[0]!r} that can be read."
            else:
                found[key] = RemoteColumns(schema=place[0], table=name, columns=columns)
    return Look(found=found, missing=missing)


def _attach(connection: duckdb.DuckDBPyConnection, attach: Attach, secret: str) -> None:
    package = _PACKAGES.get(attach.extension)
    if package is None:
        raise RemoteUnsupportedError(f"There is no extension {attach.extension!r} to attach with.")
    extensions.load(connection, package)
    options = ["READ_ONLY", f"TYPE {attach.extension}"]
    if secret and attach.extension in _WITH_PASSWORD:
        connection.execute(
            f"CREATE SECRET {_SECRET} (TYPE {attach.extension}, PASSWORD {quote_literal(secret)})"
        )
        options.append(f"SECRET {_SECRET}")
    try:
        connection.execute(
            f"ATTACH {quote_literal(attach.url)} AS {quote_identifier(attach.alias)} "
            f"({', '.join(options)})"
        )
    except duckdb.Error as error:
        raise RemoteUnreachableError("The remote catalog cannot be attached.") from error


def _default_schema(connection: duckdb.DuckDBPyConnection, attach: Attach) -> str:
    connection.execute(f"USE {quote_identifier(attach.alias)}")
    row = connection.execute("SELECT current_schema()").fetchone()
    connection.execute("USE memory")
    return str(row[0]) if row else "main"


def _described(
    connection: duckdb.DuckDBPyConnection, place: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    rows = connection.execute(f"DESCRIBE {'.'.join(map(quote_identifier, place))}").fetchall()
    return tuple((str(name), str(kind)) for name, kind, *_ in rows)
