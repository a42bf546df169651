"""A company at work.

For ten minutes, all at once: twenty laptops that pull, each again fifteen seconds after its last
pull and every tenth time into an empty workspace; fifty polls of the manifest a second; an
administrator who opens another page every second; and a run that is always in progress, of one of
three tables that have new rows each time. Web server, worker and clock are as `manage.py up`
starts them, and those who ask are on the same machine. The time of a poll or page counts from
when it was due. In the end each laptop pulls once more, and must have what the manifest says.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tests.bench.asking import Asker
from tests.bench.bench import Bench, check
from tests.bench.crowd import Crowd, Tally
from tests.bench.figures import Figure
from tests.bench.laptops import Puller, lost
from tests.bench.moving import Moving
from tests.bench.server import Server

_MANIFEST = "/api/sync/manifest"
_POLLS_PER_SECOND, _POLLERS = 50, 10
_PAUSE_OF_LAPTOP_SECONDS = 15
_MOVING_TABLES = 3
_KIB, _MIB = 1024, 1024**2
# Source, tables, of a smoke run, bytes of each.
_SIZES = (
    ("tiny", 12, 3, 64 * _KIB),
    ("small", 6, 1, _MIB),
    ("middle", 2, 0, 16 * _MIB),
    ("large", 1, 0, 64 * _MIB),
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Let everything happen at once, and look what is left of it."""
    server = Server(bench.folder / "server")
    try:
        names = [f"reader_{number:02}" for number in range(bench.size(20, quick=3))]
        tokens = server.ask("tests.bench.stock.people:add_readers", names=names)
        served = _publish(bench, server)
        server.start_up()
        moving = Moving(server, bench.folder / "moving", tables=_MOVING_TABLES)
        laptops = [Puller(server, name=name, token=token) for name, token in tokens.items()]
        server.ask(
            "tests.bench.stock.people:grant_each_to_all",
            names=names, tables=[*served, *moving.turns],
        )  # fmt: skip
        crowd = _crowd(bench, server, moving, laptops)
        crowd.run(bench.load_seconds)
        yield from _figures(crowd, bench.load_seconds)
        missing = lost(laptops, moving) + _lost_by_server(server, moving, tables=len(served))
        yield Figure(what="lost, or not what the manifest says", value=len(missing), budget=0)
        check(missing, [], what="what was lost")
        errors = [error for tally in crowd.tallies.values() for error in tally.errors]
        check(errors[:5], [], what="errors")
    finally:
        server.stop()


def _publish(bench: Bench, server: Server) -> list[str]:
    served: list[str] = []
    for source, full, quick, size in _SIZES:
        served += server.ask(
            "tests.bench.stock.parquet:publish_files", source=source,
            count=bench.size(full, quick=quick), size_bytes=size,
        )  # fmt: skip
    return served


def _crowd(bench: Bench, server: Server, moving: Moving, laptops: list[Puller]) -> Crowd:
    crowd = Crowd()
    pause = bench.size(_PAUSE_OF_LAPTOP_SECONDS, quick=1)
    for laptop in laptops:
        crowd.keep("pull", laptop.pull, every_seconds=pause)
    period = _POLLERS / _POLLS_PER_SECOND
    for number in range(_POLLERS):
        crowd.keep(
            "poll of the manifest", _poll(server, laptops[number % len(laptops)].token),
            every_seconds=period, after_seconds=number / _POLLS_PER_SECOND, by_the_clock=True,
        )  # fmt: skip
    crowd.keep("page of the admin", _page(server), every_seconds=1, by_the_clock=True)
    crowd.keep("run, from asking to its end", moving.turn, every_seconds=0)
    return crowd


def _poll(server: Server, token: str) -> _Asked:
    return _Asked(Asker(server.url, token=token), [_MANIFEST], with_etag=True)


def _page(server: Server) -> _Asked:
    cookie = server.ask("tests.bench.stock.people:sign_an_administrator_in")
    lists = server.ask("tests.bench.stock.people:lists")
    return _Asked(Asker(server.url, cookie=cookie), ["/admin/", *lists.values()])


class _Asked:
    """Asks for one address after the other, round and round."""

    def __init__(self, asker: Asker, paths: list[str], *, with_etag: bool = False) -> None:
        self._asker, self._paths = asker, itertools.cycle(paths)
        self._with_etag, self._etag = with_etag, ""

    def __call__(self) -> None:
        """Ask once.

        Raises:
            WrongResultError: the answer is neither there nor unchanged.
        """
        path = next(self._paths)
        answer = self._asker.get(path, etag=self._etag)
        if not (answer.status == 304 and self._etag):
            check(answer.status, 200, what=f"the status of {path}")
        if self._with_etag:
            self._etag = answer.etag


def _figures(crowd: Crowd, seconds: int) -> Iterator[Figure]:
    yield Figure(what="length of the load", unit="s", value=seconds)
    for kind, tally in crowd.tallies.items():
        yield from _figures_of(kind, tally)


def _figures_of(kind: str, tally: Tally) -> Iterator[Figure]:
    yield Figure(what=f"{kind}: half of {len(tally.seconds)} within", unit="ms", value=tally.ms(50))
    yield Figure(what=f"{kind}: 99 % within", unit="ms", value=tally.ms(99))
    yield Figure(
        what=f"{kind}: errors", value=len(tally.errors), budget=0,
        remark="; ".join(tally.errors[:3]).replace("\n", " "),
    )  # fmt: skip


def _lost_by_server(server: Server, moving: Moving, *, tables: int) -> list[str]:
    found = server.ask("tests.bench.stock.kept:look")
    missing = [f"{found['open']} runs have not ended."] if found["open"] else []
    missing += [f"{found['failed']} runs have failed."] if found["failed"] else []
    missing += [f"The stored file {name} is wrong." for name in found["wrong"]]
    numbers = {name: found["numbers"].pop(name, 0) for name in moving.turns}
    if numbers != moving.turns:
        missing.append(f"Versions are {numbers}, not {moving.turns}.")
    if len(found["numbers"]) != tables:
        missing.append(f"{len(found['numbers'])} of {tables} tables are served.")
    return missing
