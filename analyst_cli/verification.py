"""Whether the pulled files still hold, byte for byte, what the server promised of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from analyst_cli.names import did_you_mean
from analyst_cli.pull import verify
from analyst_cli.pull.plan import UnknownTableError
from analyst_cli.pull.state import InstalledFile, State, load
from analyst_cli.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class CheckedFile:
    """A pulled file and what was found: ``ok``, ``missing``, ``damaged`` or ``unknown``.

    Of an unknown one no hash is recorded, since a server without hashes sent it.
    """

    table: str
    path: str
    bytes: int
    state: str

    @property
    def is_bad(self) -> bool:
        """Whether the file has to be brought again."""
        return self.state in ("missing", "damaged")

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def check(
    workspace: Workspace, *, names: Collection[str], note: Callable[[str], None]
) -> list[CheckedFile]:
    """Read every pulled file, or those of some tables, and compare the hashes.

    A file's hash covers all of its bytes, the checksums of its pages too, and needs no trust in
    its size and time. What is found bad is forgotten in the record, so that the next pull
    brings it again.

    Raises:
        UnknownTableError: a name is none of a pulled table.
        LockedError: a pull has been at work for too long.
    """
    with workspace.lock(on_wait=note):
        state = load(workspace)
        checked = list(_checked(workspace, state, _chosen(state, names)))
        bad = [file.path for file in checked if file.is_bad]
        for path in bad:
            state.files[path] = InstalledFile(digest="", size_bytes=0, mtime_ns=0)
        if bad:
            state.save(workspace)
    return checked


def _chosen(state: State, names: Collection[str]) -> list[str]:
    by_name = {name.lower(): name for name in state.tables}
    for name, table in state.tables.items():
        for alias in table.aliases:
            by_name.setdefault(alias.lower(), name)
    for name in names:
        if name.lower() not in by_name:
            hint = did_you_mean(name, by_name.values())
            raise UnknownTableError(f"There is no pulled table named {name!r}.", hint=hint)
    return sorted({by_name[name.lower()] for name in names} or state.tables)


def _checked(workspace: Workspace, state: State, tables: list[str]) -> Iterator[CheckedFile]:
    for name in tables:
        for path in state.tables[name].paths:
            target, known = workspace.parquet / path, state.files.get(path)
            size = target.lstat().st_size if target.is_file() else 0
            found = "ok"
            if not target.is_file():
                found = "missing"
            elif known is not None and not known.digest and known.mtime_ns:
                found = "unknown"
            elif not verify.still_holds(target, known):
                found = "damaged"
            yield CheckedFile(table=name, path=path, bytes=size, state=found)
