"""What a failure means that nobody in a child process foresaw."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import StorageFullError, is_disk_full

# DuckDB has words instead of numbers; the last one limits itself to what is free on the disk.
_DISK_FULL = (
    "No space left on device", "Disk quota exceeded", "File too large", "max_temp_directory_size",
)  # fmt: skip
_ARROW_OUT_OF_MEMORY = "get_next failed(): Out of memory: "
logger = logging.getLogger(__name__)


class MemoryExceededError(AgnesError):
    """The work needs more memory than one run may use."""

    code = "memory_exceeded"
    hint = "Bring fewer rows or columns in one run, or raise AGNES_RUN_MEMORY_BYTES."


def as_error(error: Exception) -> AgnesError:
    """Return what a person is told; what is a riddle to us too goes into the log."""
    if isinstance(error, AgnesError):
        return error
    if _is_disk_full(error):
        return _full()
    if is_out_of_memory(error):
        return MemoryExceededError("The work needs more memory than one run may use.")
    logger.error("A job failed unexpectedly", exc_info=error)
    return AgnesError(
        f"The work failed unexpectedly ({type(error).__name__}).",
        hint="The log of the worker has the details.",
    )


@contextmanager
def full_disk_told() -> Iterator[None]:
    """Let what DuckDB says of a full disk be a :class:`StorageFullError`."""
    try:
        yield
    except duckdb.Error as error:
        if _is_disk_full(error):
            raise _full() from error
        raise


def _full() -> StorageFullError:
    return StorageFullError("There is no space left for the data.")


def is_out_of_memory(error: Exception) -> bool:
    """Say whether something did not fit into memory, also while DuckDB read what Arrow gave it."""
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return True
    return isinstance(error, duckdb.Error) and _ARROW_OUT_OF_MEMORY in str(error)


def _is_disk_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return is_disk_full(error)
    return isinstance(error, duckdb.Error) and any(words in str(error) for words in _DISK_FULL)
