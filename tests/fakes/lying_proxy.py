"""A proxy between the client and a server that cuts, delays, corrupts and lies on demand."""

from __future__ import annotations

import contextlib
import gzip as gzips
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PAGE = b"<!doctype html><html><body>Please log in to the guest network.</body></html>"
MANIFEST = "/api/sync/manifest"
DOWNLOAD = "/download"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server behind the proxy has said, or what the proxy says instead."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def having(self, *, body: bytes | None = None, **headers: str | None) -> Answer:
        """Return the answer with another body, and other headers (none where `None`)."""
        changed = dict(self.headers) | {
            name.replace("_", "-").title(): value for name, value in headers.items()
        }
        kept = {name: value for name, value in changed.items() if value is not None}
        return replace(self, headers=kept, body=self.body if body is None else body)


@dataclass
class Exchange:
    """One request at the proxy and the answer that the server gave to it."""

    proxy: LyingProxy
    handler: _Handler
    answer: Answer

    @property
    def start(self) -> int:
        """The first byte that was asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.handler.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def send(self, answer: Answer, *, length: int | None = None) -> None:
        """Send an answer whose announced length is that of its body, or ``length``."""
        self.send_head(answer, Content_Length=str(len(answer.body) if length is None else length))
        self.write(answer.body)

    def send_head(self, answer: Answer, **more: str) -> None:
        """Send the status line and the headers."""
        head = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Odd')}"]
        named = {**answer.headers, **{name.replace("_", "-"): more[name] for name in more}}
        head += [f"{name}: {value}" for name, value in named.items()]
        self.write("\r\n".join([*head, "", ""]).encode())

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.handler.connection.sendall(data)

    def hang_up(self) -> None:
        """Say no more on this connection."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Break the connection, so that the client sees an error instead of an end."""
        linger = struct.pack("ii", 1, 0)
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.handler.connection.close()
        self.hang_up()

    def ask(self, path: str, **headers: str) -> Answer:
        """Return what the server says to another request of the same caller."""
        token = self.handler.headers.get("Authorization", "")
        return self.proxy.ask(path, {"Authorization": token, **headers})


Fault = Callable[[Exchange], None]


class LyingProxy:
    """Hands requests on to ``upstream``; answers to those of one kind go through a fault."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream)
        self.url = ""
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.relayed: dict[str, list[Answer]] = {}
        self.elsewhere = ""
        self._faults: dict[str, Fault] = {}

    def lie(self, about: str, fault: Fault) -> None:
        """Let a fault answer every request whose path ends with ``about`` from now on."""
        self._faults[about] = fault

    def be_honest(self) -> None:
        """Hand on what the server says."""
        self._faults.clear()

    def ask(
        self, path: str, headers: Mapping[str, str], *, method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Return what the server says."""
        connection = http.client.HTTPConnection(self.upstream.netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers={**headers, "Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in ("content-length", "connection", "transfer-encoding")
            }
            return Answer(status=answer.status, headers=kept, body=body)

    def handle(self, handler: _Handler) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)  # a client that was told of a proxy sends whole addresses
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = dict(handler.headers.items())
        self.seen.append((handler.path, headers))
        body = handler.rfile.read(int(headers.get("Content-Length", 0)))
        answer = self.ask(path, headers, method=handler.command, body=body)
        self.relayed.setdefault(parts.path, []).append(answer)
        exchange = Exchange(self, handler, answer)
        for about, fault in self._faults.items():
            if parts.path.endswith(about):
                fault(exchange)
                return
        exchange.send(answer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def do_GET(self) -> None:
        self.server.proxy.handle(self)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Keep the output of the tests clean."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    proxy: LyingProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests."""


@contextlib.contextmanager
def between(upstream: str) -> Iterator[LyingProxy]:
    """Start a proxy in front of a server."""
    listener = _Listener(("127.0.0.1", 0), _Handler)
    proxy = LyingProxy(upstream)
    proxy.url = f"http://127.0.0.1:{listener.server_port}"
    listener.proxy = proxy
    threading.Thread(target=listener.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()


# Connections that break.


def cut(exchange: Exchange) -> None:
    """Announce everything, send the first half and hang up."""
    body = exchange.answer.body
    exchange.send(exchange.answer.having(body=body[: len(body) // 2]), length=len(body))
    exchange.hang_up()


def reset(exchange: Exchange) -> None:
    """Announce everything, send the first half and break the connection."""
    body = exchange.answer.body
    exchange.send(exchange.answer.having(body=body[: len(body) // 2]), length=len(body))
    exchange.reset()


def reset_in_headers(exchange: Exchange) -> None:
    """Break the connection in the middle of a header."""
    exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/oct")
    exchange.reset()


def end_in_headers(exchange: Exchange) -> None:
    """Hang up in the middle of a header: to a lenient reader, an answer without a length."""
    exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/oct")
    exchange.hang_up()


def nothing(exchange: Exchange) -> None:
    """Hang up without a word."""
    exchange.hang_up()


def silence(exchange: Exchange) -> None:
    """Send the first half, and then nothing for longer than the client has patience."""
    body = exchange.answer.body
    exchange.send(exchange.answer.having(body=body[: len(body) // 2]), length=len(body))
    mute(exchange)


def mute(exchange: Exchange) -> None:
    """Send nothing for longer than the client has patience."""
    exchange.handler.connection.settimeout(20)
    with contextlib.suppress(OSError):
        exchange.handler.connection.recv(1)  # until the client hangs up
    exchange.hang_up()


def garbage(exchange: Exchange) -> None:
    """Speak another protocol."""
    exchange.write(b"SSH-2.0-OpenSSH_9.6\r\n")
    exchange.hang_up()


def chunks_cut(exchange: Exchange) -> None:
    """Send chunks without the last one."""
    body = exchange.answer.body
    exchange.send_head(exchange.answer, Transfer_Encoding="chunked")
    half = body[: len(body) // 2]
    exchange.write(b"%x\r\n%s\r\n" % (len(half), half))
    exchange.hang_up()


# Lengths that are wrong.


def short(exchange: Exchange) -> None:
    """Send less than there is, and announce just that."""
    exchange.send(exchange.answer.having(body=exchange.answer.body[:-10]))


def long(exchange: Exchange) -> None:
    """Send more than there is, and announce just that."""
    exchange.send(exchange.answer.having(body=exchange.answer.body + b"}" * 10))


def length_too_small(exchange: Exchange) -> None:
    """Send everything, and announce less."""
    exchange.send(exchange.answer, length=len(exchange.answer.body) - 10)
    exchange.hang_up()


def length_too_large(exchange: Exchange) -> None:
    """Send everything, and announce more."""
    exchange.send(exchange.answer, length=len(exchange.answer.body) + 10)
    exchange.hang_up()


def no_length(exchange: Exchange) -> None:
    """Announce no length, and hang up in the middle: to a reader, the end."""
    body = exchange.answer.body
    exchange.send_head(exchange.answer, Connection="close")
    exchange.write(body[: len(body) // 2])
    exchange.hang_up()


def empty(exchange: Exchange) -> None:
    """Send nothing, and say that this is all."""
    exchange.send(exchange.answer.having(body=b""))


# Content that is wrong.


def flipped(exchange: Exchange) -> None:
    """Flip a bit in the middle."""
    body = bytearray(exchange.answer.body)
    body[len(body) // 2] ^= 1
    exchange.send(exchange.answer.having(body=bytes(body)))


def html(exchange: Exchange) -> None:
    """Send the page of a captive portal."""
    exchange.send(Answer(headers={"Content-Type": "text/html"}, body=PAGE))


def html_as_is(exchange: Exchange) -> None:
    """Send that page under the headers of the server, as long as the real body."""
    body = PAGE.ljust(len(exchange.answer.body))[: len(exchange.answer.body)]
    exchange.send(exchange.answer.having(body=body))


def other_table(exchange: Exchange) -> None:
    """Send the file of another table."""
    exchange.send(exchange.ask(exchange.proxy.elsewhere))


def older(exchange: Exchange) -> None:
    """Send what was right the first time."""
    path = urlsplit(exchange.handler.path).path
    first = exchange.proxy.relayed[path][0]
    exchange.send(exchange.answer.having(body=first.body[exchange.start :]))


def gzip(exchange: Exchange) -> None:
    """Compress although nobody asked, and say so."""
    packed = gzips.compress(exchange.answer.body)
    exchange.send(exchange.answer.having(body=packed, content_encoding="gzip"))


def gzip_unsaid(exchange: Exchange) -> None:
    """Compress and say nothing of it."""
    exchange.send(exchange.answer.having(body=gzips.compress(exchange.answer.body)))


# Statuses and headers that are wrong.


def part_unasked(exchange: Exchange) -> None:
    """Send the second half as a range that nobody asked for."""
    body = exchange.answer.body
    half, size = len(body) // 2, len(body)
    sent = exchange.answer.having(body=body[half:], content_range=f"bytes {half}-{size - 1}/{size}")
    exchange.send(replace(sent, status=206))


def part_of_nothing(exchange: Exchange) -> None:
    """Call it a range without saying which."""
    exchange.send(replace(exchange.answer, status=206))


def not_modified(exchange: Exchange) -> None:
    """Say that nothing has changed, whatever was asked."""
    exchange.send_head(Answer(status=304, headers=exchange.answer.headers))


def no_content(exchange: Exchange) -> None:
    """Say that there is nothing to say."""
    exchange.send_head(Answer(status=204))


def odd_status(exchange: Exchange) -> None:
    """Answer with a status that no standard knows."""
    exchange.send(replace(exchange.answer, status=299))


def bad_gateway(exchange: Exchange) -> None:
    """Answer with an error page of a proxy."""
    exchange.send(Answer(status=502, headers={"Content-Type": "text/html"}, body=PAGE))


def wants_password(exchange: Exchange) -> None:
    """Want a password for the proxy."""
    headers = {"Content-Type": "text/html", "Proxy-Authenticate": "Basic"}
    exchange.send(Answer(status=407, headers=headers, body=PAGE))


def redirect_elsewhere(exchange: Exchange) -> None:
    """Send the client to another host."""
    exchange.send(Answer(status=302, headers={"Location": exchange.proxy.elsewhere}))


def redirect_in_circles(exchange: Exchange) -> None:
    """Send the client to where it is."""
    exchange.send(Answer(status=307, headers={"Location": exchange.handler.path}))


def redirect_to_a_file(exchange: Exchange) -> None:
    """Send the client to a file of its own."""
    exchange.send(Answer(status=302, headers={"Location": "file:///etc/passwd"}))


# Ranges that are wrong; the server behind knows ranges.


def on_ranges(fault: Fault) -> Fault:
    """Return a fault that touches only what was asked for from some byte on."""

    def only(exchange: Exchange) -> None:
        (fault if exchange.start else send)(exchange)

    return only


def once(fault: Fault) -> Fault:
    """Return a fault that is over after the first time."""
    waiting = [fault]

    def only(exchange: Exchange) -> None:
        (waiting.pop() if waiting else send)(exchange)

    return only


def send(exchange: Exchange) -> None:
    """Hand on what the server says."""
    exchange.send(exchange.answer)


def _whole(exchange: Exchange) -> Answer:
    return exchange.ask(exchange.handler.path)


def ignored_range(exchange: Exchange) -> None:
    """Send the whole file, and say so."""
    exchange.send(_whole(exchange))


def whole_as_range(exchange: Exchange) -> None:
    """Send the beginning of the file and call it the range that was asked for."""
    body = _whole(exchange).body[: len(exchange.answer.body)]
    exchange.send(exchange.answer.having(body=body))


def other_range(exchange: Exchange) -> None:
    """Send another range than was asked for, and say so."""
    body, size = exchange.answer.body[1:], exchange.start + len(exchange.answer.body)
    said = f"bytes {exchange.start + 1}-{size - 1}/{size}"
    exchange.send(exchange.answer.having(body=body, content_range=said))


def other_content(exchange: Exchange) -> None:
    """Send the rest of another file under the ETag of this one."""
    body = exchange.ask(exchange.proxy.elsewhere).body.ljust(len(exchange.answer.body), b"?")
    exchange.send(exchange.answer.having(body=body[: len(exchange.answer.body)]))


def no_range_there(exchange: Exchange) -> None:
    """Say that the file ends before."""
    exchange.send(Answer(status=416, headers={"Content-Range": "bytes */1"}))


# Slow, but honest.


def dribbled(exchange: Exchange) -> None:
    """Send everything, a byte at a time."""
    exchange.handler.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    exchange.send_head(exchange.answer, Content_Length=str(len(exchange.answer.body)))
    for byte in exchange.answer.body:
        exchange.write(bytes([byte]))


def trickled(exchange: Exchange) -> None:
    """Send ten pieces, with pauses of 0.4 seconds."""
    exchange.send_head(exchange.answer, Content_Length=str(len(exchange.answer.body)))
    size = -(-len(exchange.answer.body) // 10)
    for start in range(0, len(exchange.answer.body), size):
        time.sleep(0.4)
        exchange.write(exchange.answer.body[start : start + size])


def chunked(exchange: Exchange) -> None:
    """Send chunks of odd sizes."""
    exchange.send_head(exchange.answer, Transfer_Encoding="chunked")
    body, size = exchange.answer.body, 1
    while body:
        chunk, body = body[:size], body[size:]
        exchange.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        size = size * 3 + 1
    exchange.write(b"0\r\n\r\n")
