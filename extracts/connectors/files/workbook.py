"""Open a workbook, sure beforehand that its sheets fit into memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
    WorksheetNotFound,
    XmlError,
    ZipError,
)

from extracts.connectors.files.content import HEAD_BYTES, refuse_foreign
from extracts.connectors.files.errors import FileUnusableError
from extracts.connectors.files.formats import Compression
from extracts.connectors.files.source_file import SourceFile
from extracts.connectors.files.streams import CHUNK_BYTES, opened

# Cells of a sheet that fit into memory for each MB that its workbook may have.
_CELLS_PER_MB = 40_000
_MB = 1_000_000

_ROW = re.compile(rb'<row\b[^>]*?\br="(\d{1,7})"')
_WIDE_CELL = re.compile(rb'\br="([A-Z]{2,3})\d')
_FAULTY_CELL = re.compile(rb'<c\b[^>]*?\bt="e"')
_ENCRYPTED = 0x1  # a flag of an entry
_TROUBLE = (
    CalamineError, XmlError, ZipError, zipfile.BadZipFile, zlib.error, EOFError,
    NotImplementedError,
)  # fmt: skip


class WorkbookUnusableError(FileUnusableError):
    """A workbook cannot be opened, or has no such sheet."""

    code = "workbook_unusable"
    hint = "Save it again as .xlsx, without a password."


class WorkbookTooLargeError(FileUnusableError):
    """A workbook is larger than its table allows; it has to be in memory as a whole."""

    code = "workbook_too_large"
    hint = "Save the sheet as CSV, or raise max_workbook_mb in the settings of the table."


@dataclass(kw_only=True)
class _Measure:
    """How large the sheets are, and how many of their cells hold an error."""

    bytes: int = 0
    rows: int = 0
    columns: int = 26
    faults: int = 0


@dataclass(frozen=True, kw_only=True)
class Workbook:
    """An open workbook; ``faults`` counts cells that hold an error, such as #DIV/0!."""

    name: str
    book: CalamineWorkbook
    faults: int

    @property
    def visible(self) -> list[str]:
        """The names of the sheets that a person sees."""
        return [
            sheet.name
            for sheet in self.book.sheets_metadata
            if sheet.visible is SheetVisibleEnum.Visible and sheet.typ is SheetTypeEnum.WorkSheet
        ]

    def sheet(self, name: str) -> CalamineSheet:
        """Return a sheet; the first that a person sees if ``name`` is empty.

        Raises:
            WorkbookUnusableError: there is none of that name.
        """
        wanted = name or next(iter(self.visible), "")
        try:
            return self.book.get_sheet_by_name(wanted)
        except WorksheetNotFound as error:
            shown = ", ".join(self.book.sheet_names[:20])
            raise WorkbookUnusableError(
                f"{self.name} has no sheet {wanted!r}.",
                hint=f"Set sheet in the settings of the table to one of: {shown}.",
            ) from error
        except _TROUBLE as error:
            _refuse(self.name, error)


def open_workbook(file: SourceFile, *, scratch: Path, max_mb: int) -> Workbook:
    """Open a workbook, unpacked into ``scratch`` if it is compressed.

    Raises:
        WorkbookUnusableError: it is none, is damaged, or has a password.
        WorkbookTooLargeError: it is larger than ``max_mb`` million bytes once unpacked.
    """
    with opened(file, error=WorkbookUnusableError) as stream:
        refuse_foreign(file, stream.read(HEAD_BYTES), error=WorkbookUnusableError)
    path = _plain(file, scratch, max_mb * _MB)
    try:
        measure = _measured(file.name, path, max_mb)
        book = CalamineWorkbook.from_path(str(path))
    except _TROUBLE as error:
        _refuse(file.name, error)
    return Workbook(name=file.name, book=book, faults=measure.faults)


def _plain(file: SourceFile, scratch: Path, limit: int) -> Path:
    if file.compression is Compression.NONE:
        _check_size(file.name, file.path.stat().st_size, limit)
        return file.path
    path = scratch / "workbook"
    size = 0
    with opened(file, error=WorkbookUnusableError) as source, path.open("wb") as target:
        while piece := source.read(CHUNK_BYTES):
            size += len(piece)
            _check_size(file.name, size, limit)
            target.write(piece)
    return path


def _measured(name: str, path: Path, max_mb: int) -> _Measure:
    """Read the sheets of a ZIP archive once without keeping them."""
    measure = _Measure()
    if not zipfile.is_zipfile(path):
        return measure
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith((".xml", ".bin")):
                continue
            is_sheet = entry.filename.startswith("xl/worksheets/")
            sheet = _Measure()
            if entry.flag_bits & _ENCRYPTED:
                raise WorkbookUnusableError(f"{name} has a password.")
            with archive.open(entry) as part:
                for piece in _pieces(part):
                    measure.bytes += len(piece)
                    _check_size(name, measure.bytes, max_mb * _MB)
                    if is_sheet:
                        _look(sheet, piece)
            _check_cells(name, sheet, max_mb)
            measure.faults += sheet.faults
    return measure


def _pieces(part: IO[bytes]) -> Iterator[bytes]:
    """Yield the content in pieces that end where a tag does."""
    rest = b""
    while piece := part.read(CHUNK_BYTES):
        whole, tag, begun = (rest + piece).rpartition(b"<")
        rest = tag + begun
        if whole:
            yield whole
    yield rest


def _look(sheet: _Measure, piece: bytes) -> None:
    sheet.rows = max([sheet.rows, *map(int, _ROW.findall(piece))])
    wide = set(_WIDE_CELL.findall(piece))
    sheet.columns = max([sheet.columns, *map(_number, wide)])
    sheet.faults += len(_FAULTY_CELL.findall(piece))


def _number(letters: bytes) -> int:
    """Return the number of a column that a workbook calls by letters."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise WorkbookTooLargeError(f"{name} is larger than {limit // _MB} MB once it is unpacked.")


def _check_cells(name: str, sheet: _Measure, max_mb: int) -> None:
    if sheet.rows * sheet.columns > max_mb * _CELLS_PER_MB and sheet.columns > 26:
        raise WorkbookTooLargeError(
            f"A sheet of {name} reaches to row {sheet.rows:,} and column {sheet.columns:,}, which "
            "is too much to be in memory.",
            hint="Delete the cells far from the data, or raise max_workbook_mb in the settings.",
        )


def _refuse(name: str, error: BaseException) -> NoReturn:
    if isinstance(error, PasswordError):
        raise WorkbookUnusableError(f"{name} has a password.") from error
    raise WorkbookUnusableError(f"{name} cannot be opened as a workbook: {error}.") from error
