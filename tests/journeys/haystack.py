"""Everything that an installation leaves, shows and says, in one place to be searched."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urldefrag, urljoin, urlsplit

import duckdb
import requests

from tests.journeys.installation import Installation

_LINK = re.compile(r'(?:href|action|src)="([^"]+)"')
_MOST_PAGES = 400
# Of a page with filters and orders.
_MOST_VIEWS = 3


class Haystack:
    """Texts by the channel they came from, each with its place."""

    def __init__(self) -> None:
        self._found: defaultdict[str, dict[str, bytes]] = defaultdict(dict)

    def add(self, channel: str, place: str, content: bytes | str) -> None:
        """Keep one more text."""
        self._found[channel][place] = content if isinstance(content, bytes) else content.encode()

    def channels(self) -> set[str]:
        """Return the channels that anything came from."""
        return set(self._found)

    def places_of(self, needle: str, *, channel: str = "") -> list[str]:
        """Return where ``needle`` is, also where it is encoded as programs do."""
        forms = _forms(needle)
        return [
            f"{name}: {place}"
            for name, texts in self._found.items()
            if channel in ("", name)
            for place, content in texts.items()
            if any(form in content for form in forms)
        ]


def _forms(needle: str) -> set[bytes]:
    plain = needle.encode()
    # What base64 makes of a text depends on how many bytes stand before it.
    shifted = {base64.b64encode(bytes(shift) + plain)[4 * bool(shift) : -4] for shift in range(3)}
    return {
        plain, plain[::-1], plain.hex().encode(), plain.hex().upper().encode(),
        needle.encode("utf-16-le"), quote(needle).encode(), *shifted,
    }  # fmt: skip


class Watch:
    """Looks again and again at what is there for a moment only: processes and queued tasks."""

    def __init__(self, installation: Installation, haystack: Haystack) -> None:
        self._installation, self._haystack = installation, haystack
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.01):
            for file in (self._installation.data / "state" / "broker").rglob("*"):
                self._keep("broker", str(file), file)
            for process in _of(self._installation.python):
                command = _content(process / "cmdline")
                self._haystack.add("command lines", f"{process} {command!r:.60}", command)
                if b"zygote" in command or b"evaluator" in command:
                    self._keep("environments", f"{process}", process / "environ")

    def _keep(self, channel: str, place: str, file: Path) -> None:
        content = _content(file)
        if content:
            self._haystack.add(channel, f"{place} {hash(content)}", content)


def _of(python: str) -> Iterator[Path]:
    """Yield the processes that run with an interpreter of the installation's own."""
    for process in Path("/proc").glob("[0-9]*"):
        if _content(process / "cmdline").startswith(python.encode()):
            yield process


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # gone meanwhile, or a folder
        return b""


def gather(installation: Installation, haystack: Haystack, browser: requests.Session) -> None:
    """Look everywhere that stays."""
    _files(installation, haystack)
    _databases(installation, haystack)
    _commands(installation, haystack)
    _pages(installation, haystack, browser)
    _answers(installation, haystack)


def _files(installation: Installation, haystack: Haystack) -> None:
    for file in installation.data.rglob("*"):
        haystack.add("files", str(file), _content(file))
        if file.name.startswith("agnes.sqlite3"):
            haystack.add("database files", file.name, _content(file))
    for file in installation.folder.glob("*.log"):
        haystack.add("logs", file.name, _content(file))


def _databases(installation: Installation, haystack: Haystack) -> None:
    for file in installation.data.glob("extracts/*/extract.duckdb"):
        with duckdb.connect(str(file), read_only=True) as connection:
            for (table,) in connection.execute("SHOW TABLES").fetchall():
                rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
                haystack.add("extracts", f"{file.parent.name}.{table}", f"{table} {rows}")
    haystack.add("rows", "dumpdata", installation.manage("dumpdata"))


def _commands(installation: Installation, haystack: Haystack) -> None:
    for words in (["config"], ["config", "--json"], ["export_registry"]):
        haystack.add("exports", " ".join(words), installation.manage(*words))


def _pages(installation: Installation, haystack: Haystack, browser: requests.Session) -> None:
    """Follow every link from the front page, as an administrator."""
    waiting, seen, views = [f"{installation.url}/"], set(), Counter[str]()
    while waiting and len(seen) < _MOST_PAGES:
        url = waiting.pop(0)
        path = urlsplit(url).path
        if url in seen or not url.startswith(installation.url) or _is_left_out(path):
            continue
        seen.add(url)
        views[path] += 1
        if views[path] > _MOST_VIEWS:
            continue
        answer = browser.get(url, timeout=30)
        haystack.add("pages", url, answer.content + str(answer.headers).encode())
        if "html" in answer.headers.get("Content-Type", ""):
            found = _LINK.findall(answer.text.replace("&amp;", "&"))
            waiting += [urldefrag(urljoin(answer.url, link)).url for link in found]


def _is_left_out(path: str) -> bool:
    """Say whether a page never ends, ends the session, or is the same everywhere."""
    return "/events" in path or "/logout" in path or path.startswith("/static/")


def _answers(installation: Installation, haystack: Haystack) -> None:
    """Ask every operation that only reads, about everything there is."""
    schema = installation.call("GET", "/api/openapi.json")
    haystack.add("openapi", "openapi.json", json.dumps(schema))
    known = _known(installation)
    for path, operations in schema["paths"].items():
        if "get" not in operations:
            continue
        for filled in _filled(path, known):
            answer = requests.get(
                f"{installation.url}{filled}", timeout=30, stream=False,
                headers={"Authorization": f"Bearer {installation.token}"},
            )  # fmt: skip
            haystack.add("answers", filled, answer.content)


def _known(installation: Installation) -> Mapping[str, list[str]]:
    runs = installation.call("GET", "/api/runs")
    return {
        "name": [
            *(table["name"] for table in installation.call("GET", "/api/admin/registry")["tables"]),
            *("typed", "sent", "named"),
        ],
        "run_id": [run["id"] for run in runs],
    }


def _filled(path: str, known: Mapping[str, list[str]]) -> list[str]:
    wanted = re.findall(r"\{([^}]+)\}", path)
    filled = [path]
    for name in wanted:
        values = known.get(name, ["password"])
        filled = [each.replace(f"{{{name}}}", value) for each in filled for value in values]
    return filled
