"""The manifest of somebody who is no administrator.

Over HTTP on a connection that stays open, the median of many. The catalog holds just the
tables that the reader may read, by one grant each, which is the most work there can be. The
comparison is the cheapest answer of the same server, `/api/health`. The server keeps the entries
of versions that it has listed before, for all readers: "new to the server" is the first manifest,
for which all of them are made, as after a start. "Meanwhile" is what another
reader waits for a 304 while somebody asks for the largest manifest without pause.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.bench.asking import Asker, asking_meanwhile
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server

_PATH = "/api/sync/manifest"
_HEALTH = "/api/health"
# Tables, of a smoke run, how often asked, and the budget in milliseconds.
_SIZES = ((10, 10, 200, 4), (1_000, 50, 100, 10), (10_000, 100, 40, 60))
_BUDGET_304 = 3


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure whole manifests and 304 at three sizes, and another reader meanwhile."""
    server = Server(bench.folder / "server")
    try:
        tokens = {
            name: server.ask("tests.bench.stock.people:add_reader", name=name)
            for name in ("ana", "ben")
        }
        server.start_web()
        for full, quick, asked, budget in _SIZES:
            count = bench.size(full, quick=quick)
            server.ask("tests.bench.stock.catalogs:grow", reader="ana", count=count)
            asker = Asker(server.url, token=tokens["ana"])
            yield from _manifest(asker, count, bench.size(asked, quick=3), budget)
        yield _meanwhile(server, tokens, bench.size(200, quick=10))
    finally:
        server.stop()


def _manifest(asker: Asker, tables: int, asked: int, budget: float) -> Iterator[Figure]:
    whole = asker.get(_PATH)
    check(len(json.loads(whole.body)["tables"]), tables, what="tables of the manifest")
    health = asker.p50_ms(_HEALTH, count=asked, status=200)
    size = f"{tables:,} tables".replace(",", " ")
    yield Figure(
        what=f"manifest, {size}", unit="ms", budget=budget,
        value=asker.p50_ms(_PATH, count=asked, status=200),
        compared_with=f"`{_HEALTH}`", compared=health,
    )  # fmt: skip
    yield Figure(
        what=f"manifest, {size}, all new to the server",
        unit="ms",
        value=whole.seconds * 1000,
    )
    yield Figure(
        what=f"304, {size}", unit="ms", budget=_BUDGET_304,
        value=asker.p50_ms(_PATH, count=asked, status=304, etag=whole.etag),
        compared_with=f"`{_HEALTH}`", compared=health,
    )  # fmt: skip


def _meanwhile(server: Server, tokens: dict[str, str], asked: int) -> Figure:
    asker = Asker(server.url, token=tokens["ben"])
    etag = asker.get(_PATH).etag
    alone = asker.p50_ms(_PATH, count=asked, status=304, etag=etag)
    with asking_meanwhile(server.url, token=tokens["ana"], path=_PATH):
        meanwhile = asker.p50_ms(_PATH, count=asked, status=304, etag=etag)
    return Figure(
        what="304 of another reader meanwhile", unit="ms", value=meanwhile, budget=_BUDGET_304,
        compared_with="alone", compared=alone,
    )  # fmt: skip
