"""The order of work of a pull; `generation` and `database` explain what a reader sees of it."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from analyst_cli.client import AgnesClient
from analyst_cli.errors import ApiError, CliError
from analyst_cli.failpoints import failpoint
from analyst_cli.files import DiskFullError
from analyst_cli.pull import generation, install
from analyst_cli.pull import manifest as manifests
from analyst_cli.pull import plan as plans
from analyst_cli.pull.manifest import Manifest, Problem, TableEntry
from analyst_cli.pull.plan import Plan
from analyst_cli.pull.progress import Reporter
from analyst_cli.pull.state import (
    State,
    installed,
    load,
    load_manifest,
    save_manifest,
    touch_manifest,
)
from analyst_cli.workspace import Workspace


@dataclass(kw_only=True)
class Result:
    """What a pull did."""

    tables_updated: int = 0
    parquets_total: int = 0
    rows_total: int = 0
    bytes_downloaded: int = 0
    removed: int = 0
    duration_s: float = 0.0
    not_modified: bool = False
    errors: list[Problem] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**vars(self), "errors": [problem.as_json() for problem in self.errors]}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a caller wants pulled: all, or the named tables."""

    tables: Collection[str] = ()
    skip_materialized: bool = False


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
        state = load(workspace)
        body, is_unchanged = _read_manifest(workspace, client)
        pulled = _Pull(workspace, client, state, reporter)
        result = pulled.run(manifests.read(body), request)
    result.not_modified = is_unchanged
    result.duration_s = round(time.monotonic() - started, 3)
    return result


def preview(workspace: Workspace, client: AgnesClient, *, request: Request) -> tuple[Plan, State]:
    """Return what a pull would do, without changing anything."""
    state = load(workspace)
    etag, kept = load_manifest(workspace, server=client.server)
    answer = client.get_manifest(etag=etag if kept else "")
    manifest = manifests.read(kept if answer.body is None else answer.body)
    wanted = plans.select(
        manifest, names=request.tables, skip_materialized=request.skip_materialized
    )
    return plans.make(workspace, state=state, manifest=manifest, wanted=wanted), state


def _read_manifest(
    workspace: Workspace, client: AgnesClient, *, is_fresh: bool = False
) -> tuple[dict[str, Any], bool]:
    """Return the manifest, and whether it is the one we had."""
    etag, kept = load_manifest(workspace, server=client.server)
    answer = client.get_manifest(etag=etag if kept and not is_fresh else "")
    if answer.body is None:
        touch_manifest(workspace)
        return kept, True
    save_manifest(workspace, server=client.server, etag=answer.etag, body=answer.body)
    failpoint("pull.manifest_read")
    return answer.body, False


class _Pull:
    """One pull, with its lock held."""

    def __init__(
        self, workspace: Workspace, client: AgnesClient, state: State, reporter: Reporter
    ) -> None:
        self.workspace, self.client, self.state, self.reporter = workspace, client, state, reporter
        self.result = Result()

    def run(self, manifest: Manifest, request: Request) -> Result:
        """Plan, fetch and install; a version that is gone meanwhile is looked up once more."""
        plan, failures = self._fetch(manifest, request)
        if any(isinstance(error, ApiError) and error.status == 404 for error in failures.values()):
            body, _ = _read_manifest(self.workspace, self.client, is_fresh=True)
            manifest = manifests.read(body)
            plan, failures = self._fetch(manifest, request)
        self.result.errors = [*manifest.problems, *_problems(plan, failures)]
        failed = {download.table.name for download in plan.downloads
                  if download.file.path in failures}  # fmt: skip
        self._install(plan, failed)
        self._count()
        return self.result

    def _fetch(self, manifest: Manifest, request: Request) -> tuple[Plan, dict[str, CliError]]:
        wanted = plans.select(
            manifest, names=request.tables, skip_materialized=request.skip_materialized
        )
        plan = plans.make(self.workspace, state=self.state, manifest=manifest, wanted=wanted)
        if not plan.downloads:
            return plan, {}
        _check_room(self.workspace, plan)
        from analyst_cli.pull.fetch import fetch_all

        fetched = fetch_all(self.client, plan.downloads, reporter=self.reporter)
        self.result.bytes_downloaded += fetched.bytes_downloaded
        return plan, fetched.errors

    def _install(self, plan: Plan, failed: set[str]) -> None:
        ready = [d for d in plan.downloads if d.table.name not in failed]
        tables = dict(self.state.tables)
        for name in plan.removed:
            del tables[name]
        for entry in (*plan.complete, *(download.table for download in ready)):
            tables[entry.name] = installed(entry)
        tables = dict(sorted(tables.items()))
        files = {**self.state.files, **plan.confirmed}
        after = replace(self.state, tables=tables, files=files, server=self.client.server)
        self.result.tables_updated = len({download.table.name for download in ready})
        self.result.removed = len(plan.removed)
        if not ready and install.is_current(self.workspace, before=self.state, after=after):
            self._settle(after)
            return
        unfinished = {d.staged.name for d in plan.downloads if d.table.name in failed}
        problems = install.install(
            self.workspace, before=self.state, after=after, ready=ready,
            checked={entry.name for entry in plan.complete},
            unfinished=unfinished, note=self.reporter.note,
        )  # fmt: skip
        self.result.errors += problems
        self.state = after

    def _settle(self, after: State) -> None:
        """End a pull that had nothing to change in the files."""
        if after != self.state:
            after.save(self.workspace)
            self.state = after
        if after.generation:
            generation.drop_before(self.workspace, after.generation)

    def _count(self) -> None:
        self.result.parquets_total = sum(len(t.paths) for t in self.state.tables.values())
        self.result.rows_total = sum(table.rows for table in self.state.tables.values())


def _problems(plan: Plan, failures: dict[str, CliError]) -> list[Problem]:
    """Return one problem per table, the first of its files."""
    found: dict[str, Problem] = {}
    for download in plan.downloads:
        error = failures.get(download.file.path)
        if error is not None:
            found.setdefault(download.table.name, _problem(download.table, error))
    return list(found.values())


def _problem(table: TableEntry, error: CliError) -> Problem:
    return Problem(table=table.name, code=error.code, message=error.message, hint=error.hint)


def _check_room(workspace: Workspace, plan: Plan) -> None:
    import shutil

    from analyst_cli.output import human_bytes

    folder = workspace.parquet if workspace.parquet.exists() else workspace.root
    free = shutil.disk_usage(folder).free
    if plan.bytes_to_download > free:
        raise DiskFullError(
            f"This pull needs {human_bytes(plan.bytes_to_download)}, "
            f"but the disk has {human_bytes(free)} left."
        )
