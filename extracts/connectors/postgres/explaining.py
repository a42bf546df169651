"""What PostgreSQL's and DuckDB's messages mean, and what to do about them."""

from __future__ import annotations

import re

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.sql import quote_identifier
from extracts.connectors.database.errors import (
    EncryptionError,
    QueryRefusedError,
    RightMissingError,
    SignInRefusedError,
    SourceBusyError,
    SourceInterruptedError,
    SourceTimeoutError,
    SourceUnreachableError,
    StorageFullError,
    UpstreamMissingError,
    ValueUnreadableError,
)
from extracts.connectors.database.relation import Relation
from extracts.connectors.postgres.settings import PostgresConfig
from extracts.connectors.postgres.types import UNREADABLE

_RETRY_SECONDS = 30

# What a message holds, which error it is, and a better hint than that of the class.
_MEANINGS: tuple[tuple[str, type[AgnesError], str], ...] = (
    ("no pg_hba.conf entry", SignInRefusedError,
     "The server lets nobody in from here: add a line for {user} and this address to its "
     "pg_hba.conf. If it says 'no encryption', choose sslmode 'require' in the source."),
    ("pg_hba.conf rejects", SignInRefusedError,
     "The server's pg_hba.conf refuses {user} from here. If it says 'no encryption', choose "
     "sslmode 'require' in the source."),
    ("server does not support SSL", EncryptionError,
     "Turn on SSL at the server, or choose another sslmode in the source."),
    ("certificate verify failed", EncryptionError,
     "Give the certificate of the authority that signed the server's in the source."),
    ("does not match host name", EncryptionError,
     "Use the host name that the server's certificate is made for, or sslmode 'verify-ca'."),
    ("unexpected eof", SourceInterruptedError, ""),
    ("closed unexpectedly", SourceInterruptedError, ""),
    ("SSL SYSCALL error", SourceInterruptedError, ""),
    ("root certificate", EncryptionError, ""),
    ("SSL error", EncryptionError, ""),
    ("password authentication failed", SignInRefusedError,
     "Check user and password of the source; the password is changed by typing a new one."),
    ("no password supplied", SignInRefusedError,
     "The server asks for a password: give one in the source."),
    ("role \"", SignInRefusedError, ""),
    ("is not permitted to log in", SignInRefusedError, ""),
    ("authentication failed", SignInRefusedError, ""),
    ("permission denied for database", SignInRefusedError, ""),
    ("could not translate host name", SourceUnreachableError,
     "Check the spelling of the host; this server's DNS does not know it."),
    ("Connection refused", SourceUnreachableError, ""),
    ("timeout expired", SourceUnreachableError, ""),
    ("No route to host", SourceUnreachableError, ""),
    ("Network is unreachable", SourceUnreachableError, ""),
    ("No such file or directory", SourceUnreachableError, ""),
    ("too many clients", SourceBusyError, ""),
    ("remaining connection slots", SourceBusyError, ""),
    ("too many connections", SourceBusyError, ""),
    ("statement timeout", SourceTimeoutError,
     "Raise the statement timeout of the source, or make the table incremental."),
    ("lock timeout", SourceTimeoutError,
     "Somebody holds a lock on the table, such as ALTER TABLE or VACUUM FULL. Run again when "
     "they are done."),
    ("conflict with recovery", SourceInterruptedError,
     "The standby had to cancel the query; raise max_standby_streaming_delay there."),
    ("starting up", SourceInterruptedError, ""),
    ("shutting down", SourceInterruptedError, ""),
    ("terminating connection", SourceInterruptedError, ""),
    ("server closed the connection", SourceInterruptedError, ""),
    ("connection to server was lost", SourceInterruptedError, ""),
    ("could not receive data", SourceInterruptedError, ""),
    ("Broken pipe", SourceInterruptedError, ""),
    ("no connection to the server", SourceInterruptedError, ""),
    ("No space left on device", StorageFullError, ""),
    ("has duplicate column name", QueryRefusedError,
     "Give each column of the query a name of its own, with AS."),
    ("No fields returned by query", QueryRefusedError, ""),
    ("Incorrect number of parameters", QueryRefusedError,
     "Write values into the query; it cannot have parameters."),
)  # fmt: skip

_UNREADABLE = re.compile(UNREADABLE + r'(.*?): (.*)"', re.DOTALL)
_DENIED = re.compile(r"permission denied for (?:(?:materialized |foreign )?(\w+)) (.+)")
_MISSING = re.compile(
    r"(?:relation|column|schema|type|function) .* does not exist|database .* does not exist"
)


def explained(text: str, *, config: PostgresConfig, relation: Relation | None = None) -> AgnesError:
    """Return the error for a message of DuckDB's extension."""
    said = words(text)
    unreadable = _UNREADABLE.search(text)
    if unreadable:
        return ValueUnreadableError(
            f"Column {unreadable[1]} holds a value that its type cannot hold here: "
            f"{unreadable[2]}.",
            column=unreadable[1],
        )
    denied = _DENIED.search(said)
    if denied and denied[1] != "database":
        return _right_missing(said, denied[1], denied[2], config, relation)
    for part, kind, hint in _MEANINGS:
        if part in text:
            return _error(kind, said, hint.format(user=config.user), relation)
    if _MISSING.search(said):
        return _error(UpstreamMissingError, said, "", relation)
    if "ERROR:" in text:
        return _error(QueryRefusedError, said, "", relation)
    return UpstreamError(f"Reading from PostgreSQL failed: {said}")


def words(text: str) -> str:
    """Return what the server said, without what DuckDB puts around it.

    Where the server points to a place in the query, that stays.
    """
    # DuckDB's own pointer into its query, which nobody has written.
    said = text.partition("\n\nLINE 1: ")[0]
    if "ERROR:" in said:
        said = said.partition("ERROR:")[2]
    else:
        # "Unable to connect to Postgres at "<options>": <what libpq says>"
        said = said.removeprefix("Binder Error:").removeprefix("IO Error:").strip()
        said = re.sub(r'^.*?Unable to connect to Postgres at ".*?": ', "", said, flags=re.DOTALL)
    return said.strip().removeprefix("FATAL:").strip()


def _error(kind: type[AgnesError], said: str, hint: str, relation: Relation | None) -> AgnesError:
    where = f" while reading {relation.label}" if relation else ""
    message = f"PostgreSQL{where}: {said}"
    if issubclass(kind, UpstreamError):
        return kind(message, hint=hint or None, retry_after=_RETRY_SECONDS)
    return kind(message, hint=hint or None)


def _right_missing(
    said: str, kind: str, name: str, config: PostgresConfig, relation: Relation | None
) -> RightMissingError:
    said, name = said.partition("\n")[0], quote_identifier(name.strip().partition("\n")[0])
    right = "USAGE ON SCHEMA" if kind == "schema" else "SELECT ON"
    if relation is not None and relation.origin.endswith(f".{name}"):
        name = relation.origin
    return RightMissingError(
        f"PostgreSQL: {said}",
        hint=f"Ask the owner of the database to run: GRANT {right} {name} TO "
        f"{quote_identifier(config.user)}; then run again.",
    )
