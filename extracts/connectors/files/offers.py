"""Which tables the files of a source make: files of one shape are offered as one."""

from __future__ import annotations

import re
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

import duckdb

from agnes_site.core import slugs
from agnes_site.core.errors import AgnesError
from catalog.connectors import ColumnSpec, TableRequest, TableSpec
from extracts.connectors.files.excel_reader import sheets_of
from extracts.connectors.files.formats import Format, named_format
from extracts.connectors.files.locations.location import Entry, Location
from extracts.connectors.files.locations.patterns import matches
from extracts.connectors.files.reading import reader_of
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.table_settings import FilesTable
from extracts.engine.session import session

# Rows that columns and types are found in where nothing is to be extracted yet.
SAMPLE_ROWS = 1_000
# Files of a group that are looked into, to see that they have the same columns.
_LOOKS = 3
# Tables are offered without their columns once looking has taken this long.
_PATIENCE_SECONDS = 20.0
# What stands in a pattern for all from the first number of a name to its last one.
_NUMBER = "[0-9]*"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """Files that make one table, or several if they are a workbook of several sheets."""

    source_table: str
    stem: str
    entries: Sequence[Entry]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a first look at some files showed: columns, or why there are none."""

    columns: tuple[ColumnSpec, ...] = ()
    problem: str = ""


def offered(location: Location) -> Iterator[TableSpec]:
    """Yield a table for each file or group of files of one shape.

    Raises:
        AgnesError: the place cannot be listed.
    """
    looking = _Looking(location)
    taken: set[str] = set()
    for offer in _grouped(location.listed(), looking):
        for sheet in looking.sheets(offer.entries):
            name = slugs.slug(f"{offer.stem} {sheet}".strip(), taken=taken)
            taken.add(name.lower())
            yield _spec(name, offer, sheet, looking.at(offer.entries, sheet))


def _spec(name: str, offer: Offer, sheet: str, look: Look) -> TableSpec:
    place = f"{offer.source_table}#{sheet}" if sheet else offer.source_table
    sizes = [entry.bytes for entry in offer.entries]
    return TableSpec(
        name=name,
        upstream_id=place,
        source_table=place,
        columns=look.columns,
        bytes=None if None in sizes else sum(size or 0 for size in sizes),
        problem=look.problem,
    )


class _Looking:
    """Looks into files, as long as a person waits for it."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._deadline = time.monotonic() + _PATIENCE_SECONDS
        self._seen: dict[tuple[str, ...], Look] = {}

    def at(self, entries: Sequence[Entry], sheet: str = "") -> Look:
        """Return what some of the files show."""
        sample = _sample(entries)
        seen = (sheet, *(entry.name for entry in sample))
        if seen not in self._seen:
            self._seen[seen] = self._look(sample, sheet)
        return self._seen[seen]

    def are_alike(self, entries: Sequence[Entry]) -> bool:
        """Say whether files have the same columns, as far as can be told."""
        looks = [self.at([entry]) for entry in _sample(entries)]
        shown = [{column.name.lower() for column in look.columns} for look in looks if look.columns]
        return all(names == shown[0] for names in shown)

    def sheets(self, entries: Sequence[Entry]) -> list[str]:
        """Return the sheets of a workbook that has several, else the one empty name."""
        is_workbook = len(entries) == 1 and _format(entries[0]) is Format.EXCEL
        if not is_workbook or self._is_late():
            return [""]
        try:
            with _beginnings(self._location, entries) as (_, files, scratch):
                names = sheets_of(files[0], scratch=scratch)
        except AgnesError:
            # What is wrong is said where its columns are looked for.
            return [""]
        return names if len(names) > 1 else [""]

    def _look(self, entries: Sequence[Entry], sheet: str) -> Look:
        if self._is_late():
            return Look()
        place = f"{entries[0].name}#{sheet}" if sheet else entries[0].name
        request = TableRequest(name="t", source_table=place, options=FilesTable())
        try:
            with _beginnings(self._location, entries) as (connection, files, scratch):
                reader = reader_of(connection, files, request, scratch=scratch, look_at=SAMPLE_ROWS)
                return Look(columns=reader.columns)
        except AgnesError as error:
            # One bad file must not hide the others.
            return Look(problem=f"{error.message} {error.hint}".rstrip())

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline


@contextmanager
def _beginnings(
    location: Location, entries: Sequence[Entry]
) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[SourceFile], Path]]:
    with tempfile.TemporaryDirectory() as name, session(Path(name)) as connection:
        scratch = Path(name)
        with location.beginnings(entries, scratch) as fetched:
            yield connection, [each.file for each in fetched], scratch


def _grouped(entries: Sequence[Entry], looking: _Looking, folder: str = "") -> Iterator[Offer]:
    """Yield what files sorted by name make together: patterns, folders, single files."""
    inner: dict[str, list[Entry]] = {}
    here: list[Entry] = []
    for entry in entries:
        first, _, rest = entry.name.removeprefix(folder).partition("/")
        if rest:
            inner.setdefault(folder + first, []).append(entry)
        else:
            here.append(entry)
    yield from _shaped(here, looking, folder)
    for name, group in inner.items():
        is_one = len(group) > 1 and len({_format(entry) for entry in group}) == 1
        if is_one and looking.are_alike(group):
            yield Offer(source_table=name, stem=name.rpartition("/")[2], entries=group)
        else:
            yield from _grouped(group, looking, name + "/")


def _shaped(entries: Sequence[Entry], looking: _Looking, folder: str) -> Iterator[Offer]:
    """Yield the files of one folder, those whose names differ in numbers only as a pattern."""
    ordered = sorted(entries, key=lambda entry: (_pattern(entry.name), entry.name))
    by_name = sorted(entries, key=_name)
    offers = []
    for pattern, found in groupby(ordered, key=lambda entry: _pattern(entry.name)):
        group = list(found)
        if len(group) > 1 and _is_exact(pattern, group, by_name) and looking.are_alike(group):
            stem = _stem(pattern).replace(_NUMBER, " ").strip(" _-.")
            stem = stem or folder.rstrip("/").rpartition("/")[2] or "files"
            offers.append(Offer(source_table=pattern, stem=stem, entries=group))
        else:
            offers += [
                Offer(source_table=each.name, stem=_stem(each.name), entries=[each])
                for each in group
            ]
    yield from sorted(offers, key=lambda offer: offer.entries[0].name)


def _is_exact(pattern: str, group: Sequence[Entry], entries: Sequence[Entry]) -> bool:
    """Say whether a pattern means the files of a group and no others of ``entries``.

    Both are sorted by name, so that only those that begin alike need to be looked at.
    """
    beginning, _, ending = pattern.partition(_NUMBER)
    start = bisect_left(entries, beginning, key=_name)
    end = bisect_right(entries, beginning + "\U0010ffff", lo=start, key=_name)
    alike = (each for each in entries[start:end] if each.name.endswith(ending))
    return [each for each in alike if matches(each.name, pattern)] == group


def _name(entry: Entry) -> str:
    return entry.name


def _pattern(name: str) -> str:
    """Return the pattern of a name, from its first number to its last one."""
    folder, slash, last = name.rpartition("/")
    stem = last[: len(last) - len(named_format(last).suffix)]
    ending = last[len(stem) :]
    if any(sign in name for sign in "*?["):
        return name
    return f"{folder}{slash}{re.sub(r'[0-9](.*[0-9])?', _NUMBER, stem)}{ending}"


def _stem(name: str) -> str:
    last = PurePosixPath(name).name
    return last[: len(last) - len(named_format(last).suffix)]


def _format(entry: Entry) -> object:
    return named_format(entry.name).format


def _sample(entries: Sequence[Entry]) -> list[Entry]:
    """Return the first, the last and what is between, as many as are looked into."""
    if len(entries) <= _LOOKS:
        return list(entries)
    last = len(entries) - 1
    return [entries[last * place // (_LOOKS - 1)] for place in range(_LOOKS)]
