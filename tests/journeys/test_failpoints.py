"""Every step after which a process can be killed: what is there at the end is what always is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from agnes_site.core import failpoints as server
from analyst_cli import failpoints as client
from tests.journeys import final_state
from tests.journeys.company import Company
from tests.journeys.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ON_POSTGRES = bool(os.environ.get("DATABASE_URL"))
# Others are killed on the second day, when there is something to lose already.
ON_THE_FIRST_DAY = {
    "remote.kept", "scan.source_adopted", "scan.table_registered", "secrets.key_made",
}  # fmt: skip
# A new workspace holds nothing of the user's where views are put.
ONLY_LATER = {"pull.foreign_kept"}
PULLS = tuple(name for name in client.NAMES if name.startswith("pull."))
# Each installation is killed at every such step: those next to each other fall to different ones.
INSTALLATIONS = 4


def groups() -> list[tuple[str, ...]]:
    """Return all failpoints of the server, in groups that one installation survives."""
    return [server.NAMES[first::INSTALLATIONS] for first in range(INSTALLATIONS)]


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A company that nothing happened to, and the workspaces of the first day in it."""

    company: Company
    installation: dict[str, Any]
    workspace: dict[str, Any]
    new_workspace: dict[str, Any]
    of_first_day: dict[str, Path]


@pytest.fixture(scope="module")
def undisturbed(migrated, tmp_path_factory) -> Iterator[Undisturbed]:
    """The whole way, computed once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    company = started(folder, migrated)
    try:
        company.first_day()
        names = ("undisturbed", *(() if ON_POSTGRES else PULLS))
        prepared = {name: folder / name.replace(".", "-") for name in names}
        for workspace in prepared.values():
            begun(company, workspace)
        company.second_day()
        company.lose_files()
        company.do_upkeep()
        new = folder / "new"
        assert initialized(company, new).returncode == 0
        yield Undisturbed(
            company=company,
            installation=final_state.of_installation(company),
            workspace=pulled(company, prepared["undisturbed"]),
            new_workspace=pulled(company, new),
            of_first_day=prepared,
        )
    finally:
        company.installation.stop()


def started(folder: Path, migrated: Installation, **settings: str) -> Company:
    """Start an installation and return the company that uses it."""
    installation = Installation(
        folder, like=migrated, AGNES_KEPT_VERSIONS="1", AGNES_KEPT_FILE_SECONDS="0",
        AGNES_SCRUB_SECONDS="86400", **settings,
    )  # fmt: skip
    installation.start_web()
    installation.start_worker()
    installation.start_beat()
    return Company(installation)


def initialized(company: Company, workspace: Path, **settings: str) -> Any:
    """Run `agnes init` in a folder that has a file of the user's own."""
    workspace.mkdir(exist_ok=True)
    guide = workspace / "CLAUDE.md"
    if not guide.exists():
        guide.write_text("what I have told my agent")
    return company.init(workspace, **settings)


def begun(company: Company, workspace: Path) -> None:
    """Make a workspace, and leave a table of the user's own where a pull puts its views."""
    done = initialized(company, workspace)
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(workspace / "user" / "duckdb" / "analytics.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")


def pulled(company: Company, workspace: Path) -> dict[str, Any]:
    """Pull what there is, and once more: then nothing is left to sweep. Return what is there."""
    for _ in range(2):
        done = company.agnes("pull", folder=workspace)
        assert done.returncode == 0, done.stderr
    return final_state.of_workspace(workspace, company)


class TestServer:
    @pytest.mark.parametrize("names", groups(), ids="+".join)
    def test_is_as_if_nothing_happened(self, tmp_path, migrated, undisturbed, names):
        markers = tmp_path / "killed"
        markers.mkdir()
        later = [name for name in names if name not in ON_THE_FIRST_DAY]
        for name in later:
            (markers / name).touch()
        company = started(
            tmp_path, migrated,
            AGNES_FAILPOINT=",".join(names), AGNES_FAILPOINT_ONCE=str(markers),
        )  # fmt: skip
        try:
            company.first_day()
            workspace = tmp_path / "workspace"
            begun(company, workspace)
            for name in later:
                (markers / name).unlink()
            company.second_day()
            company.lose_files()
            company.do_upkeep()

            assert {path.name for path in markers.iterdir()} == set(names)
            assert final_state.of_installation(company) == undisturbed.installation
            assert pulled(company, workspace) == undisturbed.workspace
        finally:
            company.installation.stop()


@pytest.mark.skipif(ON_POSTGRES, reason="the client does not know what the server keeps rows in")
class TestClient:
    @pytest.mark.parametrize("name", [n for n in client.NAMES if n not in ONLY_LATER])
    def test_is_as_if_nothing_happened_to_a_new_workspace(self, tmp_path, undisturbed, name):
        company, workspace = undisturbed.company, tmp_path / "workspace"

        killed = initialized(company, workspace, AGNES_FAILPOINT=name)
        healed = initialized(company, workspace)

        assert killed.returncode == -signal.SIGKILL
        # The last step is behind the last thing to do.
        assert healed.returncode == (1 if name == "init.completed" else 0), healed.stderr
        assert pulled(company, workspace) == undisturbed.new_workspace

    @pytest.mark.parametrize("name", PULLS)
    def test_is_as_if_nothing_happened_to_a_pull(self, undisturbed, name):
        company, workspace = undisturbed.company, undisturbed.of_first_day[name]

        killed = company.agnes("pull", folder=workspace, AGNES_FAILPOINT=name)

        assert killed.returncode == -signal.SIGKILL
        assert pulled(company, workspace) == undisturbed.workspace
