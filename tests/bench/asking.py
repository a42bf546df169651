"""Asks one address again and again, as fast as the answers come."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from urllib.parse import urlsplit

from tests.bench.bench import WrongResultError
from tests.journeys.installation import ROOT


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A whole answer, and how long it took to come."""

    status: int
    etag: str
    body: bytes
    seconds: float


class Asker:
    """One person on one connection that stays open, known by a token or by a cookie."""

    def __init__(self, url: str, *, token: str = "", cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {"X-Agnes-Client": "agnes/1.0.0; parts"}
        self._headers |= {"Authorization": f"Bearer {token}"} if token else {"Cookie": cookie}

    def get(self, path: str, *, etag: str = "") -> Answer:
        """Ask once."""
        more = {"If-None-Match": etag} if etag else {}
        started = time.perf_counter()
        try:
            self._connection.request("GET", path, headers=self._headers | more)
            response = self._connection.getresponse()
            body = response.read()
        except BaseException:
            self._connection.close()  # the next question is asked on a new one
            raise
        return Answer(
            status=response.status, etag=response.headers.get("ETag", ""), body=body,
            seconds=time.perf_counter() - started,
        )  # fmt: skip

    def p50_ms(self, path: str, *, count: int, status: int, etag: str = "") -> float:
        """Ask ``count`` times, after a few that are not counted; return the median.

        Raises:
            WrongResultError: an answer has another status.
        """
        taken = []
        for number in range(count + 5):
            answer = self.get(path, etag=etag)
            if answer.status != status:
                raise WrongResultError(f"{path} answered {answer.status}, not {status}.")
            if number >= 5:
                taken.append(answer.seconds)
        return median(taken) * 1000


@contextmanager
def asking_meanwhile(url: str, *, token: str, path: str) -> Iterator[None]:
    """Let another process ask for ``path`` without pause while the block runs.

    Raises:
        WrongResultError: it ended before the block did.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.asking", url, token, path],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()  # its first answer has come
    try:
        yield
        if process.poll() is not None:
            raise WrongResultError("The process that asks meanwhile has ended.")
    finally:
        process.kill()
        process.communicate()


def main(url: str, token: str, path: str) -> None:
    """Ask until killed; say so after the first answer."""
    asker = Asker(url, token=token)
    asker.p50_ms(path, count=1, status=200)
    sys.stdout.write("asking\n")
    sys.stdout.flush()
    while True:
        asker.p50_ms(path, count=1, status=200)


if __name__ == "__main__":
    main(*sys.argv[1:])
