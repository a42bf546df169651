"""Hostile inputs and faults to survive, and which tests are marked with each of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One kind of hostile input or fault; ``open`` says what of it no test shows, and why."""

    what: str
    open: str = ""


GROUPS: Mapping[str, Mapping[int, Case]] = {
    "Files and names": {
        15: Case(
            what="Names of columns: with quotes and SQL, empty, with a NUL, of 10 000 characters,"
            " with signs that turn the direction of writing, twice, differing by case only.",
            open="All the way to the laptop goes a CSV file; names out of workbooks, JSON and"
            " databases are followed to their version, from which on all go the same way.",
        ),
        16: Case(
            what="Names of tables: `../x`, `..%2f`, `CON`, `a/b`, with a dot at the end, of"
            " 300 bytes, twins in composed and decomposed Unicode.",
            open="Windows and git: the client is tested on Linux only, where the names that"
            " Windows reserves are refused as well; nothing writes tables into git.",
        ),
        17: Case(
            what="Parquet: cut off, a flipped bit, a wrong magic, 2³¹ rows claimed, an unusual"
            " compression, a page that unpacks to gigabytes, a thousand levels of nesting,"
            " 50 000 columns, statistics that lie.",
            open="A view of a foreign extract that is more than its files is evaluated by DuckDB,"
            " which compares neither checksums of pages nor statistics. A file that says in all"
            " places that it has fewer rows is read so by every reader.",
        ),
        18: Case(
            what="CSV: a line of 1 GB, mixed encodings, quotes that are never closed, formulas,"
            " a million columns, a header only, NUL bytes."
        ),
        19: Case(
            what="Excel with links to elsewhere, macros and XML bombs; ZIP with `..`, links and"
            " bombs; a DuckDB file that calls itself Parquet.",
            open="Workbooks of other programs (xls, xlsb, ods) with links and macros of their own.",
        ),
        20: Case(
            what="Symbolic and hard links in the folders of sources and extracts, also as a folder"
            " on the way.",
            open="Plugins: the server takes none yet. A hard link looks like any other file: only"
            " who may link it can have it served.",
        ),
        21: Case(
            what="Years 0 and 9999, infinite dates, decimals that do not fit, NaN in keys, 64-bit"
            " numbers in JSON, another time zone."
        ),
        22: Case(
            what="Repositories of plugins: hooks, submodules, filters, links, 10 000 files.",
            open="The server takes no plugins yet.",
        ),
    },
    "Client and laptop": {
        40: Case(what="The end of the process, or Ctrl-C, at each write of a pull."),
        41: Case(
            what="A full disk, a read-only folder, a quota, no rename from one device to another.",
            open="Windows: a file held by another program, paths beyond 260 characters.",
        ),
        42: Case(
            what="Two pulls at once, a pull while DuckDB reads, a laptop that slept for a day, a"
            " wrong clock, another time zone.",
        ),
        43: Case(
            what="A server that lies: a longer or shorter body, other bytes, a page in HTML, gzip"
            " on ranges, an ignored range, a reused ETag, a redirect to another host.",
        ),
        44: Case(
            what="Manifests rolled back, frozen or mixed; roots and keys that expired.",
            open="Manifests are not signed: the client trusts the server that it signs in to.",
        ),
        45: Case(
            what="A local file that rots, was edited, or became a link; a store that is partly"
            " deleted.",
        ),
        46: Case(
            what="A revoked table goes with the next pull, its view too; files of the user stay."
        ),
        47: Case(
            what="A captive portal, an inspecting proxy and its CA, a very slow link, an address"
            " that never answers, proxy variables.",
            open="HTTP/2: neither the server nor the client speaks it.",
        ),
        48: Case(
            what="An old client with a new server, and the other way round; a newer Parquet or"
            " storage version.",
            open="Three releases: there is one so far. The client before it is replayed from a"
            " recording.",
        ),
        49: Case(
            what="The home folder as a workspace, paths with spaces and quotes, an odd locale, no"
            " keyring, the root user, no terminal.",
            open="Keyrings: tokens are kept in a file of the user.",
        ),
    },
    "Server and operations": {
        50: Case(
            what="A worker that is killed while it extracts or publishes; Redis emptied or gone;"
            " a task delivered twice; two clocks, or none.",
            open="Policies on rows: there are none yet.",
        ),
        51: Case(
            what="PostgreSQL restarted in the middle, a deadlock, a limit of connections, a long"
            " migration with live traffic, a clock that jumps.",
            open="Failover to another server, a limit of connections, and a migration with live"
            " traffic.",
        ),
        52: Case(
            what="A disk that is full, out of inodes or fails while a version is published; stale"
            " handles."
        ),
        53: Case(
            what="A source with fewer or no rows, another schema, keys twice, pages that shift,"
            " a rate limit, a failure in the middle, an expired token, equal cursors.",
        ),
        55: Case(
            what="Publish, pull, deletion and collection of garbage at once: each reader sees one"
            " version.",
            open="Policies and chunks: there are none yet.",
        ),
        59: Case(
            what="10 000 tables, 5 000 users, 500 groups, a million grants, 100 000 events of the"
            " audit, a table of 2 000 columns.",
            open="`make bench` measures 10 000 tables and people, 500 groups, a million grants and"
            " as many events; a table of 2 000 columns is compared with a narrow one by the"
            " statements that it takes.",
        ),
    },
}  # fmt: skip

CASES: Mapping[int, Case] = {
    number: case for cases in GROUPS.values() for number, case in cases.items()
}


@dataclass(frozen=True, kw_only=True, order=True)
class Marked:
    """A class of tests, a test or a whole module that is marked with a case."""

    path: str
    name: str
    number: int


def marked(folder: Path = TESTS) -> Sequence[Marked]:
    """Return every use of ``@pytest.mark.hostile``, in the order of paths and lines."""
    found: list[Marked] = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.hostile(" in source:
            where = path.relative_to(folder.parent).as_posix()
            found += (
                Marked(path=where, name=name, number=number)
                for _, name, number in sorted(_marks(ast.parse(source), within=""))
            )
    return tuple(dict.fromkeys(found))


def _marks(node: ast.AST, *, within: str) -> Iterator[tuple[int, str, int]]:
    """Yield what is marked below a node; marks of parameters are those of their test."""
    for child in ast.iter_child_nodes(node):
        name = within
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            name = f"{within}.{child.name}" if within else child.name
        elif isinstance(child, ast.Call) and ast.unparse(child.func) == "pytest.mark.hostile":
            yield from ((child.lineno, within, ast.literal_eval(number)) for number in child.args)
        yield from _marks(child, within=name)
