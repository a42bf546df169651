"""All that an installation and a workspace hold, without what differs from run to run."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from agnes_site.core.keyring import KeyRing, Sealed
from tests.journeys.company import Company
from tests.journeys.installation import Installation

# In the order of its columns; the last one orders the rows where that matters.
_ROWS = {
    "sources": "SELECT slug, source_type, config FROM catalog_source ORDER BY slug",
    "tables": (
        "SELECT name, query_mode, source_table, description, is_pinned, retries,"
        " last_success_at IS NOT NULL, slot_at IS NOT NULL FROM catalog_table ORDER BY name"
    ),
    "versions": (
        "SELECT t.name, v.number, v.rows, v.bytes, v.schema, v.schema_hash, v.extract_state,"
        " v.combined_sha256, t.current_version_id = v.id FROM catalog_tableversion v"
        " JOIN catalog_table t ON v.table_id = t.id ORDER BY t.name, v.number"
    ),
    "parts": (
        "SELECT t.name, v.number, p.ordinal, p.key, p.sha256, p.md5, p.bytes, p.rows"
        " FROM catalog_tablepart p JOIN catalog_tableversion v ON p.version_id = v.id"
        " JOIN catalog_table t ON v.table_id = t.id ORDER BY t.name, v.number, p.ordinal"
    ),
    "columns": (
        "SELECT t.name, c.ordinal, c.name, c.type, c.nullable FROM catalog_column c"
        " JOIN catalog_table t ON c.table_id = t.id ORDER BY t.name, c.ordinal"
    ),
    "names": "SELECT name, is_alias FROM catalog_tablename ORDER BY name",
    "incidents": (
        "SELECT s.slug, i.kind, i.code, i.message, i.closed_at IS NULL FROM catalog_incident i"
        " JOIN catalog_source s ON i.source_id = s.id ORDER BY s.slug, i.kind"
    ),
    # A child that is killed fails its run, whose table is brought by another one.
    "extracts": (
        "SELECT t.name, r.state, r.rows, r.bytes, r.version_number, r.rejected_rows"
        " FROM extracts_run r JOIN catalog_table t ON r.table_id = t.id"
        " WHERE r.error_code <> 'child_crashed' ORDER BY t.name, r.version_number"
    ),
    "failed": (
        "SELECT kind, error_code, error_message FROM extracts_run"
        " WHERE state = 'failed' AND error_code <> 'child_crashed'"
    ),
    "remote": "SELECT attach, missing, failures FROM extracts_remotecatalog",
    # Not how many were bad: one that was put back before a kill is whole the next time.
    "read_again": "SELECT files, bytes > 0, finished_at IS NOT NULL FROM extracts_scrubround",
    # Not what was downloaded or asked for how often; and the setting up names ids, which differ.
    "audit": (
        "SELECT action, resource, result FROM access_auditevent"
        " WHERE action <> 'data.download' AND action NOT LIKE 'run.%'"
        " AND resource NOT LIKE 'user/%' AND resource NOT LIKE 'token/%'"
        " ORDER BY action, resource"
    ),
}


def of_installation(company: Company) -> dict[str, Any]:
    """Return rows, files, hashes and views of an installation, and what its secrets are."""
    installation = company.installation
    data = installation.data
    state = {name: installation.rows(sql) for name, sql in _ROWS.items()}
    state |= {
        "store": _stored(data / "store"),
        "quarantine": _set_aside(installation),
        "damaged": sorted(
            (file.stem.partition("-")[0], _hash(file))
            for file in installation.layout.damaged.iterdir()
        ),
        "staging": _names(data / "tmp"),
        "secrets": _secrets(installation),
        "manifest": _manifest(installation),
        "extracts_folders": {
            folder.name: _extract(folder) for folder in sorted((data / "extracts").iterdir())
        },
        "analytics": _analytics(data / "analytics"),
    }
    plain = _plain(state, {str(installation.folder): "<here>", installation.url: "<url>"})
    for version in plain["versions"]:
        # By which inodes and times files are told from changed ones is a matter of their own.
        version[6] = version[6].get("cursor")
    found: dict[str, Any] = plain
    return found


def of_workspace(folder: Path, company: Company) -> dict[str, Any]:
    """Return files, record and local database of a workspace."""
    record = json.loads((folder / ".agnes" / "state.json").read_text())
    for name in ("pulled_at", "generation", "database_stamp", "complete_etag"):
        assert record.pop(name)
    for file in record["files"].values():
        del file["mtime_ns"]
    for table in record["tables"].values():
        del table["updated"]
    manifest = json.loads((folder / ".agnes" / "manifest.json").read_text())["body"]
    for table in manifest["tables"].values():
        del table["updated"]
    names = [re.sub(r"\d{8}T\d{6}Z?", "<time>", name) for name in _names(folder)]
    state = {
        "names": sorted(re.sub(r"generations/\d+", "generations/<n>", name) for name in names),
        "generations": len(list((folder / "server" / ".generations").iterdir())),
        "parquet": {
            str(file.relative_to(folder)): _hash(file)
            for file in sorted((folder / "server" / "parquet").rglob("*.parquet"))
        },
        "record": record,
        "manifest": manifest,
        "views": _views(folder / "user" / "duckdb" / "analytics.duckdb"),
        "guides": [(folder / name).read_text() for name in ("CLAUDE.md", "AGNES_WORKSPACE.md")],
    }
    return _plain(state, {str(folder): "<here>", company.installation.url: "<url>"})


def _stored(store: Path) -> list[str]:
    found = []
    for file in sorted(store.rglob("*.*")):
        assert _hash(file) == file.stem, f"{file} is not what its name says"
        found.append(str(file.relative_to(store)))
    return found


def _set_aside(installation: Installation) -> list[tuple[str, str]]:
    tables = {
        str(run).replace("-", ""): (name, number)
        for run, name, number in installation.rows(
            "SELECT r.id, t.name, r.version_number FROM extracts_run r"
            " JOIN catalog_table t ON r.table_id = t.id"
        )
    }
    return sorted(
        (str(tables[file.stem.replace("-", "")]), file.read_text())
        for file in (installation.data / "quarantine").glob("*.*")
    )


def _secrets(installation: Installation) -> tuple[int, list[str]]:
    ring = KeyRing(file=installation.data / "state" / "keys" / "secrets")
    rows = installation.rows("SELECT source_id, key, key_id, ciphertext FROM catalog_sourcesecret")
    opened = []
    for source, key, key_id, ciphertext in rows:
        pk = str(source) if "-" in str(source) else _dashed(source)
        sealed = Sealed(key_id=key_id, ciphertext=bytes(ciphertext))
        opened.append(ring.open(sealed, bound_to=f"source-secret/{pk}/{key}"))
    return len(ring.ids()), opened


def _dashed(text: str) -> str:
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _manifest(installation: Installation) -> Any:
    """Return what a client is told, without when that was."""
    found = installation.call("GET", "/api/sync/manifest")
    del found["server_time"]
    for table in found["tables"].values():
        del table["updated"]
    return found


def _extract(folder: Path) -> dict[str, Any]:
    file = folder / "extract.duckdb"
    with closing(duckdb.connect(str(file), read_only=True)) as connection:
        meta = connection.execute(
            "SELECT table_name, description, rows, size_bytes, query_mode FROM _meta ORDER BY 1"
        ).fetchall()
    names = [re.sub(r"\d{8}T\d{6}Z", "<time>", name) for name in _names(folder)]
    return {"names": names, "meta": meta, "views": _views(file)}


def _analytics(folder: Path) -> dict[str, Any]:
    file = (folder / "server.duckdb").resolve()
    others = [name for name in _names(folder) if not re.fullmatch(r"server\.(\d+\.)?duckdb", name)]
    count = len(list(folder.glob("server.*.duckdb")))
    return {"views": _views(file), "others": others, "generations": count}


def _views(file: Path) -> dict[str, str]:
    """Return a hash over the rows of each view."""
    with closing(duckdb.connect(str(file), read_only=True)) as connection:
        views = connection.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
            " AND database_name = current_database() ORDER BY ALL"
        ).fetchall()
        found = {}
        for schema, name, sql in views:
            if "remote_" in sql:  # of a source that a reader attaches
                found[f"{schema}.{name}"] = sql
                continue
            rows = connection.execute(f'FROM "{schema}"."{name}" ORDER BY ALL').fetchall()
            found[f"{schema}.{name}"] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _plain(value: Any, replaced: dict[str, str]) -> Any:
    """Return a value as JSON would hold it, whichever database it came from."""
    if isinstance(value, dict):
        return {str(key): _plain(each, replaced) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, replaced) for each in value]
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        if value.startswith(("{", "[")) and value.endswith(("}", "]")):
            return _plain(json.loads(value), replaced)
        for old, new in replaced.items():
            value = value.replace(old, new)
    return value
