"""Named points between durable steps at which a test may end the process.

Each step that leaves something on disk or in the database is followed by a failpoint.
Normally one costs a look into an empty set. When ``AGNES_FAILPOINT`` names it, the process is
killed there with SIGKILL, as a power cut would: no clean-up code runs.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

# What exists, in the order of the way of a table. A new durable step adds its line here.
NAMES = (
    "secrets.key_made",
    "import.applied",
    "scan.source_adopted",
    "scan.table_registered",
    "scan.remembered",
    "run.requested",
    "run.claimed",
    "extract.part_written",
    "extract.candidate_written",
    "publish.validated",
    "publish.part_stored",
    "publish.combined_stored",
    "publish.rejected_kept",
    "publish.stored",
    "publish.committed",
    "publish.staging_removed",
    "run.finished",
    "remote.kept",
    "regenerate.links_announced",
    "regenerate.foreign_set_aside",
    "regenerate.data_linked",
    "regenerate.extract_written",
    "regenerate.hash_recorded",
    "regenerate.extract_replaced",
    "regenerate.links_removed",
    "regenerate.recorded",
    "regenerate.folder_removed",
    "rebuild.copied",
    "rebuild.written",
    "rebuild.switched",
    "rebuild.swept",
    "rebuild.recorded",
    "retention.versions_deleted",
    "retention.file_deleted",
    "retention.rejected_deleted",
    "scrub.set_aside",
    "scrub.put_back",
    "scrub.read",
    "rotation.key_added",
    "rotation.secret_renewed",
    "rotation.keys_dropped",
)

_armed: frozenset[str] = frozenset()
_markers: Path | None = None


def arm(names: str, *, once: Path | None = None) -> None:
    """Make the failpoints ``names``, comma separated, end the process.

    With ``once`` each does so unless a file of its name is in that folder, and makes it first.

    Raises:
        ValueError: there is no such failpoint.
    """
    global _armed, _markers
    given = frozenset(name.strip() for name in names.split(",") if name.strip())
    if unknown := given.difference(NAMES):
        raise ValueError(f"There is no failpoint {sorted(unknown)[0]!r}.")
    _armed, _markers = given, once


def failpoint(name: str) -> None:
    """End the process here if the failpoint ``name`` is armed."""
    if name not in _armed:
        return
    if _markers is not None:
        try:
            (_markers / name).touch(exist_ok=False)
        except FileExistsError:
            return
    os.kill(os.getpid(), signal.SIGKILL)
