"""A file of a table: what its name says, and what cannot be one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from agnes_site.core.errors import InvalidInputError, NotFoundError
from extracts.connectors.files.formats import SUFFIXES, Compression, Format, named_format


class SourceFolderMissingError(NotFoundError):
    """The folder of a source is not there or cannot be read."""

    code = "source_folder_missing"
    status = 422
    hint = "Check that the folder exists on the server and that Agnes may read it."


class SourceFilesMissingError(NotFoundError):
    """There is no file where a table's files should be."""

    code = "source_files_missing"
    status = 422
    hint = "Check the name; it is relative to the folder of the source."


class SourceFileRefusedError(InvalidInputError):
    """A file or a name of files cannot be used for a table."""

    code = "source_file_refused"
    hint = "Give a file, folder or pattern below the folder of the source."


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a table: where it can be read, and the name that its source knows it by.

    ``suffix`` says format and compression as the names of files do, also where ``name`` does not.
    """

    path: Path
    name: str
    kind: Format
    compression: Compression = Compression.NONE
    suffix: str


def is_supported(name: str) -> bool:
    """Say whether a name tells a format that can be read."""
    return named_format(name).format is not None


def source_file(
    path: Path, name: str, *, kind: Format | None = None, telling: str = ""
) -> SourceFile:
    """Return the file at ``path`` as its ``name`` says, or as ``kind`` whatever its name says.

    Where another name tells what it is, that is ``telling``.

    Raises:
        SourceFileRefusedError: its format is not known.
    """
    told = named_format(telling or name)
    kind = kind or told.format
    if kind is None:
        raise SourceFileRefusedError(
            f"{name} is of no known format.",
            hint=f"Names end with {', '.join(SUFFIXES)}, also with .gz or .zst behind it; for "
            "other names give the format in the settings of the table.",
        )
    return SourceFile(
        path=path, name=name, kind=kind, compression=told.compression, suffix=told.suffix
    )


def refuse_mixture(source_table: str, files: Sequence[SourceFile]) -> None:
    """Refuse files of several formats as one table.

    Raises:
        SourceFileRefusedError: there are several.
    """
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        mixed = " and ".join(kind.label for kind in kinds)
        raise SourceFileRefusedError(
            f"{source_table!r} mixes {mixed} files in one table.",
            hint="Use a pattern such as 'folder/*.csv'.",
        )


def check_relative(source_table: str) -> None:
    """Refuse what is no name below the place of a source.

    Raises:
        SourceFileRefusedError: it is empty, absolute, or leads out.
    """
    path = PurePosixPath(source_table)
    is_plain = source_table and "\0" not in source_table and not path.is_absolute()
    if not is_plain or ".." in path.parts:
        raise SourceFileRefusedError(f"{source_table!r} is no name below the source's folder.")
