"""What can go wrong with a database, whichever it is."""

from __future__ import annotations

from agnes_site.core.errors import InvalidInputError, UpstreamError


class SourceUnreachableError(UpstreamError):
    """The database does not answer at its address."""

    code = "source_unreachable"
    hint = "Check host and port of the source, and that a firewall lets this server through."


class SignInRefusedError(InvalidInputError):
    """The database does not let this user in."""

    code = "source_sign_in_refused"
    hint = "Check user, password and database of the source."


class EncryptionError(InvalidInputError):
    """The connection cannot be encrypted as it has to be."""

    code = "source_encryption"
    hint = "Check sslmode and the certificate of the authority in the settings of the source."


class RightMissingError(InvalidInputError):
    """The user of the source may not read this."""

    code = "source_right_missing"
    hint = "Ask the owner of the database for the right to read it."


class UpstreamMissingError(InvalidInputError):
    """A table or column is not in the database."""

    code = "source_object_missing"
    hint = "Check the upstream coordinates of the table; it may have been renamed or dropped."


class QueryRefusedError(InvalidInputError):
    """The database does not take this query."""

    code = "source_query_refused"
    hint = "Give one query in the SQL of the source: SELECT, WITH … SELECT, VALUES or TABLE."


class ValueUnreadableError(InvalidInputError):
    """A value does not fit the type of its column, and would not come out as it is."""

    code = "source_value_unreadable"
    hint = "Mend the value at its source, or name the column in the table's option `as_text`."


class SourceTimeoutError(UpstreamError):
    """The database took longer than it may."""

    code = "source_timeout"
    hint = "Raise the limit in the settings of the source, or run again when it is less busy."


class SourceInterruptedError(UpstreamError):
    """The database went away while it was read; the last good version stays."""

    code = "source_interrupted"
    hint = "Wait until the database is up again; the run is worth another try."


class SourceBusyError(UpstreamError):
    """The database has no room for another reader at the moment."""

    code = "source_busy"
    hint = "Run again in a while, or let fewer tables of this source be extracted at once."


class SourceFailedError(UpstreamError):
    """The database gives up for a reason of its own; the message has its words."""

    code = "source_failed"
    hint = "Ask who runs the database what it says; the run is worth another try."


class CursorTypeError(InvalidInputError):
    """The incremental column of a table has a type that cannot say what is new."""

    code = "cursor_type"
    hint = "Choose a column that grows with each change, such as updated_at, or a number."
