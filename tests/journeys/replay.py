"""Plays recorded requests against the server and says where its answers differ."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from access.services import tokens
from tests.journeys import pending_054
from tests.journeys.pending_054 import Deviation
from tests.journeys.recording import Allowed, Exchange, Shape, pairs_of_ids, plain

_MIRRORED = {"reason": "code", "kind": "code", "error": "code", "code": "code",
             "message": "message", "hint": "hint"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one recorded exchange went here."""

    exchange: Exchange
    deviation: Deviation | None
    problems: list[str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    body: Any


@dataclass(kw_only=True)
class Replay:
    """A recording that is played in its order, so that what a request changed is seen later.

    ``contents`` are the bytes of each table; ``before`` is done when a command begins.
    """

    secrets: Mapping[str, str]
    shapes: Mapping[tuple[str, str], Shape]
    contents: Mapping[str, bytes]
    before: Mapping[str, Callable[[], None]]
    ids: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    client: Client = field(default_factory=Client)
    answers: list[tuple[Exchange, Answer]] = field(default_factory=list)

    def play(self, exchanges: list[Exchange]) -> list[Outcome]:
        """Play all exchanges and return how each went."""
        outcomes, command = [], ""
        for exchange in exchanges:
            if exchange.command != command:
                command = exchange.command
                tokens.uses.flush()
                self.before.get(command, _nothing)()
            answer = self._ask(exchange)
            self.answers.append((exchange, answer))
            self.ids.update(pairs_of_ids(exchange.answer, answer.body))
            deviation = next((d for d in pending_054.DEVIATIONS if d.covers(exchange)), None)
            wanted = deviation.answered if deviation else exchange.status
            problems = list(self._problems(exchange, answer, wanted))
            outcomes.append(Outcome(exchange=exchange, deviation=deviation, problems=problems))
        return outcomes

    def _ask(self, exchange: Exchange) -> Answer:
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate"}
        if "range" in exchange.headers:
            headers["Range"] = exchange.headers["range"]
        if "authorization" in exchange.headers:
            headers["Authorization"] = f"Bearer {self._secret(exchange)}"
        options: dict[str, Any] = {"headers": headers, "query_params": self._ours(exchange.query)}
        path = self._ours(exchange.path)
        if isinstance(exchange.sent, dict) and "multipart" in exchange.sent:
            sent = exchange.sent["multipart"][0]
            file = SimpleUploadedFile(sent["filename"], b"{}", sent["content_type"])
            response = self.client.post(path, {sent["field"]: file}, **options)
        elif exchange.sent is not None:
            body = json.dumps(_with_our_sources(self._ours(exchange.sent)))
            response = self.client.generic(
                exchange.method, path, body, content_type="application/json", **options
            )
        else:
            response = self.client.generic(exchange.method, path, **options)
        self.client.cookies.clear()
        content = b"".join(response.streaming_content) if response.streaming else response.content
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(
            status=response.status_code, headers=response.headers, content=content,
            body=json.loads(content) if is_json and content else None,
        )  # fmt: skip

    def _secret(self, exchange: Exchange) -> str:
        if "[bad token]" in exchange.command:
            return "bad.token.x"
        is_admin = exchange.command.startswith(("agnes admin", "(no CLI command)"))
        return self.secrets["admin" if is_admin and exchange.status != 403 else "analyst"]

    def _ours(self, value: Any) -> Any:
        text = json.dumps(value)
        for recorded, ours in self.ids.items():
            text = text.replace(recorded, ours)
        return json.loads(text)

    def _problems(self, exchange: Exchange, answer: Answer, wanted: int) -> Iterator[str]:
        if answer.status != wanted:
            yield f"status {answer.status}, not {wanted}: {answer.content[:300]!r}"
            return
        yield from _header_problems(exchange, answer)
        if exchange.is_download:
            yield from self._download_problems(exchange, answer)
        elif answer.status >= 400:
            yield from _error_problems(answer)
        elif answer.status < 300:
            yield from self._body_problems(exchange, answer)

    def _body_problems(self, exchange: Exchange, answer: Answer) -> Iterator[str]:
        key = (exchange.method, exchange.endpoint)
        if key not in self.shapes or self.shapes[key].types == {"null"}:
            return
        body = plain(exchange.endpoint, answer.body)
        allowed = Allowed(
            unsent=pending_054.UNSENT.get(key, {}), nullable=pending_054.NULLABLE.get(key, {})
        )
        yield from self.shapes[key].problems(body, at="body", allowed=allowed)
        recorded, ours = _table_names(exchange.answer), _table_names(answer.body)
        if recorded != ours:
            yield f"tables {sorted(ours)}, not {sorted(recorded)}"
        if exchange.path == "/api/sync/manifest":
            self.manifest = answer.body["tables"]
        if exchange.path == "/api/welcome" and "AI Data Analyst" not in answer.body["content"]:
            yield "CLAUDE.md would lack the words by which the client knows its workspace"

    def _download_problems(self, exchange: Exchange, answer: Answer) -> Iterator[str]:
        name = exchange.path.split("/")[3]
        entry, whole = self.manifest[name], self.contents[name]
        first, length = 0, len(whole)
        if "range" in exchange.headers and exchange.method == "GET":
            start, end = re.findall(r"\d+", exchange.headers["range"])
            first, length = int(start), int(end) - int(start) + 1
            told = answer.headers.get("Content-Range")
            if told != f"bytes {start}-{end}/{len(whole)}":
                yield f"Content-Range is {told}"
        if exchange.method == "GET" and answer.content != whole[first : first + length]:
            yield "other bytes than the file's"
        if answer.headers.get("Content-Length") != str(length):
            yield f"Content-Length is {answer.headers.get('Content-Length')}, not {length}"
        if hashlib.md5(whole, usedforsecurity=False).hexdigest() != entry["hash"]:
            yield "the manifest has another hash"
        if entry["size_bytes"] != len(whole):
            yield "the manifest has another size"


def _header_problems(exchange: Exchange, answer: Answer) -> Iterator[str]:
    if not answer.headers.get("X-Request-Id"):
        yield "no X-Request-Id"
    for name in ("X-Agnes-Latest-Version", "X-Agnes-Min-Version"):
        if name.lower() in exchange.answer_headers and name not in answer.headers:
            yield f"no {name}"
    if answer.headers.get("X-Agnes-Min-Version", "0.0.0") != "0.0.0":
        yield "a floor that stops the client"
    if exchange.is_download:
        if "Content-Encoding" in answer.headers:
            yield "a compressed file"
        if answer.headers.get("Accept-Ranges") != "bytes":
            yield "no Accept-Ranges"
    elif isinstance(exchange.answer, (dict, list)) and answer.body is None:
        yield f"no JSON but {answer.headers.get('Content-Type')}"


def _error_problems(answer: Answer) -> Iterator[str]:
    body = answer.body
    if not isinstance(body, dict):
        yield "an error without a JSON object"
        return
    for name in ("code", "message", "hint", "request_id"):
        if not isinstance(body.get(name), str):
            yield f"an error without {name}"
    for older, name in _MIRRORED.items():
        if body.get("detail", {}).get(older) != body.get(name):
            yield f"detail.{older} is not {name}"


def _table_names(body: Any) -> set[str]:
    tables = body.get("tables") if isinstance(body, dict) else None
    if not isinstance(tables, (dict, list)):
        return set()
    names = set(tables) if isinstance(tables, dict) else {table["id"] for table in tables}
    return names - pending_054.INTERNAL_TABLES


def _with_our_sources(sent: Any) -> Any:
    if isinstance(sent, dict) and sent.get("source_type") in pending_054.SOURCE_TYPES:
        return {**sent, "source_type": pending_054.SOURCE_TYPES[sent["source_type"]]}
    return sent


def _nothing() -> None:
    """Do nothing: most commands begin with what is there."""
