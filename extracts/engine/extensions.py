"""Load DuckDB's signed extensions from installed packages, without a network.

Each package ``duckdb-extension-<name>`` holds one extension, built and signed for exactly one
version of DuckDB, which checks the signature itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from agnes_site.core.errors import ConfigurationError
from agnes_site.core.sql import quote_literal

# What keeps DuckDB from looking for extensions in the network.
OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


class ExtensionMissingError(ConfigurationError):
    """An extension of DuckDB is not installed, or not for the running version of DuckDB."""

    code = "extension_missing"


def load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load the extension ``name``, such as ``postgres_scanner``, into ``connection``.

    Raises:
        ExtensionMissingError: its package is missing, of another version, or damaged.
    """
    path = installed_path(name)
    try:
        connection.execute(f"LOAD {quote_literal(str(path))}")
    except duckdb.Error as error:
        raise _missing(name, "cannot be loaded; its file is damaged") from error


def installed_path(name: str) -> Path:
    """Return the file of the extension ``name`` for the running version of DuckDB.

    Raises:
        ExtensionMissingError: its package is missing or of another version.
    """
    found = find_spec(f"duckdb_extension_{name}")
    places = [Path(place) for place in (found and found.submodule_search_locations) or ()]
    if not places:
        raise _missing(name, "is not installed")
    path = places[0] / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not path.is_file():
        raise _missing(name, f"is not installed for DuckDB {duckdb.__version__}")
    return path


def _missing(name: str, reason: str) -> ExtensionMissingError:
    package = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
    return ExtensionMissingError(
        f"The DuckDB extension {name} {reason}.",
        hint=f"Install {package} into the environment of the server: pip install {package}",
        extension=name,
    )
