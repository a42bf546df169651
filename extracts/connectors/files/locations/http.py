"""Files of web servers, by their addresses."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, count
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

from catalog.connectors import Health
from extracts.connectors.files.formats import Format, named_format
from extracts.connectors.files.locations.beginning import BEGINNING_BYTES, can_be_cut, cut
from extracts.connectors.files.locations.download import Downloads, RemoteDeniedError, stamp_of
from extracts.connectors.files.locations.location import Entry, Fetched, Location, Stamp
from extracts.connectors.files.locations.naming import named
from extracts.connectors.files.locations.patterns import is_pattern, matches
from extracts.connectors.files.source_file import SourceFilesMissingError, check_relative
from extracts.connectors.reach.web import Sign, origin


class HttpLocation(Location):
    """Addresses of files, and at most one of a folder, below which tables name files."""

    asks_with_stamps = True

    def __init__(self, urls: Sequence[str], downloads: Downloads) -> None:
        self._downloads = downloads
        self._folders = [url for url in urls if urlsplit(url).path.endswith("/")]
        self._files = _by_name(url for url in urls if url not in self._folders)

    def test(self) -> Health:
        """Ask for the beginning of each address."""
        for name, url in self._files.items():
            self._downloads.ask(url, name=name, headers={"Range": "bytes=0-0"}).close()
        if not self._files:
            self._downloads.reach(self._folders[0])
            return Health(
                message="The address is allowed. A web server cannot be asked for a list of its "
                "files: register tables by their names."
            )
        count = len(self._files)
        said = "The file can be read." if count == 1 else f"All {count} files can be read."
        return Health(message=said, details={"files": count})

    def listed(self) -> list[Entry]:
        """Return the files whose addresses are given; a web server has no list of its own."""
        return [Entry(name=name, place=url) for name, url in sorted(self._files.items())]

    def entries(self, source_table: str, *, kind: Format | None = None) -> list[Entry]:
        """Return the given address of that name, those of a pattern, or one below the folder."""
        check_relative(source_table)
        if source_table in self._files:
            return [Entry(name=source_table, place=self._files[source_table], kind=kind)]
        if is_pattern(source_table):
            found = [each for each in self.listed() if matches(each.name, source_table)]
            if not found:
                raise SourceFilesMissingError(
                    f"No address of the source fits {source_table!r}.",
                    hint="A web server cannot be asked for a list: give each address in `urls`.",
                )
            return [replace(each, kind=kind) for each in found]
        if not self._folders:
            raise SourceFilesMissingError(
                f"No address of the source ends with {source_table!r}.",
                hint="Add the address to the source, or one of a folder, ending with /.",
            )
        folder = urlsplit(self._folders[0])
        place = folder._replace(path=folder.path + quote(source_table)).geturl()
        return [Entry(name=source_table, place=place, kind=kind)]

    def stamps(self, entries: Sequence[Entry], known: Mapping[str, Stamp]) -> list[Stamp | None]:
        """Ask the server whether the files are those of the last time."""
        return [self._stamp(entry, known.get(entry.name)) for entry in entries]

    @contextmanager
    def fetched(self, entries: Sequence[Entry], scratch: Path) -> Iterator[list[Fetched]]:
        """Download the files."""
        folder = scratch / "fetched"
        folder.mkdir(exist_ok=True)
        found = []
        for number, entry in enumerate(entries):
            path = folder / f"{number:06}"
            got = self._downloads.bring(entry.place, path, name=entry.name)
            found.append(named(entry, got))
        yield found

    @contextmanager
    def beginnings(self, entries: Sequence[Entry], scratch: Path) -> Iterator[list[Fetched]]:
        """Download the beginning of text, the whole of other files."""
        folder = scratch / "beginnings"
        folder.mkdir(exist_ok=True)
        found = []
        for number, entry in enumerate(entries):
            first = BEGINNING_BYTES if can_be_cut(entry.name) else None
            path = folder / f"{number:06}"
            got = self._downloads.bring(entry.place, path, name=entry.name, first_bytes=first)
            found.append(cut(named(entry, got), folder))
        yield found

    def _stamp(self, entry: Entry, known: Stamp | None) -> Stamp | None:
        if known is None:
            return None
        etag, changed = known
        asked = {"If-None-Match": etag} if etag else {"If-Modified-Since": changed}
        with self._downloads.ask(entry.place, name=entry.name, headers=asked) as answer:
            return known if answer.status_code == 304 or stamp_of(answer) == known else None


def signed_in(urls: Sequence[str], *, user: str, password: str, token: str) -> Sign:
    """Return the proof of who asks; it is given to the hosts of ``urls`` and to no others.

    Raises:
        RemoteDeniedError: the token cannot be sent.
    """
    own = {origin(url) for url in urls}
    if not (token.isascii() and token.isprintable()):
        raise RemoteDeniedError(
            "The token of the source holds a sign that cannot be sent, such as a line break.",
            hint="Enter it again, without anything before or behind it.",
        )
    proof = f"Bearer {token}" if token else ""
    if password:
        both = f"{user}:{password}".encode()
        proof = f"Basic {base64.b64encode(both).decode()}"

    def sign(asked: str, _headers: Mapping[str, str]) -> Mapping[str, str]:
        return {"Authorization": proof} if proof and origin(asked) in own else {}

    return sign


def _by_name(urls: Iterable[str]) -> dict[str, str]:
    """Return each address by a name of its own: its last part, or as much more as is needed.

    What stands behind the question mark may be secret, and is no part of a name.
    """
    names = {url: _last_part(url) for url in urls}
    for longer in (_path, _host_and_path):
        met = Counter(names.values())
        names = {url: name if met[name] == 1 else longer(url) for url, name in names.items()}
    found: dict[str, str] = {}
    for url, name in names.items():
        found[_free(name, found)] = url
    return found


def _last_part(url: str) -> str:
    pieces = urlsplit(url)
    return unquote(PurePosixPath(pieces.path).name) or (pieces.hostname or "")


def _path(url: str) -> str:
    return unquote(urlsplit(url).path.strip("/")) or _last_part(url)


def _host_and_path(url: str) -> str:
    return f"{urlsplit(url).hostname}/{_path(url)}"


def _free(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken, with a number before its ending if need be."""
    suffix = named_format(name).suffix
    stem = name[: len(name) - len(suffix)]
    numbered = (f"{stem}-{number}{name[len(stem) :]}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)
