"""Shared by the tests of where files come from: a connector that may reach them, and requests."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from catalog.connectors import (
    CurrentPart,
    ExtractRequest,
    ExtractResult,
    Reach,
    Settings,
    TableRequest,
)
from extracts.connectors.files.connector import FilesConnector
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.candidate import Candidate

LOOPBACK = Reach(roots=(Path(tempfile.gettempdir()),), hosts=("127.0.0.1",))


def connector(reach: Reach = LOOPBACK) -> FilesConnector:
    """Return a connector for which every file is old enough to be known again."""
    return FilesConnector(now_ns=lambda: time.time_ns() + 120 * 10**9).within(reach)


def table(source_table: str, *, key: tuple[str, ...] = (), **options: Any) -> TableRequest:
    known = options.pop("known", ())
    return TableRequest(
        name="t", source_table=source_table, primary_key=key, known_columns=known,
        options=FilesTable(**options),
    )  # fmt: skip


class Runs:
    """Extracts one table again and again, as a worker does: with what the last run left."""

    def __init__(self, folder: Path, config: Settings, wanted: TableRequest, **secrets: str):
        self.folder, self.config, self.table, self.secrets = folder, config, wanted, secrets
        self.parts: dict[str, Path] = {}
        self.state: Any = {}
        self.number = 0
        self.reach = LOOPBACK

    def run(self) -> ExtractResult:
        self.number += 1
        current = tuple(CurrentPart(key=key, path=path) for key, path in self.parts.items())
        request = ExtractRequest(table=self.table, current=current, state=self.state)
        out = Candidate(self.folder / f"run{self.number}")
        result = connector(self.reach).extract(self.config, self.secrets, request, out)
        if result.is_complete and not result.is_unchanged:
            self.parts = {}
        for key in result.removed_parts:
            del self.parts[key]
        self.parts |= {part.key: part.path for part in result.parts}
        self.state = result.state
        return result

    def rows(self) -> list[dict[str, Any]]:
        return [
            row for _, path in sorted(self.parts.items()) for row in pq.read_table(path).to_pylist()
        ]


class Misbehaving:
    """A server that ends connections in the middle of its file."""

    def __init__(
        self, asked: list[str], data: bytes, *, cut_after: int, is_other_later: bool = False,
        is_stubborn: bool = False,
    ) -> None:  # fmt: skip
        self.asked, self.data, self.cut_after = asked, data, cut_after
        self.is_other_later, self.is_stubborn = is_other_later, is_stubborn
        self.socket = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> str:
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}/f"

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)
                time.sleep(0.01)

    def _answer(self, connection: socket.socket) -> None:
        asked = connection.recv(65536).decode()
        self.asked.append(asked)
        start = 0
        if "Range: bytes=" in asked and not self.is_stubborn:
            start = int(asked.split("Range: bytes=")[1].split("-")[0])
        data, etag = self.data, '"1"'
        if self.is_other_later and len(self.asked) > 1:
            data, etag, start, self.cut_after = self.data[::-1], '"2"', 0, len(self.data)
        status = "206 Partial Content" if start else "200 OK"
        place = f"Content-Range: bytes {start}-{len(data) - 1}/{len(data)}\r\n" if start else ""
        length = f"Content-Length: {len(data) - start}\r\n"
        head = f"HTTP/1.1 {status}\r\nETag: {etag}\r\n{place}{length}\r\n"
        connection.sendall(head.encode() + data[start : start + self.cut_after])
