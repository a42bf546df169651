"""The words of connectors and of the registry; models derive their choices from them."""

from __future__ import annotations

from enum import StrEnum


class QueryMode(StrEnum):
    """Where the rows of a table are when somebody asks for them."""

    LOCAL = "local"
    MATERIALIZED = "materialized"
    REMOTE = "remote"


class SyncStrategy(StrEnum):
    """How a table is brought up to date."""

    FULL_REFRESH = "full_refresh"
    INCREMENTAL = "incremental"
    PARTITIONED = "partitioned"


class DriftPolicy(StrEnum):
    """What happens when the columns of a table change at its source."""

    EVOLVE = "evolve"
    FREEZE = "freeze"
    FAIL = "fail"


class ExtractMode(StrEnum):
    """How much one run is to bring."""

    FULL = "full"
    INCREMENTAL = "incremental"
    PARTS = "parts"


class Capability(StrEnum):
    """What a connector can do; declared, never guessed from its methods."""

    DISCOVER = "discover"
    PREVIEW = "preview"
    EXTRACT = "extract"
    RUN_SQL = "run_sql"
    CHECK_QUERY = "check_query"
    REMOTE_ATTACH = "remote_attach"
    ESTIMATE = "estimate"
    RECEIVE = "receive"
    COLUMN_DOCS = "column_docs"
