"""One pull from its lock to its result; `work` does what there is to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from analyst_cli.failpoints import failpoint
from analyst_cli.pull import quick

if TYPE_CHECKING:
    from analyst_cli.client import AgnesClient
    from analyst_cli.pull.progress import Reporter
    from analyst_cli.pull.result import Request, Result
    from analyst_cli.workspace import Workspace


def pull(
    workspace: Workspace, client: AgnesClient, *, request: Request, reporter: Reporter
) -> Result:
    """Bring a workspace to the state of the manifest. Safe to repeat and to kill.

    Raises:
        CliError: nothing could be done: no lock, no manifest, no disk space, no such table.
    """
    started = time.monotonic()
    with workspace.lock(on_wait=reporter.note):
        failpoint("pull.locked")
        result = _pull(workspace, client, request, reporter)
    result.duration_s = round(time.monotonic() - started, 3)
    return result


def _pull(
    workspace: Workspace, client: AgnesClient, request: Request, reporter: Reporter
) -> Result:
    record = quick.read_record(workspace)
    # A table that is named may be one that is brought only when asked for.
    etag = "" if request.tables else quick.complete_etag(record, server=client.server)
    answer = client.get_manifest(etag=etag) if etag else None
    if answer is not None and answer.body is None and quick.is_whole(workspace, record):
        return quick.result(workspace, record)
    from analyst_cli.pull.work import Work

    return Work(workspace, client, reporter).run(request, answer=answer)
