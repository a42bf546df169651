"""The main job, told while it happens: files in, Parquet out, a question answered on the laptop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import Any

import requests

from access.models import Group
from access.services import grants
from agnes_site.core import human
from agnes_site.core.config import Config
from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import Layout
from agnes_site.demo import generator
from agnes_site.demo.company import CompanyFiles, company_files
from agnes_site.demo.people import ANALYSTS, People
from catalog.models import Source
from catalog.services import sources

SOURCE = "company"
# The question of the story; a test knows no answer to it but what SQL over the generator says.
QUESTION = """
SELECT plans.name AS plan, count(*) AS subscriptions, sum(subscriptions.mrr) AS mrr
FROM subscriptions JOIN plans USING (plan_id)
WHERE started_on <= DATE '2026-10-31' AND (ended_on > DATE '2026-10-31' OR ended_on IS NULL)
GROUP BY plans.name, plans.tier ORDER BY plans.tier
""".strip()


class StoryError(AgnesError):
    """Something in the demo did not hold."""

    code = "demo_failed"


@dataclass
class Story:
    """Tells the story line by line and remembers how long each step took."""

    config: Config
    layout: Layout
    people: People
    scale: float
    seed: int
    write: Callable[[str], object]
    steps: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the demo's server answers."""
        return f"http://{self.config.bind}"

    @property
    def workspace(self) -> Path:
        """The folder of the demo's analyst."""
        return self.layout.root / "workspace"

    def tell(self) -> None:
        """Do everything, in order.

        Raises:
            AgnesError: a step did not do what it says.
        """
        with self._step("Company") as line:
            files = company_files(self.layout.files / "company", scale=self.scale, seed=self.seed)
            made = "made" if files.is_new else "as before"
            line(
                f"{len(files.tables)} tables, {files.rows:,} rows, "
                f"{human.size(files.bytes)} of CSV, gzip and Parquet ({made})"
            )
        with self._step("Register") as line:
            count = self._register(files)
            line(f"source {SOURCE!r} with {len(files.tables)} tables, {count} of them new")
        with self._step("Extract") as line:
            rows, size = self._extract(files)
            line(f"{rows:,} rows checked and published, {human.size(size)} of Parquet")
        with self._step("Grant") as line:
            line(f"group {ANALYSTS!r} may read {SOURCE!r}: {self._grant()}")
        with self._step("Pull") as line:
            pulled = self._pull()
            line(
                f"{pulled['tables_updated']} tables, {human.size(pulled['bytes_downloaded'])} "
                "onto the analyst's laptop"
            )
        with self._step("Pull again") as line:
            again = self._agnes_json("pull", "--json")
            if not again["not_modified"] or again["tables_updated"]:
                raise StoryError("A second pull brought something, though nothing had changed.")
            line("nothing new: one small question, answered 304")
        with self._step("Query") as line:
            total = self._query()
            line(f"MRR on 31 October 2026 is {total:,.2f}, as SQL over the generator says")

    def _register(self, files: CompanyFiles) -> int:
        source = Source.objects.filter(slug=SOURCE).first() or sources.add_source(
            slug=SOURCE, source_type="files", display_name="Demo company",
            config={"folder": str(files.folder)}, by=None,
        )  # fmt: skip
        sources.change_source(source=source, by=None, config={"folder": str(files.folder)})
        known = set(source.tables.values_list("name", flat=True))
        for name, (pattern, primary_key, description) in files.tables.items():
            if name in known:
                continue
            self._call(
                "POST", "/api/admin/register-table",
                {
                    "name": name, "source": SOURCE, "source_table": pattern,
                    "primary_key": [primary_key], "description": description,
                },
            )  # fmt: skip
        return len(files.tables.keys() - known)

    def _extract(self, files: CompanyFiles) -> tuple[int, int]:
        asked = self._call("POST", "/api/sync/trigger", {"tables": sorted(files.tables)})
        for run in asked["runs"]:
            self._follow(run["id"])
        tables = self._call("GET", f"/api/catalog/tables?source={SOURCE}")["tables"]
        rows = sum(table["rows"] or 0 for table in tables)
        if rows != files.rows:
            raise StoryError(f"{files.rows:,} rows went in, {rows:,} came out.")
        return rows, sum(table["size_bytes"] or 0 for table in tables)

    def _follow(self, run_id: str) -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            run = self._call("GET", f"/api/runs/{run_id}")
            if run["state"] == "succeeded":
                return
            if run["state"] not in ("queued", "running"):
                error = run["error"] or {"message": run["state"], "hint": ""}
                raise StoryError(f"{run['table']}: {error['message']}", hint=error["hint"])
            time.sleep(0.1)
        raise StoryError(f"The run {run_id} did not end within ten minutes.")

    def _grant(self) -> str:
        try:
            grants.grant(
                group=Group.objects.get(name=ANALYSTS), resource_type="source",
                resource_id=SOURCE, by=None,
            )  # fmt: skip
        except grants.GrantExistsError:
            return f"{self.people.analyst.email} (as before)"
        return self.people.analyst.email

    def _pull(self) -> dict[str, Any]:
        if not (self.workspace / ".claude" / "init-complete").exists():
            self._agnes(
                "init", "--server", self.url, "--token-stdin", "--workspace",
                str(self.workspace), given=self.people.analyst.token,
            )  # fmt: skip
            brought = sorted((self.workspace / "server" / "parquet").rglob("*.parquet"))
            return {
                "tables_updated": len(brought),
                "bytes_downloaded": sum(path.stat().st_size for path in brought),
            }
        self._agnes(
            "auth", "login", "--server", self.url, "--token-stdin",
            given=self.people.analyst.token,
        )  # fmt: skip
        return self._agnes_json("pull", "--json")

    def _query(self) -> Decimal:
        found = json.loads(self._agnes("query", QUESTION, "--format", "json"), parse_float=Decimal)
        company = generator.connect(scale=self.scale, seed=self.seed)
        expected = company.execute(QUESTION).fetchall()
        answered = [(row["plan"], row["subscriptions"], Decimal(row["mrr"])) for row in found]
        if answered != expected:
            raise StoryError(f"The laptop answers {answered}, the generator {expected}.")
        self.facts["answer"] = self._agnes("query", QUESTION)
        return sum((mrr for _, _, mrr in answered), Decimal(0))

    def _call(self, method: str, path: str, body: object = None) -> Any:
        try:
            response = requests.request(
                method, f"{self.url}{path}", json=body, timeout=60,
                headers={"Authorization": f"Bearer {self.people.admin.token}"},
            )  # fmt: skip
        except requests.RequestException as error:
            raise StoryError(
                f"{method} {path}: the server did not answer.",
                hint=f"Its log is {self.layout.root}/logs/web.log.",
            ) from error
        if not response.ok:
            told = response.json()
            raise StoryError(f"{method} {path}: {told['message']}", hint=told["hint"])
        return response.json()

    def _agnes_json(self, *words: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._agnes(*words))
        return told

    def _agnes(self, *words: str, given: str | None = None) -> str:
        """Run the client as the analyst would, with a configuration of its own."""
        self.workspace.mkdir(exist_ok=True)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("agnes")), *words],
            cwd=self.workspace,
            env={**os.environ, "AGNES_CONFIG_DIR": str(self.client_config)},  # noqa: TID251 (as it is)
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StoryError(f"`agnes {words[0]}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    @property
    def client_config(self) -> Path:
        """Where the demo's client keeps its server and token."""
        return self.layout.root / "laptop"

    @contextmanager
    def _step(self, title: str) -> Iterator[Callable[[str], None]]:
        self.steps += 1
        # The title first: a step may take a while.
        self.write(f"  {self.steps}  {title:<11} ")
        said: list[str] = []
        started = time.monotonic()
        try:
            yield said.append
        except BaseException:
            self.write("\n")
            raise
        seconds = time.monotonic() - started
        self.write(f"{''.join(said):<88} {seconds:6.1f} s\n")


def next_commands(story: Story) -> str:
    """Return what the analyst can type next, in any shell."""
    binaries, config = Path(sys.executable).parent, story.client_config
    lines = (
        f"  export PATH={quote(str(binaries))}:$PATH AGNES_CONFIG_DIR={quote(str(config))}",
        f"  cd {quote(str(story.workspace))}",
        "  agnes catalog",
        '  agnes query "SELECT count(*) FROM invoices"',
        "  agnes pull",
    )
    return "".join(f"{line}\n" for line in lines)
