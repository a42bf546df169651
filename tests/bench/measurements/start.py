"""How long the client takes to start.

Whole processes, from their start to their end, with nothing to be downloaded: the server
answers the pull with 304. The comparison is a Python that does nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from analyst_cli import VERSION
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Laptop, Server
from tests.bench.timing import medians, process_seconds

_TABLES = 10
_BARE = "python -c pass"


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure `agnes --version`, a pull without news and the smallest query."""
    server = Server(bench.folder / "server")
    try:
        token = server.ask("tests.bench.stock.people:add_reader", name="ana")
        served = server.ask(
            "tests.bench.stock.parquet:publish_files", source="sales", count=_TABLES,
            size_bytes=100_000,
        )  # fmt: skip
        server.ask("tests.bench.stock.people:grant_each", name="ana", tables=sorted(served))
        server.start_web()
        yield from _figures(bench, server.laptop(token))
    finally:
        server.stop()


def _figures(bench: Bench, laptop: Laptop) -> Iterator[Figure]:
    laptop.run("init", "--server", laptop.environment["AGNES_SERVER"])
    again = json.loads(laptop.run("pull", "--json"))
    check(again["not_modified"], True, what="a second pull")
    check(again["parquets_total"], _TABLES, what="tables of a second pull")

    def seconds(*command: str, said: str = "") -> float:
        return process_seconds(command, env=laptop.environment, cwd=laptop.workspace, said=said)

    taken = medians(
        bench.size(31, quick=3),
        {
            _BARE: lambda: seconds(sys.executable, "-c", "pass"),
            "agnes --version": lambda: seconds(laptop.agnes, "--version", said=VERSION),
            "agnes pull": lambda: seconds(laptop.agnes, "pull", said="Up to date: 10 files"),
            'agnes query "SELECT 1"': lambda: seconds(
                laptop.agnes, "query", "SELECT 1 AS one", said="one"
            ),
        },
    )
    budgets = {"agnes --version": 60, "agnes pull": 100, 'agnes query "SELECT 1"': 250}
    for command, budget in budgets.items():
        yield Figure(
            what=f"`{command}`", unit="ms", value=taken[command] * 1000, budget=budget,
            compared_with=f"`{_BARE}`", compared=taken[_BARE] * 1000,
        )  # fmt: skip
