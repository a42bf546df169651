"""Extract folders of both kinds: those that we write, and those of other producers."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb

from extracts.engine.contract import (
    DataFile,
    ExtractTable,
    data_file_name,
    prepare_extract,
    switch_all,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def write_parquet(path, query="SELECT 1 AS id, 'a' AS letter"):
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    return path


def table(name, *stored, **fields):
    alone = len(stored) == 1
    files = tuple(
        DataFile(data_file_name(table=name, ordinal=i, key=f"p{i}", alone=alone), path)
        for i, path in enumerate(stored)
    )
    return ExtractTable(
        **{"name": name, "rows": 1, "size_bytes": 10, "extracted_at": NOON, "files": files} | fields
    )


def write_extract(folder, tables, *, remote=()):
    """Write an extract and put it in place."""
    prepared = prepare_extract(folder, tables, remote=remote)
    switch(prepared)
    return prepared


def switch(prepared):
    """Put an extract in place."""
    for error in switch_all([prepared]).values():
        raise error


def ask(path, sql):
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def names_below(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".links.json"
    )


META = (
    "CREATE TABLE _meta (table_name VARCHAR NOT NULL, description VARCHAR, rows BIGINT,"
    " size_bytes BIGINT, extracted_at TIMESTAMP, query_mode VARCHAR DEFAULT 'local')"
)


def meta_row(name, mode="local"):
    return f"INSERT INTO _meta VALUES ('{name}', '', 2, 3, '2026-05-04 12:00:00', '{mode}')"
