"""Evaluates a table of a foreign extract in a process that can reach nothing but its folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from agnes_site.core.errors import AgnesError, InvalidInputError, UpstreamError
from extracts.connectors.external.evaluator import Outcome
from extracts.connectors.external.files import ReachesOutsideError, refuse_pipes
from extracts.engine.warm import ROOT

_LONGEST_MESSAGE = 500
_END_SECONDS = 10
# Arrow's own allocator would start a thread, and the wall is for processes that have one.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "LC_ALL": "C.UTF-8"}


class EvaluationError(InvalidInputError):
    """DuckDB cannot evaluate a table of the extract."""

    code = "external_evaluation_failed"
    hint = "Try the table with DuckDB where it was made; it may use nothing but its own folder."


class EvaluationLostError(UpstreamError):
    """The process that evaluated a table ended without an answer."""

    code = "external_evaluation_lost"
    hint = "Often memory: let the producer write the table as a Parquet file."


@contextmanager
def evaluated(
    folder: Path, table: str, *, scratch: Path, rows: int | None = None
) -> Iterator[pa.RecordBatchReader]:
    """Evaluate an inner table of the extract in ``folder`` and yield its rows as they come.

    The rows are complete when the block ends without an error; they end early at ``rows``.

    Raises:
        ReachesOutsideError: the table reads something outside of ``folder``.
        EvaluationError: DuckDB cannot evaluate it.
        EvaluationLostError: the process ended without an answer.
    """
    refuse_pipes(folder)
    with (
        tempfile.TemporaryFile(dir=scratch) as messages,
        tempfile.TemporaryDirectory(dir=scratch) as spill,
        _started(folder, table, spill, rows, messages) as process,
    ):
        try:
            yield pa.ipc.open_stream(cast(io.BufferedReader, process.stdout))
            _check_end(process, messages)
        except (pa.ArrowException, OSError):
            # A stream that ends half-way: the reason is known to the process that wrote it.
            _check_end(process, messages)
            raise
        finally:
            process.kill()


def _started(
    folder: Path, table: str, spill: str, rows: int | None, messages: IO[bytes]
) -> subprocess.Popen[bytes]:
    arguments = [str(folder), table, spill, str(-1 if rows is None else rows), str(os.getpid())]
    return subprocess.Popen(
        [sys.executable, "-m", "extracts.connectors.external.evaluator", *arguments],
        cwd=ROOT,
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=messages,
    )


def _check_end(process: subprocess.Popen[bytes], messages: IO[bytes]) -> None:
    """Raise what the process ended with, unless it ended well."""
    try:
        status = process.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        return
    if status != Outcome.DONE:
        raise _failure(status, messages)


def _failure(status: int, messages: IO[bytes]) -> AgnesError:
    messages.seek(0)
    text = messages.read().decode(errors="replace").strip()[:_LONGEST_MESSAGE]
    if status == Outcome.REFUSED:
        return ReachesOutsideError("The table reads something outside of its extract folder.")
    if status == Outcome.FAILED:
        return EvaluationError(f"The table cannot be evaluated: {text}")
    return EvaluationLostError("The evaluation of the table ended unexpectedly.", status=status)
