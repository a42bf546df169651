"""Laptops that pull again and again, and what they have in the end."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.bench.asking import Asker
from tests.bench.bench import WrongResultError
from tests.bench.moving import Moving, turn_of
from tests.bench.server import Server

_EMPTY_EVERY = 10


class Puller:
    """The laptop of one reader."""

    def __init__(self, server: Server, *, name: str, token: str) -> None:
        self.name, self.token = name, token
        self._url = server.url
        self._laptop = server.laptop(token, name=name)
        self._pulls = itertools.count()
        self._laptop.run("init", "--server", server.url)

    @property
    def parquet(self) -> Path:
        """The folder of pulled files."""
        return self._laptop.workspace / "server" / "parquet"

    def pull(self) -> None:
        """Pull; now and then as on a laptop that never has.

        Raises:
            WrongResultError: it failed.
        """
        if next(self._pulls) % _EMPTY_EVERY == _EMPTY_EVERY - 1:
            for name in ("server", "user", ".agnes"):
                shutil.rmtree(self._laptop.workspace / name, ignore_errors=True)
        self._laptop.run("pull", "--quiet")

    def differences(self) -> list[str]:
        """Compare the files with what the manifest says now."""
        answer = Asker(self._url, token=self.token).get("/api/sync/manifest")
        said = {name: table["sha256"] for name, table in json.loads(answer.body)["tables"].items()}
        found = {path.stem: _sha256(path) for path in self.parquet.glob("*.parquet")}
        return [
            f"{self.name} has {found.get(name)} for {name}, which is {said.get(name)}."
            for name in sorted({*said, *found})
            if said.get(name) != found.get(name)
        ]


def lost(laptops: Sequence[Puller], moving: Moving) -> list[str]:
    """Pull once more on each laptop and return what it does not have as it should."""
    missing = []
    for laptop in laptops:
        try:
            laptop.pull()
        except WrongResultError as error:
            missing.append(f"{laptop.name}: {error.summary}")
            continue
        missing += laptop.differences()
        for name, turn in moving.brought.items():
            found = turn_of(laptop.parquet / f"{name}.parquet")
            if found != turn:
                missing.append(f"{laptop.name} has turn {found} of {name}, not {turn}.")
    return missing


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
