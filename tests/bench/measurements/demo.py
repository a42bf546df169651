"""The demo company.

Whole processes: making its files at scale 1, about a million rows, and what `make demo-once`
runs: files, server, extracts, a pull and a checked answer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server
from tests.bench.timing import process_seconds
from tests.journeys.installation import ROOT

_BUDGET_SECONDS = 15
_TABLES = 10


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure the generator, then the story told once."""
    scale = "0.02" if bench.is_quick else "1"
    places = Server(bench.folder / "server")
    # It reads where an installation reads by default.
    demo = {"DATA_DIR": str(bench.folder / "demo"), "AGNES_FILES_ROOTS": ""}
    files = bench.folder / "files"
    generate = [sys.executable, "-m", "agnes_site.demo.generator", str(files), "--scale", scale]
    taken = process_seconds(
        generate, env=places.environment, cwd=ROOT, said=f"Wrote {_TABLES} tables"
    )
    check(len(list(files.iterdir())), _TABLES, what="files and folders of the company")
    yield Figure(what=f"demo data at scale {scale}", unit="s", value=taken, budget=_BUDGET_SECONDS)
    once = [sys.executable, "manage.py", "demo", "--once", "--scale", scale]
    taken = process_seconds(
        once, env=places.environment | demo, cwd=ROOT,
        said="Everything held.",
    )  # fmt: skip
    yield Figure(what=f"`make demo-once` at scale {scale}", unit="s", value=taken)
