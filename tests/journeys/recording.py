"""The recorded traffic of the 0.54 client, and what its answers look like."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

# Addresses that hold a name or an id: their answers all have one shape.
_ENDPOINTS = (
    "/api/data/*/download", "/api/v2/schema/*", "/api/v2/sample/*", "/api/admin/groups/*/members",
    "/api/admin/grants/*", "/api/admin/registry/*", "/api/admin/metadata/*", "/api/metrics/*",
)  # fmt: skip

# Objects whose keys are names, not fields.
_MAPS = {("/api/sync/manifest", "tables"), ("/api/health/detailed", "services")}

# What stands in the recording for a body that was recorded before.
_AS_BEFORE = "(as in the run without a fault)"


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request that the client sent, and the answer it got."""

    line: int
    command: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    sent: Any
    status: int
    answer_headers: dict[str, str]
    answer: Any

    @property
    def endpoint(self) -> str:
        """The address without the names and ids in it."""
        return next((known for known in _ENDPOINTS if fnmatchcase(self.path, known)), self.path)

    @property
    def is_download(self) -> bool:
        """Whether the answer is a file."""
        return self.endpoint == "/api/data/*/download"

    def __str__(self) -> str:
        return f"line {self.line}: {self.command[:60]!r}: {self.method} {self.path}"


def read(file: Path) -> list[Exchange]:
    """Return what client and server said, without the answers that the recording proxy made up."""
    found: list[Exchange] = []
    last: dict[tuple[str, str], Any] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        entry = json.loads(line)
        if entry.get("injected"):
            continue
        request, response = entry["request"], entry["response"]
        key = (request["method"], request["path"])
        if response["body"] == _AS_BEFORE:
            response["body"] = last[key]
        elif response["status"] < 300:
            last[key] = response["body"]
        found.append(
            Exchange(
                line=number, command=entry["command"], method=request["method"],
                path=request["path"], query=request["query"], headers=request["headers"],
                sent=request["body"], status=response["status"],
                answer_headers=response["headers"], answer=response["body"],
            )
        )  # fmt: skip
    return found


def plain(endpoint: str, body: Any) -> Any:
    """Return a JSON body with objects whose keys are names as lists of their values."""
    if not isinstance(body, dict):
        return body
    return {
        key: list(value.values()) if (endpoint, key) in _MAPS else value
        for key, value in body.items()
    }


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """Fields that may be missing, and fields that may be null."""

    unsent: Container[str] = ()
    nullable: Container[str] = ()


@dataclass
class Shape:
    """The types that a value was seen with, and the shapes of what is in it."""

    types: set[str] = field(default_factory=set)
    objects: int = 0
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    fields: dict[str, Shape] = field(default_factory=lambda: defaultdict(Shape))
    items: Shape | None = None

    def learn(self, value: Any) -> None:
        """Take in one more value."""
        self.types.add(type_of(value))
        if isinstance(value, dict):
            self.objects += 1
            for key, inner in value.items():
                self.seen[key] += 1
                self.fields[key].learn(inner)
        elif isinstance(value, list):
            self.items = self.items or Shape()
            for inner in value:
                self.items.learn(inner)

    def knows(self, path: str) -> bool:
        """Say whether a field was ever seen, such as ``body.tables[].id``."""
        shape = self
        for step in _steps(path):
            if step == "[]" and shape.items is not None:
                shape = shape.items
            elif step in shape.fields:
                shape = shape.fields[step]
            else:
                return False
        return True

    def problems(self, value: Any, *, at: str, allowed: Allowed | None = None) -> Iterator[str]:
        """Yield what of ``value`` is missing or of another type.

        A field that was only ever seen as null may have any type.
        """
        allowed = allowed or Allowed()
        if value is None and at in allowed.nullable:
            return
        if self.types != {"null"} and type_of(value) not in self.types:
            yield f"{at} is {type_of(value)}, not {' or '.join(sorted(self.types))}"
        elif isinstance(value, dict):
            for key, shape in self.fields.items():
                where = f"{at}.{key}"
                if key in value:
                    yield from shape.problems(value[key], at=where, allowed=allowed)
                elif self.seen[key] == self.objects and where not in allowed.unsent:
                    yield f"{where} is missing"
        elif isinstance(value, list) and self.items is not None:
            for inner in value:
                yield from self.items.problems(inner, at=f"{at}[]", allowed=allowed)


def holds(value: Any, path: str) -> bool:
    """Say whether a body has a field anywhere at ``path``, such as ``body.tables[].id``."""
    found = [value]
    for step in _steps(path):
        if step == "[]":
            found = [inner for part in found if isinstance(part, list) for inner in part]
        else:
            found = [part[step] for part in found if isinstance(part, dict) and step in part]
    return bool(found)


def _steps(path: str) -> list[str]:
    return [step for step in path.replace("[]", ".[]").split(".")[1:] if step]


def type_of(value: Any) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", list: "list", dict: "object"}[type(value)]


def shapes(exchanges: Iterable[Exchange]) -> dict[tuple[str, str], Shape]:
    """Return the shape of each endpoint's successful answers, by method and endpoint."""
    found: dict[tuple[str, str], Shape] = defaultdict(Shape)
    for exchange in exchanges:
        if exchange.status < 300 and not exchange.is_download:
            body = plain(exchange.endpoint, exchange.answer)
            found[exchange.method, exchange.endpoint].learn(body)
    return found


_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")


def pairs_of_ids(recorded: Any, given: Any) -> Iterator[tuple[str, str]]:
    """Yield (recorded id, our id) for the things that both answers speak of.

    Things in lists are matched by what names them.
    """
    if isinstance(recorded, dict) and isinstance(given, dict):
        for key in recorded.keys() & given.keys():
            if isinstance(recorded[key], str) and _ID.fullmatch(recorded[key]):
                yield recorded[key], str(given[key])
            else:
                yield from pairs_of_ids(recorded[key], given[key])
    elif isinstance(recorded, list) and isinstance(given, list):
        ours = {_naming(item): item for item in given}
        for item in recorded:
            if _naming(item) in ours:
                yield from pairs_of_ids(item, ours[_naming(item)])


def _naming(item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    keys = ("email", "group_name", "resource_type", "resource_id", "name")
    return "/".join(str(item[key]) for key in keys if key in item)
