"""One child process per run: what may go wrong there goes wrong there only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from agnes_site.core.errors import AgnesError, UpstreamError
from agnes_site.core.progress import Progress
from extracts.engine.warm import connected_child
from extracts.engine.zygote import Channel

_POLL_SECONDS = 0.5
_OUT_OF_MEMORY = "memory_exceeded"
_TOO_LONG = "The work took longer than one run may take."


class ChildFailedError(AgnesError):
    """The work was refused or failed; ``code``, ``message`` and ``hint`` are those of the child."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(str(given["message"]), hint=str(given["hint"]), **given["details"])
        self.code = str(given["code"])  # type: ignore[misc]  # that of the child, not of a class
        self.status = int(given["status"])  # type: ignore[misc]  # the same


class ChildUpstreamError(ChildFailedError, UpstreamError):
    """The work failed because the other side did; the same work may succeed later."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.retry_after = given.get("retry_after")


class ChildCrashedError(UpstreamError):
    """The child process ended without an answer."""

    code = "child_crashed"
    hint = "Often memory: raise AGNES_RUN_MEMORY_BYTES. Else the data crashed the reader."


class ChildTimeoutError(UpstreamError):
    """The work took longer than one run may take."""

    code = "run_timeout"
    hint = "Raise AGNES_EXTRACTOR_TIMEOUT_SEC, or bring less in one run."


class ChildStoppedError(AgnesError):
    """The work was ended because the caller no longer wants it."""

    code = "run_stopped"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a child is to do: ``function`` is ``"module:name"``, called with arguments and report.

    ``arguments`` and the result travel as JSON over a private socket; ``secrets`` go the same way,
    become ``arguments["secrets"]``, and are masked in every text for people that comes back.
    ``environ`` is the whole environment of the child; ``memory_bytes`` is the address space it may
    add to its own.
    """

    function: str
    arguments: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, SecretStr] | None = None
    environ: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 4 * 1024**3
    timeout_seconds: float = 3600
    failpoint: Mapping[str, str] = field(default_factory=dict)


def run(job: Job, *, progress: Progress, should_stop: Callable[[], bool] = lambda: False) -> Any:
    """Do ``job`` in a child process and return its result.

    ``should_stop`` is asked about twice a second; when it says so, the child is killed.

    Raises:
        ChildFailedError: the work itself failed, with a code of its own.
        ChildUpstreamError: it failed because the other side did.
        ChildCrashedError, ChildTimeoutError, ChildStoppedError: the child is gone.
    """
    (outcome,) = run_each(
        job, [{}], progress=lambda _: progress, should_stop=lambda _: should_stop()
    )
    if isinstance(outcome, AgnesError):
        raise outcome
    return outcome


def run_each(
    job: Job,
    each: Sequence[Mapping[str, Any]],
    *,
    progress: Callable[[int], Progress],
    should_stop: Callable[[int], bool],
) -> Generator[Any, None, None]:
    """Do ``job`` once for each of these additional arguments; yield what each led to, in order.

    That is its result, or the error that :func:`run` would raise. All are done by one child as
    long as it lives: one that ends at some arguments is followed by another for the rest, and
    what may be due to those before is tried once more on its own. ``progress`` and
    ``should_stop`` are told how many are done. When the caller stops asking, the child is killed.
    """
    done = 0
    while done < len(each):
        first = done
        try:
            with closing(_outcomes(job, each, first, progress, should_stop)) as outcomes:
                for outcome in outcomes:
                    is_out_of_memory = getattr(outcome, "code", "") == _OUT_OF_MEMORY
                    if is_out_of_memory and done > first:
                        break
                    yield outcome
                    done += 1
                    if is_out_of_memory:
                        break
        except ChildCrashedError as error:
            if done == first:
                yield error
                done += 1
        except (ChildTimeoutError, ChildStoppedError) as error:
            yield error
            done += 1


def _outcomes(
    job: Job,
    each: Sequence[Mapping[str, Any]],
    done: int,
    progress: Callable[[int], Progress],
    should_stop: Callable[[int], bool],
) -> Generator[Any, None, None]:
    """Yield what a new child makes of the arguments from number ``done`` on."""
    deadline = time.monotonic() + job.timeout_seconds
    with connected_child() as connection:
        channel = Channel(connection)
        _ask(channel, job, each[done:])
        child: int | None = None
        try:
            while done < len(each):
                if not channel.wait(_POLL_SECONDS):
                    _check(deadline, should_stop, done)
                    continue
                message = channel.receive()
                if message is None:
                    raise ChildCrashedError("The process that did the work ended without a word.")
                if "pid" in message:
                    child = _handle(int(message["pid"]))
                elif "error" in message or "result" in message:
                    yield _failed(message["error"]) if "error" in message else message["result"]
                    done += 1
                    deadline = time.monotonic() + job.timeout_seconds
                else:
                    progress(done)(**message)
                    _check(deadline, should_stop, done)
        finally:
            if child is not None:
                _kill(child)


def _ask(channel: Channel, job: Job, each: Sequence[Mapping[str, Any]]) -> None:
    # A large job does not fit on its way to a child that does not begin to read.
    channel.connection.settimeout(job.timeout_seconds)
    try:
        channel.send(
            {
                "function": job.function,
                "arguments": _with_secrets(job),
                "each": [dict(arguments) for arguments in each],
                "environ": dict(job.environ),
                "memory_bytes": job.memory_bytes,
                "failpoint": dict(job.failpoint),
            }
        )
    except TimeoutError as error:
        raise ChildTimeoutError(_TOO_LONG) from error
    except (BrokenPipeError, ConnectionResetError) as error:
        raise ChildCrashedError("The process that was to do the work is gone.") from error


def _with_secrets(job: Job) -> dict[str, Any]:
    if job.secrets is None:
        return dict(job.arguments)
    revealed = {key: value.get_secret_value() for key, value in job.secrets.items()}
    return {**job.arguments, "secrets": revealed}


def _failed(given: Mapping[str, Any]) -> ChildFailedError:
    return ChildUpstreamError(given) if given.get("is_upstream") else ChildFailedError(given)


def _check(deadline: float, should_stop: Callable[[int], bool], done: int) -> None:
    if should_stop(done):
        raise ChildStoppedError("The work was stopped.")
    if time.monotonic() > deadline:
        raise ChildTimeoutError(_TOO_LONG)


def _handle(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None  # it has ended already; its answer, if any, waits in the socket


def _kill(child: int) -> None:
    try:
        signal.pidfd_send_signal(child, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself
    finally:
        os.close(child)
