"""What can be set for a PostgreSQL database."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from catalog.connectors import Settings
from extracts.connectors.reach.paths import AbsolutePath


class SslMode(StrEnum):
    """How the connection is encrypted, in PostgreSQL's own words."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class PostgresConfig(Settings):
    """One database of a PostgreSQL server."""

    host: str = Field(
        min_length=1,
        max_length=255,
        pattern=r"^[^\s,\x00]+$",
        description="Name or address of the server, or the folder of its socket.",
    )
    port: int = Field(default=5432, ge=1, le=65535, description="Port of the server.")
    database: str = Field(min_length=1, max_length=63, description="Name of the database.")
    user: str = Field(
        min_length=1, max_length=63, description="Role that reads; it needs only SELECT."
    )
    sslmode: SslMode = Field(
        default=SslMode.PREFER,
        title="Encryption",
        description="Encryption: verify-full checks certificate and name and is right for "
        "every network that others use; prefer encrypts where the server can.",
    )
    ssl_root_certificate: AbsolutePath | None = Field(
        default=None,
        title="Certificate of the authority",
        json_schema_extra={"shown_when": {"sslmode": ["verify-ca", "verify-full"]}},
        description="verify-ca, verify-full: file on the server with the certificate of the "
        "authority; those of the operating system if not given.",
    )
    schemas: tuple[str, ...] = Field(
        default=(), description="Schemas to offer tables of; all that can be read if not given."
    )
    connect_timeout_seconds: int = Field(
        default=10,
        ge=2,
        le=300,
        description="How long to wait for the server to answer.",
        json_schema_extra={"more": True},
    )
    statement_timeout_seconds: int = Field(
        default=3600,
        ge=1,
        le=86_400,
        description="How long one query may take.",
        json_schema_extra={"more": True},
    )
    lock_timeout_seconds: int = Field(
        default=60,
        ge=1,
        le=3600,
        description="How long to wait for a table that is locked.",
        json_schema_extra={"more": True},
    )
