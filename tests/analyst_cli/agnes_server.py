"""A small Agnes server on a loopback port, with real Parquet files and faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import duckdb

TOKEN = "agn_pat_0123456789"
EMAIL = "ana@example.com"
WELCOME = "# Instructions\n\nYou are the AI Data Analyst of this company.\n"


@dataclass
class Part:
    """One file of a table."""

    key: str
    content: bytes
    rows: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass
class Table:
    """One table as the manifest lists it."""

    parts: list[Part]
    version: int = 1
    query_mode: str = "local"
    tier: str = "required"
    aliases: tuple[str, ...] = ()


@dataclass
class Seen:
    """A request that came."""

    path: str
    headers: dict[str, str]
    status: int = 0


# A fault gets the handler, the part and the range start, and answers instead of the server.
Fault = Callable[["Handler", Part, int], None]


@dataclass
class AgnesServer:
    """What the server holds; a test changes it between two commands."""

    folder: Path
    tables: dict[str, Table] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    reports: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    takes_reports: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    manifest_changes: dict[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    token: str | None = TOKEN  # without one, nobody needs any
    manifest_redirect: str = ""
    welcome_status: int = 200
    manifest_status: int = 200
    before_download: Callable[[], None] = lambda: None
    url: str = ""

    def publish(self, name: str, *queries: str, keys: tuple[str, ...] = (), **more: Any) -> None:
        """Make each query one part of the next version of a table."""
        parts = []
        for number, query in enumerate(queries):
            path = self.folder / "part.parquet"
            with duckdb.connect() as connection:
                relation = connection.sql(query)
                rows = len(relation.fetchall())
                relation.write_parquet(str(path))
            key = keys[number] if keys else ""
            parts.append(Part(key=key, content=path.read_bytes(), rows=rows))
        version = self.tables[name].version + 1 if name in self.tables else 1
        self.tables[name] = Table(parts=parts, version=version, **more)

    def fail(self, name: str, *faults: Fault) -> None:
        """Let the next downloads of a table go wrong, one fault each."""
        self.faults[name] = list(faults)

    def downloads(self) -> list[Seen]:
        """Return the requests for files."""
        return [seen for seen in self.seen if "/download" in seen.path]

    def manifest(self) -> dict[str, Any]:
        """Return the body of the manifest."""
        tables = {name: _entry(table) for name, table in self.tables.items()}
        for change in self.manifest_changes.values():
            change(tables)
        return {
            "tables": tables, "waiting": self.waiting, "assets": {},
            "server_time": "2026-01-01T00:00:00Z",
        }  # fmt: skip


def _entry(table: Table) -> dict[str, Any]:
    whole = b"".join(part.content for part in table.parts)
    is_remote = table.query_mode == "remote"
    parts = [] if is_remote else [
        {"ordinal": i, "key": part.key, "sha256": part.sha256,
         "size_bytes": len(part.content), "rows": part.rows}
        for i, part in enumerate(table.parts)
    ]  # fmt: skip
    return {
        "hash": "" if is_remote else hashlib.md5(whole).hexdigest(),
        "updated": "2026-01-01T00:00:00Z",
        "size_bytes": len(whole),
        "rows": sum(part.rows for part in table.parts),
        "query_mode": table.query_mode,
        "source_type": "files",
        "version": table.version,
        "sha256": parts[0]["sha256"] if len(parts) == 1 else "",
        "parts": parts,
        "schema_hash": "x",
        "tier": table.tier,
        "aliases": list(table.aliases),
    }


class Handler(BaseHTTPRequestHandler):
    """Answers as the real server does."""

    protocol_version = "HTTP/1.1"
    server: Server
    seen: Seen

    def do_GET(self) -> None:
        agnes = self.server.agnes
        parts = urlsplit(self.path)
        self.note_request()
        if agnes.token and self.headers.get("Authorization") != f"Bearer {agnes.token}":
            self.send_error_body(401, "invalid_token", "The token is not valid.")
        elif parts.path == "/api/sync/manifest":
            self.send_manifest()
        elif parts.path == "/api/catalog/tables":
            self.send_json({"tables": [
                {"id": name, "name": name, "source": "shop", "source_type": "files",
                 "query_mode": table.query_mode, "rows": 3, "size_bytes": 1000,
                 "updated": "2026-01-01T00:00:00Z", "description": f"All {name}."}
                for name, table in agnes.tables.items()
            ], "count": len(agnes.tables)})  # fmt: skip
        elif parts.path == "/api/me":
            self.send_json({"email": EMAIL})
        elif parts.path == "/api/welcome" and agnes.welcome_status == 200:
            self.send_json({"content": WELCOME})
        elif found := re.fullmatch(r"/api/data/([^/]+)/download", parts.path):
            self.send_part(unquote(found[1]), parse_qs(parts.query))
        else:
            self.send_error_body(404, "not_found", "There is nothing here.")

    def do_POST(self) -> None:
        agnes = self.server.agnes
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.note_request()
        found = re.fullmatch(r"/api/data/([^/]+)/report", self.path)
        if self.headers.get("Authorization") != f"Bearer {agnes.token}":
            self.send_error_body(401, "invalid_token", "The token is not valid.")
        elif found is None or not agnes.takes_reports:
            self.send_error_body(404, "not_found", "There is nothing here.")
        else:
            agnes.reports.append((unquote(found[1]), body))
            self.send_json({"is_checked": True}, status=202)

    def send_manifest(self) -> None:
        agnes = self.server.agnes
        if agnes.manifest_redirect:
            self.send_body(b"", status=302, Location=agnes.manifest_redirect)
            return
        if agnes.manifest_status != 200:
            self.send_error_body(agnes.manifest_status, "internal_error", "It broke.")
            return
        body = json.dumps(agnes.manifest()).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if self.headers.get("If-None-Match") == etag:
            self.send_body(b"", status=304, ETag=etag)
        else:
            self.send_body(body, content_type="application/json", ETag=etag)

    def send_part(self, name: str, query: dict[str, list[str]]) -> None:
        agnes = self.server.agnes
        agnes.before_download()
        table = agnes.tables.get(name)
        if table is None or query.get("version", ["1"])[0] != str(table.version):
            self.send_error_body(404, "table_not_found", f"There is no table named {name!r}.")
            return
        wanted = query.get("part", [table.parts[0].sha256])[0]
        part = next(part for part in table.parts if part.sha256 == wanted)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range", f'"{part.sha256}"') == f'"{part.sha256}"'
        start = int(asked[1]) if asked and is_same else 0
        faults = agnes.faults.get(name)
        if faults:
            faults.pop(0)(self, part, start)
        elif start >= len(part.content):
            self.send_error_body(416, "range_not_satisfiable", "Nothing there.")
        else:
            self.send_range(part, start)

    def send_range(self, part: Part, start: int) -> None:
        size = len(part.content)
        more = {"Content-Range": f"bytes {start}-{size - 1}/{size}"} if start else {}
        self.send_body(
            part.content[start:], status=206 if start else 200,
            **more, **{"Accept-Ranges": "bytes", "ETag": f'"{part.sha256}"'},
        )  # fmt: skip

    def send_json(self, body: Any, status: int = 200) -> None:
        self.send_body(json.dumps(body).encode(), status=status, content_type="application/json")

    def send_error_body(self, status: int, code: str, message: str) -> None:
        self.send_json({
            "code": code, "message": message, "hint": f"Hint of {code}.", "details": {},
            "request_id": "r-1", "detail": {"code": code, "reason": code},
        }, status=status)  # fmt: skip

    def send_body(
        self, body: bytes, *, status: int = 200,
        content_type: str = "application/octet-stream", length: int | None = None, **headers: str,
    ) -> None:  # fmt: skip
        self.seen.status = status
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if status != 304:
            self.send_header("Content-Type", content_type)
        for name, value in {**headers, **self.server.agnes.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def note_request(self) -> None:
        self.seen = Seen(path=self.path, headers=dict(self.headers.items()))
        self.server.agnes.seen.append(self.seen)

    def log_message(self, *args: Any) -> None:
        """Keep the output of the tests clean."""


class Server(ThreadingHTTPServer):
    """The listener."""

    daemon_threads = True
    agnes: AgnesServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is part of the tests."""


def start(folder: Path) -> tuple[AgnesServer, Server]:
    """Start a server without tables."""
    listener = Server(("127.0.0.1", 0), Handler)
    agnes = AgnesServer(folder=folder, url=f"http://127.0.0.1:{listener.server_port}")
    listener.agnes = agnes
    # The default poll of half a second would be the slowest part of most tests.
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    return agnes, listener


def cut(handler: Handler, part: Part, start: int) -> None:
    """Announce everything, send the next half and hang up."""
    left = part.content[start:]
    more = {}
    if start:
        more = {"Content-Range": f"bytes {start}-{len(part.content) - 1}/{len(part.content)}"}
    handler.send_body(
        left[: len(left) // 2], status=206 if start else 200, length=len(left), **more
    )
    handler.close_connection = True


def damaged(handler: Handler, part: Part, start: int) -> None:
    """Flip one bit in the middle."""
    content = bytearray(part.content)
    content[len(content) // 2] ^= 1
    handler.send_range(Part(key=part.key, content=bytes(content), rows=part.rows), start)


def html(handler: Handler, part: Part, start: int) -> None:
    """Send the login page of a proxy."""
    handler.send_body(b"<html>Please log in</html>", content_type="text/html")


def disguised_html(handler: Handler, part: Part, start: int) -> None:
    """Send a page that calls itself a file."""
    handler.send_body(b"<html>".ljust(len(part.content), b" "))


def gzipped(handler: Handler, part: Part, start: int) -> None:
    """Compress although nobody asked."""
    handler.send_body(b"\x1f\x8b" + part.content, **{"Content-Encoding": "gzip"})


def longer(handler: Handler, part: Part, start: int) -> None:
    """Send more than the manifest said."""
    handler.send_body(part.content + b"more")


def shorter(handler: Handler, part: Part, start: int) -> None:
    """Send less, and say so."""
    handler.send_body(part.content[:-10])


def ignores_range(handler: Handler, part: Part, start: int) -> None:
    """Send the whole file whatever was asked."""
    handler.send_range(part, 0)


def unavailable(handler: Handler, part: Part, start: int) -> None:
    """Be overloaded for a moment."""
    handler.send_body(b"busy", status=503, **{"Retry-After": "0"})


def redirect(url: str) -> Fault:
    """Send the client somewhere else."""

    def fault(handler: Handler, part: Part, start: int) -> None:
        handler.send_body(b"", status=302, Location=url)

    return fault


def held(until: threading.Event) -> Fault:
    """Answer when the test lets it."""

    def fault(handler: Handler, part: Part, start: int) -> None:
        until.wait()
        handler.send_range(part, start)

    return fault
