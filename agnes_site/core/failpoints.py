"""Named points between durable steps at which a test may end the process.

Each step that leaves something on disk or in the database is followed by a failpoint.
Normally one costs a dictionary look-up. When ``AGNES_FAILPOINT`` names it, the process is
killed there with SIGKILL, as a power cut would: no clean-up code runs.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

# What exists, in the order of the way of a table. A new durable step adds its line here.
NAMES = (
    "extract.part_written",
    "extract.candidate_written",
    "publish.validated",
    "publish.stored",
    "publish.before_commit",
    "publish.committed",
    "regenerate.data_linked",
    "regenerate.extract_written",
    "regenerate.extract_replaced",
    "regenerate.recorded",
    "rebuild.copied",
    "rebuild.written",
    "rebuild.switched",
    "rebuild.recorded",
    "retention.versions_deleted",
    "retention.file_deleted",
    "rotation.key_added",
    "rotation.secret_renewed",
)

_armed: str = ""
_once_marker: Path | None = None


def arm(name: str, *, once: Path | None = None) -> None:
    """Make the failpoint ``name`` end the process; with ``once``, unless that file exists.

    Raises:
        ValueError: there is no such failpoint.
    """
    global _armed, _once_marker
    if name and name not in NAMES:
        raise ValueError(f"There is no failpoint {name!r}.")
    _armed, _once_marker = name, once


def failpoint(name: str) -> None:
    """End the process here if the failpoint ``name`` is armed."""
    if _armed != name:
        return
    if _once_marker is not None:
        if _once_marker.exists():
            return
        _once_marker.touch()
    os.kill(os.getpid(), signal.SIGKILL)
