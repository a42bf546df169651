"""What PostgreSQL's and DuckDB's messages mean, and what to do about them.

DuckDB hands on the server's words and not its codes. They are in the server's language: what is
not known in English is told as it is, and never taken for something else.
"""

from __future__ import annotations

import re

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.sql import quote_identifier
from agnes_site.core.storage import StorageFullError
from extracts.connectors.database.errors import (
    EncryptionError,
    QueryRefusedError,
    RightMissingError,
    SignInRefusedError,
    SourceBusyError,
    SourceFailedError,
    SourceInterruptedError,
    SourceTimeoutError,
    SourceUnreachableError,
    UpstreamMissingError,
    ValueUnreadableError,
)
from extracts.connectors.database.relation import Relation
from extracts.connectors.postgres.settings import PostgresConfig
from extracts.connectors.postgres.types import END, UNREADABLE

_RETRY_SECONDS = 30

# What a message holds, which error it is, and a better hint than that of the class.
_MEANINGS: tuple[tuple[str, type[AgnesError], str], ...] = (
    ("no pg_hba.conf entry", SignInRefusedError,
     "The server lets nobody in from here: add a line for {user} and this address to its "
     "pg_hba.conf. If it says 'no encryption', choose the encryption (sslmode) 'require' in the "
     "source."),
    ("pg_hba.conf rejects", SignInRefusedError,
     "The server's pg_hba.conf refuses {user} from here. If it says 'no encryption', choose "
     "the encryption (sslmode) 'require' in the source."),
    ("server does not support SSL", EncryptionError,
     "Turn on SSL at the server, or choose another encryption (sslmode) in the source."),
    ("certificate verify failed", EncryptionError,
     "Give the certificate of the authority that signed the server's in the source."),
    ("does not match host name", EncryptionError,
     "Use the host name that the server's certificate is made for, or the encryption (sslmode) "
     "'verify-ca'."),
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
    ("No space left on device", SourceFailedError,
     "The disk of the database's own server is full: tell who runs it."),
    ("has duplicate column name", QueryRefusedError,
     "Give each column of the query a name of its own, with AS."),
    ("No fields returned by query", QueryRefusedError, ""),
    ("Incorrect number of parameters", QueryRefusedError,
     "Write values into the query; it cannot have parameters."),
)  # fmt: skip

_MISSING_IN_QUERY = "Check the names in the query, and in which schemas they are looked for."
_NOT_LET_IN = "The server lets nobody in: check user, password and database of the source."
_IN_ENGLISH = (
    "Ask who runs the database what it says. More can be told of messages in English: a superuser "
    "has them written for this user by ALTER ROLE \"{user}\" SET lc_messages = 'C'."
)

_UNREADABLE = re.compile(re.escape(UNREADABLE) + r"(.*?): (.*)" + re.escape(END), re.DOTALL)
_DENIED = re.compile(r"permission denied for (?:materialized |foreign )?(\w+) (.+)")
_MISSING = re.compile(r"(?:relation|column|schema|type|function) .* does not exist")
_MISSING_DATABASE = re.compile(r"database .* does not exist")
_RIGHTS = {
    "schema": "USAGE ON SCHEMA", "function": "EXECUTE ON FUNCTION", "table": "SELECT ON",
    "view": "SELECT ON", "relation": "SELECT ON", "sequence": "SELECT ON SEQUENCE",
}  # fmt: skip

# What DuckDB puts before what the server or its client says: where it connects to, or the query.
_CONNECTING = re.compile(r'.*?Unable to connect to Postgres at ".*?": ', re.DOTALL)
_ASKING = re.compile(r'.*Failed to \w+ (?:query|COPY) ".*": ', re.DOTALL)
# How the server itself begins: "ERROR:  ", in its own language.
_SEVERITY = re.compile(r": \w+:  ")


def explained(
    text: str,
    *,
    config: PostgresConfig,
    is_english: bool = False,
    relation: Relation | None = None,
) -> AgnesError:
    """Return the error for a message of DuckDB's extension.

    ``is_english`` says that the server is known to speak English.
    """
    said, is_of_server = words(text)
    # Without the line of the query to which the server points: it may say anything.
    heard = said.partition("\nLINE ")[0]
    if "No space left on device" in heard and not is_of_server:
        return StorageFullError("There is no space left for the data.")
    unreadable, denied = _UNREADABLE.search(heard), _DENIED.search(heard)
    if unreadable:
        return ValueUnreadableError(
            f"Column {unreadable[1]} holds a value that its type cannot hold here: "
            f"{unreadable[2]}.",
            column=unreadable[1],
        )
    if denied and denied[1] != "database":
        return _denied(heard, denied[1], denied[2], config, relation)
    kind, hint = _meaning(heard, config, relation)
    if kind is not None:
        return _error(kind, said, hint, relation)
    if not is_of_server:
        return UpstreamError(f"Reading from PostgreSQL failed: {said}")
    if _CONNECTING.match(text):
        return _error(SourceFailedError, said, _NOT_LET_IN, relation)
    if not is_english:
        return _error(SourceFailedError, said, _IN_ENGLISH.format(user=config.user), relation)
    is_query = relation is not None and relation.is_query
    return _error(QueryRefusedError if is_query else SourceFailedError, said, "", relation)


def _meaning(
    heard: str, config: PostgresConfig, relation: Relation | None
) -> tuple[type[AgnesError] | None, str]:
    """Return the kind of error that English words tell of, and what to do about it."""
    for part, kind, hint in _MEANINGS:
        if part in heard:
            return kind, hint.format(user=config.user)
    if _MISSING_DATABASE.search(heard):
        return UpstreamMissingError, "Check the database of the source."
    if _MISSING.search(heard):
        is_table = relation is not None and not relation.is_query
        return UpstreamMissingError, "" if is_table else _MISSING_IN_QUERY
    return None, ""


def words(text: str) -> tuple[str, bool]:
    """Return what was said without what DuckDB puts around it, and whether the server said it.

    Where the server points to a place in the query, that stays.
    """
    # DuckDB's own pointer into its query, which nobody has written.
    said = text.partition("\n\nLINE 1: ")[0].strip()
    connecting, severity = _CONNECTING.match(said), _SEVERITY.search(said)
    if connecting:
        # Once with encryption and once without, it is often the same.
        lines = dict.fromkeys(said[connecting.end() :].splitlines())
        return "\n".join(lines), severity is not None
    if severity:
        return said[severity.end() :], True
    said = _ASKING.sub("", said, count=1)
    return said.removeprefix("Binder Error:").removeprefix("IO Error:").strip(), False


def right_missing(message: str, right: str, place: str, user: str) -> RightMissingError:
    """Return the error that names the statement by which ``user`` is given a right."""
    return RightMissingError(
        message,
        hint=f"Ask the owner of the database to run: GRANT {right} {place} TO "
        f"{quote_identifier(user)}; then run again.",
    )


def _error(kind: type[AgnesError], said: str, hint: str, relation: Relation | None) -> AgnesError:
    where = f" while reading {relation.label}" if relation else ""
    message = f"PostgreSQL{where}: {said}"
    if issubclass(kind, UpstreamError):
        return kind(message, hint=hint or None, retry_after=_RETRY_SECONDS)
    return kind(message, hint=hint or None)


def _denied(
    said: str, kind: str, name: str, config: PostgresConfig, relation: Relation | None
) -> RightMissingError:
    message = f"PostgreSQL: {said.strip()}"
    # Of a table that may be read, it is something behind it: which right helps whom is not known.
    if kind not in _RIGHTS or (relation is not None and not relation.is_query):
        return RightMissingError(message)
    return right_missing(message, _RIGHTS[kind], quote_identifier(name.strip()), config.user)
