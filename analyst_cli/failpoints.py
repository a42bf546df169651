"""Named points after durable steps at which a test may end the process.

When ``AGNES_FAILPOINT`` names one, the process is killed there, as a power cut would: no
clean-up code runs.
"""

from __future__ import annotations

import os
import signal

from analyst_cli import environment

# What exists, in the order of `agnes init` and `agnes pull`. A new durable step adds its line.
NAMES = (
    "init.server_saved",
    "init.settings_saved",
    "init.guide_kept",
    "init.guide_written",
    "init.files_written",
    "pull.locked",
    "pull.manifest_read",
    "pull.part_downloaded",
    "pull.part_verified",
    "pull.state_opened",
    "pull.file_replaced",
    "pull.files_linked",
    "pull.foreign_kept",
    "pull.database_written",
    "pull.database_switched",
    "pull.revoked",
    "pull.pruned",
    "pull.state_written",
    "init.completed",
)


def failpoint(name: str) -> None:
    """End the process here if the failpoint ``name`` is armed."""
    if environment.failpoint() == name:
        os.kill(os.getpid(), signal.SIGKILL)
