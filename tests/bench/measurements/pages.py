"""The pages of a large company, and a manifest of it.

Over HTTP on a connection that stays open, the median of several, whole pages with all of their
rows: 10 000 tables of 30 columns, 10 000 people, tokens and incidents, 500 sources, folders and
groups, 100 000 runs, 1 000 000 grants and as many events of the audit. The comparison is the same
page of a company with a hundredth of it, as long as that has a full page of rows too. The
manifest is that of a person who may read each table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlencode

from tests.bench.asking import Asker
from tests.bench.bench import Bench, check
from tests.bench.figures import Figure
from tests.bench.server import Server

_OVERVIEW, _MANIFEST = "the overview", "the manifest of all tables"
_BUDGETS = {_OVERVIEW: 200, _MANIFEST: 60}
_BUDGET_LIST = 500
_LARGE = {
    "tables": 10_000, "columns": 30, "users": 10_000, "runs": 100_000, "events": 1_000_000,
    "groups": 500, "grants": 1_000_000,
}  # fmt: skip
_SMALL = {
    "tables": 100, "columns": 30, "users": 100, "runs": 1_000, "events": 10_000, "groups": 100,
    "grants": 10_000,
}  # fmt: skip
_QUICK = {
    "tables": 50, "columns": 2, "users": 50, "runs": 50, "events": 50, "groups": 20, "grants": 200,
}  # fmt: skip


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure the overview, each list, the search, a page of the API and a manifest."""
    asked = bench.size(10, quick=1)
    small = _measured(bench, "small", _QUICK if bench.is_quick else _SMALL, asked)
    large = _measured(bench, "large", _QUICK if bench.is_quick else _LARGE, asked)
    for what, milliseconds in large.items():
        yield Figure(
            what=what, unit="ms", value=milliseconds, compared_with="a small company",
            compared=small[what],
            budget=_BUDGETS.get(what, _BUDGET_LIST),
        )  # fmt: skip


def _measured(bench: Bench, name: str, sizes: dict[str, int], asked: int) -> dict[str, float]:
    server = Server(bench.folder / name)
    try:
        server.ask("tests.bench.stock.company:fill", **sizes)
        cookie = server.ask("tests.bench.stock.people:sign_an_administrator_in")
        lists = server.ask("tests.bench.stock.people:lists")
        token = server.ask("tests.bench.stock.company:add_reader_of_all")
        server.start_web()
        admin, reader = Asker(server.url, cookie=cookie), Asker(server.url, token=token)
        manifest = json.loads(reader.get("/api/sync/manifest").body)
        check(len(manifest["tables"]), sizes["tables"], what="tables of the manifest")
        return {
            _MANIFEST: reader.p50_ms("/api/sync/manifest", count=asked, status=200),
            **{
                what: admin.p50_ms(path, count=asked, status=200)
                for what, path in _pages(lists).items()
            },
        }
    finally:
        server.stop()


def _pages(lists: dict[str, str]) -> dict[str, str]:
    tables = lists["tables"]
    return {
        _OVERVIEW: "/admin/",
        **{f"the list of {name}": path for name, path in lists.items()},
        "a search in the list of tables": f"{tables}?{urlencode({'q': '0005'})}",
        "the search for a column": f"/admin/search/?{urlencode({'s': 'customer_id'})}",
        "a search that finds nothing": f"/admin/search/?{urlencode({'s': 'nowhere'})}",
        "100 tables of the registry by the API": "/api/admin/registry?limit=100",
    }
