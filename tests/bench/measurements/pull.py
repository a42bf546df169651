"""Pulling what is new.

From the web server as `manage.py up` starts it, over loopback, into an empty workspace. A pull
checks the hash of each file and builds the local database; the comparison only fetches the same
files: one curl on one connection, from nginx. Its memory is the most that the process held.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import nginx
from tests.bench.bench import Bench, WrongResultError, check
from tests.bench.figures import Figure
from tests.bench.server import Laptop, Server
from tests.bench.timing import medians, process_seconds
from tests.bench.watching import watching

_MIB = 1024**2


@dataclass(frozen=True, kw_only=True)
class Curl:
    """Fetches the files of a reader with curl."""

    laptop: Laptop
    config: str
    folder: Path
    remark: str = ""

    def forget(self) -> None:
        """Bring the folder to where nothing has been fetched."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def seconds(self) -> float:
        """Fetch everything into an empty folder and return how long that takes."""
        self.folder.mkdir()
        file = self.folder.with_suffix(".curl")
        file.write_text(self.config, encoding="utf-8")
        command = ["curl", "--silent", "--show-error", "--fail", "--config", str(file)]
        return process_seconds(command, env=self.laptop.environment, cwd=self.folder)


def measure(bench: Bench) -> Iterator[Figure]:
    """Measure one large file, many small ones, and the memory for the large one."""
    if shutil.which("curl") is None:
        remark = "curl is not installed, so there is no comparison."
        yield Figure(what="pulls", remark=remark, lacks="curl")
        return
    large = bench.size(1024, quick=8)
    many = bench.size(200, quick=10)
    server = Server(bench.folder / "server")
    try:
        server.start_web()
        one = _served(server, reader="ana", source="large", count=1, size_bytes=large * _MIB)
        what = f"pull {large} MiB in one file"
        yield from _pull(bench, server, one, what=what, ratio_budget=1.5)
        yield _memory(one)
        several = _served(server, reader="ben", source="small", count=many, size_bytes=_MIB)
        what = f"pull {many} files of 1 MiB"
        yield from _pull(bench, server, several, what=what, ratio_budget=4)
    finally:
        server.stop()


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody with a laptop, and the SHA-256 of the tables they may read."""

    laptop: Laptop
    served: Mapping[str, str]

    def forget(self) -> None:
        """Bring the workspace to where nothing has been pulled."""
        for name in ("server", "user", ".agnes"):
            shutil.rmtree(self.laptop.workspace / name, ignore_errors=True)
        os.sync()

    def check(self) -> None:
        """Make sure that each file is there and right."""
        parquet = self.laptop.workspace / "server" / "parquet"
        found = {path.stem: _sha256(path) for path in parquet.glob("*.parquet")}
        check(found, dict(self.served), what="the pulled files")


def _served(server: Server, *, reader: str, source: str, count: int, size_bytes: int) -> Reader:
    token = server.ask("tests.bench.stock.people:add_reader", name=reader)
    laptop = server.laptop(token, name=reader)
    laptop.run("init", "--server", server.url)  # nothing to read yet: only makes the workspace
    served = server.ask(
        "tests.bench.stock.parquet:publish_files", source=source, count=count,
        size_bytes=size_bytes,
    )  # fmt: skip
    server.ask("tests.bench.stock.people:grant_each", name=reader, tables=sorted(served))
    return Reader(laptop=laptop, served=served)


def _pull(
    bench: Bench, server: Server, reader: Reader, *, what: str, ratio_budget: float
) -> Iterator[Figure]:
    with ExitStack() as stack:
        curl = _curl(server, reader, stack, bench.folder)

        def forget() -> None:
            # Both begin alike: with the memory that the files of the other have left.
            curl.forget()
            reader.forget()

        def curl_seconds() -> float:
            forget()
            seconds = curl.seconds()
            check(len(list(curl.folder.iterdir())), len(reader.served), what="files of curl")
            return seconds

        def pull_seconds() -> float:
            forget()
            return process_seconds(
                [reader.laptop.agnes, "pull"], env=reader.laptop.environment,
                cwd=reader.laptop.workspace, said="Updated",
            )  # fmt: skip

        taken = medians(bench.size(5, quick=1), {"curl": curl_seconds, "pull": pull_seconds})
        reader.check()
    yield Figure(
        what=what, unit="s", value=taken["pull"],
        ratio_budget=None if curl.remark else ratio_budget,
        compared_with="curl from Agnes" if curl.remark else "curl from nginx",
        compared=taken["curl"], remark=curl.remark, lacks="nginx" if curl.remark else "",
    )  # fmt: skip


def _curl(server: Server, reader: Reader, stack: ExitStack, folder: Path) -> Curl:
    out = folder / f"curl-{reader.laptop.workspace.parent.name}"
    if nginx.is_installed():
        base = stack.enter_context(
            nginx.serving(server.data / "store", folder=folder / f"nginx-{out.name}")
        )
        places = {
            name: f"{base}/{sha256[:2]}/{sha256}.parquet" for name, sha256 in reader.served.items()
        }
        header, remark = "", ""
    else:
        places = {name: f"{server.url}/api/data/{name}/download" for name in reader.served}
        header = f'header = "Authorization: Bearer {reader.laptop.environment["AGNES_TOKEN"]}"\n'
        remark = (
            "nginx is not installed, and the budgets of pulls are against it: curl fetched from "
            "Agnes itself instead, and nothing is judged."
        )
    lines = [f'url = "{url}"\noutput = "{name}.parquet"\n' for name, url in places.items()]
    return Curl(laptop=reader.laptop, config=header + "".join(lines), folder=out, remark=remark)


def _memory(reader: Reader) -> Figure:
    """Pull once more, watched; apart from the timed pulls, since watching takes time."""
    reader.forget()
    process = subprocess.Popen(
        [reader.laptop.agnes, "pull"], env=reader.laptop.environment,
        cwd=reader.laptop.workspace, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    with watching(lambda: [process.pid]) as watch:
        if process.wait() != 0:
            raise WrongResultError("The pull that was watched failed.")
    reader.check()
    return Figure(
        what="memory of that pull", unit="MB", value=watch.largest().peak / 1e6, budget=80
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
