"""Tables whose file has other rows each time that they are extracted."""

from __future__ import annotations

import itertools
from pathlib import Path

import duckdb

from agnes_site.core.sql import quote_literal
from tests.bench.bench import check
from tests.bench.server import Server

_SOURCE = "moving"
_ROWS = 20_000


class Moving:
    """Some tables of a source of files; ``turns`` says how often each was brought."""

    def __init__(self, server: Server, folder: Path, *, tables: int) -> None:
        self.turns = {f"moving_{number}": 0 for number in range(tables)}
        self._server, self._folder = server, folder
        self._next = itertools.cycle(self.turns)
        folder.mkdir()
        server.add_files_source(_SOURCE, folder)
        for name in self.turns:
            self._write(name, turn=0)
            server.call(
                "POST", "/api/admin/register-table",
                {"source": _SOURCE, "name": name, "source_table": f"{name}.csv"},
            )  # fmt: skip

    @property
    def brought(self) -> dict[str, int]:
        """The tables that were brought at all, and how often."""
        return {name: turn for name, turn in self.turns.items() if turn}

    def turn(self) -> None:
        """Write new rows of the next table, bring them, and wait for the end of the run.

        Raises:
            WrongResultError: the run did not bring them.
        """
        name = next(self._next)
        self._write(name, turn=self.turns[name] + 1)
        (run_id,) = self._server.extract(name)
        run = self._server.finished(run_id, seconds=120)
        check(run["state"], "succeeded", what=f"the run of {name} ({run.get('error')})")
        self.turns[name] += 1

    def _write(self, name: str, *, turn: int) -> None:
        beside = self._folder / f"{name}.csv.new"
        with duckdb.connect(config={"threads": "1"}) as connection:
            connection.execute(
                f"COPY (SELECT i AS id, {turn:d} AS turn, hash(i + {turn:d}) % 1000 AS value "
                f"FROM range({_ROWS:d}) AS numbers(i)) TO {quote_literal(str(beside))} "
                "(FORMAT csv, HEADER)"
            )
        beside.replace(self._folder / f"{name}.csv")


def turn_of(path: Path) -> int:
    """Return in which turn all rows of a pulled file were written; -1 if they are not all there."""
    found = duckdb.execute(
        "SELECT count(*), min(turn), max(turn) FROM read_parquet(?)", [str(path)]
    ).fetchone()
    assert found is not None
    rows, least, most = found
    return int(most) if (rows, least) == (_ROWS, most) else -1
