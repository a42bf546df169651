"""The end of a run that did not go well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import OperationalError, connection

from agnes_site.core.database import DatabaseUnavailableError
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.storage import as_database_error, as_storage_error
from catalog.services.versions import FencedOffError, TablePinnedError
from extracts.engine.process import ChildStoppedError
from extracts.models import RunState
from extracts.services import publication, scheduling
from extracts.services.holding import Holding, fail, give_back

logger = structlog.get_logger(__name__)


class UnexpectedFailureError(AgnesError):
    """Something that nobody foresaw; the log of the worker has it."""

    code = "internal_error"
    hint = "The log of the worker has the details; the run is worth another try."


class TableIsRemoteError(ConflictError):
    """The rows of a remote table stay at its source: nothing of it is extracted."""

    code = "table_is_remote"
    hint = "Make it a local table to bring its rows."


@contextmanager
def ending(*holdings: Holding) -> Iterator[None]:
    """End those of the runs that are not over as what is raised in the block says.

    What nobody foresaw rises on.
    """
    try:
        yield
    except Exception as error:
        for holding in holdings:
            if not holding.is_over:
                end(holding, error)
        if not isinstance(error, AgnesError | OSError | OperationalError):
            raise


def end(holding: Holding, error: Exception) -> None:
    """End a run as the error says, or let it begin again."""
    run = holding.run
    if isinstance(error, FencedOffError | ChildStoppedError):
        begin_again(holding)
    elif isinstance(error, TablePinnedError | TableIsRemoteError):
        holding.finish(RunState.SKIPPED, error_code=error.code, error_message=error.message)
    elif isinstance(error, AgnesError):
        _fail(holding, error)
    elif isinstance(error, OSError):
        logger.error("A run could not read or write a file", run=str(run.pk), exc_info=error)
        _fail(holding, as_storage_error(error))
    elif isinstance(error, OperationalError):
        logger.error("The database failed a run", run=str(run.pk), exc_info=error)
        _end_of_database(holding, error)
    else:
        logger.error("A run failed unexpectedly", run=str(run.pk), exc_info=error)
        unforeseen = UnexpectedFailureError("The run failed unexpectedly.")
        fail(holding, as_database_error(error) or unforeseen)


def begin_again(holding: Holding) -> None:
    """Let a run that may not publish begin anew, unless it is another worker's or over by now."""
    holding.note("The table was changed meanwhile: what was read of it is not published.")
    holding.put_back()


def _end_of_database(holding: Holding, error: OperationalError) -> None:
    connection.close_if_unusable_or_obsolete()
    trouble = as_database_error(error)
    if trouble is not None:
        _fail(holding, trouble)
    elif not give_back(holding):
        fail(holding, DatabaseUnavailableError("The database did not do its part."))


def _fail(holding: Holding, error: AgnesError) -> None:
    if not holding.beat():
        begin_again(holding)
        return
    table = holding.run.table
    if table is not None and _needs_a_person(error):
        publication.hold(table=table, error=error)
    again = scheduling.record_failure(holding.run, error)
    if again is not None:
        holding.note(f"The next try is at {again:%H:%M:%S} UTC.")
    fail(holding, error)


def _needs_a_person(error: AgnesError) -> bool:
    """Say whether the data or the settings have to be mended before another try can work."""
    return 400 <= error.status < 500
