"""The folder of an analysis: where everything in it is, and the lock of a pull."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from analyst_cli import environment
from analyst_cli.errors import CliError
from analyst_cli.files import explain


class NoWorkspaceError(CliError):
    """The current folder is not part of a workspace."""

    code = "no_workspace"
    hint = "Go to your workspace, or make this folder one with `agnes init`."


class LockedError(CliError):
    """Another pull has been at work for too long."""

    code = "workspace_locked"
    hint = "Wait until the other `agnes pull` has ended, or end it."


@dataclass(frozen=True)
class Workspace:
    """Paths of one workspace. Making one touches nothing."""

    root: Path

    @property
    def parquet(self) -> Path:
        """The folder of the pulled files."""
        return self.root / "server" / "parquet"

    @property
    def staging(self) -> Path:
        """The folder of what is being downloaded, on the file system of the pulled files."""
        return self.parquet / ".staging"

    @property
    def generations(self) -> Path:
        """The folder of the sets of files that local databases look at."""
        return self.root / "server" / ".generations"

    @property
    def database(self) -> Path:
        """The local database: a view per pulled table."""
        return self.root / "user" / "duckdb" / "analytics.duckdb"

    @property
    def user_database(self) -> Path:
        """The database of the user's own tables, which no pull touches."""
        return self.root / "user" / "duckdb" / "user.duckdb"

    @property
    def own(self) -> Path:
        """The folder of the client's own records."""
        return self.root / ".agnes"

    @property
    def init_complete(self) -> Path:
        """The file that says that `agnes init` got to its end."""
        return self.root / ".claude" / "init-complete"

    @contextlib.contextmanager
    def lock(self, *, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the right to change the workspace; wait for who has it.

        Raises:
            LockedError: the other one did not end in time.
            NotWritableError: the workspace is read-only.
        """
        try:
            self.own.mkdir(parents=True, exist_ok=True)
            held = _lock_at_once(self.own / "pull.lock")
        except OSError as error:
            raise explain(error) from error
        if held is not None:
            try:
                yield
            finally:
                os.close(held)
            return
        on_wait("Waiting for another `agnes pull` in this workspace ...")
        from filelock import FileLock, Timeout

        seconds = environment.lock_timeout_seconds()
        try:
            waiting = FileLock(self.own / "pull.lock", timeout=seconds)
            waiting.acquire()
        except Timeout as error:
            raise LockedError(
                f"Another `agnes pull` has held this workspace for {seconds} seconds."
            ) from error
        try:
            yield
        finally:
            waiting.release()


def find(*, start: Path | None = None) -> Workspace:
    """Return the workspace that ``start`` (the current folder) is in.

    Raises:
        NoWorkspaceError: it is in none.
    """
    named = environment.workspace()
    if named and start is None:
        return Workspace(Path(named).expanduser().resolve())
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        found = Workspace(folder)
        if (found.own / "state.json").exists() or found.init_complete.exists():
            return found
        if found.database.exists() or (found.own / "pull.lock").exists():
            return found
    raise NoWorkspaceError(f"{here} is not an Agnes workspace.")


def _lock_at_once(path: Path) -> int | None:
    """Return a locked descriptor, or ``None`` when ``filelock`` must wait or knows better.

    It is the lock that ``filelock`` takes on POSIX; importing that costs a no-op pull a sixth
    of its time.
    """
    try:
        import fcntl
    except ImportError:
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
