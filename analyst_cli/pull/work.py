"""The work of a pull that has some: plan, fetch, install."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from analyst_cli.client import AgnesClient, ManifestAnswer
from analyst_cli.errors import ApiError, CliError
from analyst_cli.failpoints import failpoint
from analyst_cli.files import DiskFullError
from analyst_cli.output import human_bytes
from analyst_cli.pull import generation, install
from analyst_cli.pull import manifest as manifests
from analyst_cli.pull import plan as plans
from analyst_cli.pull.manifest import Manifest, Problem, TableEntry
from analyst_cli.pull.plan import Plan
from analyst_cli.pull.progress import Reporter
from analyst_cli.pull.result import Request, Result
from analyst_cli.pull.state import (
    State,
    installed,
    load,
    load_manifest,
    save_manifest,
    touch_manifest,
)
from analyst_cli.workspace import Workspace


def preview(
    workspace: Workspace, client: AgnesClient, *, request: Request
) -> tuple[Plan, State, list[Problem]]:
    """Return what a pull would do, without changing anything."""
    state = load(workspace)
    etag, kept = load_manifest(workspace, server=client.server)
    answer = client.get_manifest(etag=etag if kept else "")
    manifest = manifests.read(kept if answer.body is None else answer.body)
    wanted = plans.select(
        manifest, names=request.tables, installed=state.tables,
        skip_materialized=request.skip_materialized,
    )  # fmt: skip
    plan = plans.make(workspace, state=state, manifest=manifest, wanted=wanted)
    return plan, state, manifest.problems


class Work:
    """The work of one pull. Needs the lock of the workspace."""

    def __init__(self, workspace: Workspace, client: AgnesClient, reporter: Reporter) -> None:
        self.workspace, self.client, self.reporter = workspace, client, reporter
        self.state = load(workspace)
        self.result = Result()

    def run(self, request: Request, *, answer: ManifestAnswer | None) -> Result:
        """Plan, fetch and install; a version that is gone meanwhile is looked up once more.

        ``answer`` is what the server has said already, if it was asked.
        """
        etag, body = self._read_manifest(answer)
        manifest = manifests.read(body)
        plan, failures = self._fetch(manifest, request)
        if any(isinstance(error, ApiError) and error.status == 404 for error in failures.values()):
            etag, body = self._keep(self.client.get_manifest())
            manifest = manifests.read(body)
            plan, failures = self._fetch(manifest, request)
        self.result.errors = [*manifest.problems, *_problems(plan, failures)]
        failed = {d.table.name for d in plan.downloads if d.file.path in failures}
        is_complete = request.is_everything and not self.result.errors
        self._install(plan, failed, complete_etag=etag if is_complete else "")
        self._count()
        return self.result

    def _read_manifest(self, answer: ManifestAnswer | None) -> tuple[str, dict[str, Any]]:
        """Return the manifest that is in force, and its ETag."""
        etag, kept = load_manifest(self.workspace, server=self.client.server)
        if answer is None or (answer.body is None and answer.etag != etag):
            answer = self.client.get_manifest(etag=etag if kept else "")
        if answer.body is not None:
            return self._keep(answer)
        touch_manifest(self.workspace)
        self.result.not_modified = True
        return etag, kept

    def _keep(self, answer: ManifestAnswer) -> tuple[str, dict[str, Any]]:
        body = answer.body or {"tables": {}}
        save_manifest(self.workspace, server=self.client.server, etag=answer.etag, body=body)
        failpoint("pull.manifest_read")
        self.result.not_modified = False
        return answer.etag, body

    def _fetch(self, manifest: Manifest, request: Request) -> tuple[Plan, dict[str, CliError]]:
        wanted = plans.select(
            manifest, names=request.tables, installed=self.state.tables,
            skip_materialized=request.skip_materialized,
        )  # fmt: skip
        plan = plans.make(self.workspace, state=self.state, manifest=manifest, wanted=wanted)
        if not plan.downloads:
            return plan, {}
        _check_room(self.workspace, plan)
        from analyst_cli.pull.fetch import fetch_all

        fetched = fetch_all(self.client, plan.downloads, reporter=self.reporter)
        self.result.bytes_downloaded += fetched.bytes_downloaded
        self._report_damage(plan, fetched.errors)
        return plan, fetched.errors

    def _report_damage(self, plan: Plan, failures: dict[str, CliError]) -> None:
        """Tell the server which of its files came with a wrong hash, again and again."""
        from analyst_cli.pull.download import DamagedDownloadError

        for download in plan.downloads:
            error = failures.get(download.file.path)
            algorithm, _, wanted = download.file.digest.partition(":")
            if not isinstance(error, DamagedDownloadError) or algorithm != "sha256":
                continue
            name = download.table.name
            try:
                self.client.report_damage(name, sha256=wanted, found=error.found)
            except CliError as refused:
                self.reporter.note(f"The server could not be told of it: {refused.message}")
            else:
                self.reporter.note(f"The server was told, and checks its file of {name!r}.")

    def _install(self, plan: Plan, failed: set[str], *, complete_etag: str) -> None:
        ready = [d for d in plan.downloads if d.table.name not in failed]
        tables = dict(self.state.tables)
        for name in plan.removed:
            del tables[name]
        for entry in (*plan.complete, *(download.table for download in ready)):
            tables[entry.name] = installed(entry)
        tables = dict(sorted(tables.items()))
        files = {**self.state.files, **plan.confirmed}
        after = replace(
            self.state,
            tables=tables,
            files=files,
            server=self.client.server,
            complete_etag=complete_etag,
        )
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
        if problems:
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
    folder = workspace.parquet if workspace.parquet.exists() else workspace.root
    free = shutil.disk_usage(folder).free
    if plan.bytes_to_download > free:
        raise DiskFullError(
            f"This pull needs {human_bytes(plan.bytes_to_download)}, "
            f"but the disk has {human_bytes(free)} left."
        )
