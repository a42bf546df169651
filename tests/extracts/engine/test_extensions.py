from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path

import duckdb
import pytest

from extracts.engine import extensions
from extracts.engine.extensions import ExtensionMissingError

OFFLINE = {"autoload_known_extensions": False, "autoinstall_known_extensions": False}


@pytest.mark.parametrize("name", ["postgres_scanner", "sqlite_scanner"])
def test_loads_from_the_installed_package(name):
    with duckdb.connect(config=OFFLINE) as connection:
        extensions.load(connection, name)

        query = "SELECT loaded FROM duckdb_extensions() WHERE extension_name = ?"
        assert connection.execute(query, [name]).fetchone() == (True,)


def test_a_loaded_extension_works(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("CREATE TABLE items (id INTEGER)")
        shop.execute("INSERT INTO items VALUES (7)")
    with duckdb.connect(config=OFFLINE) as connection:
        extensions.load(connection, "sqlite_scanner")
        connection.execute(f"ATTACH '{tmp_path}/shop.db' AS shop (TYPE sqlite, READ_ONLY)")

        assert connection.execute("SELECT id FROM shop.items").fetchall() == [(7,)]


def test_names_the_package_that_is_missing():
    with duckdb.connect() as connection, pytest.raises(ExtensionMissingError) as caught:
        extensions.load(connection, "teapot_scanner")

    assert caught.value.code == "extension_missing"
    assert f"duckdb-extension-teapot-scanner=={duckdb.__version__}" in caught.value.hint


def test_takes_only_the_build_for_the_running_duckdb(monkeypatch):
    monkeypatch.setattr(duckdb, "__version__", "9.9.9")

    with pytest.raises(ExtensionMissingError, match=r"for DuckDB 9\.9\.9"):
        extensions.installed_path("sqlite_scanner")


def test_refuses_a_file_with_one_flipped_bit(tmp_path, monkeypatch):
    damaged = packaged_copy(tmp_path)
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)

    with duckdb.connect() as connection, pytest.raises(ExtensionMissingError, match="damaged"):
        extensions.load(connection, "copied_scanner")


def packaged_copy(folder: Path) -> Path:
    """Install a copy of an extension under another name."""
    place = folder / "duckdb_extension_copied_scanner" / "extensions" / f"v{duckdb.__version__}"
    place.mkdir(parents=True)
    (place.parents[1] / "__init__.py").touch()
    sys.modules.pop("duckdb_extension_copied_scanner", None)
    original = extensions.installed_path("sqlite_scanner")
    return Path(shutil.copy(original, place / "copied_scanner.duckdb_extension"))
