"""Which stored file a caller is to get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import CharField, QuerySet

from access.models import User
from agnes_site.core import slugs
from agnes_site.core.errors import AccessDeniedError, AgnesError, ConflictError
from agnes_site.core.files import StoredFile
from agnes_site.core.prepared import Parameter, PreparedQuery
from agnes_site.core.storage import Layout
from catalog.connectors import QueryMode
from catalog.models import Table, TablePart
from catalog.models.table import TableQuerySet
from catalog.services import readers, registry
from catalog.services.versions import VersionNotFoundError


class NothingToDownloadError(ConflictError):
    """The table has no file that could be sent."""

    code = "nothing_to_download"
    status = 404


class SeveralPartsError(ConflictError):
    """The table consists of several files and is too large to be kept as one as well."""

    code = "several_parts"
    hint = "Read `parts` in the manifest and add `&part=<sha256>`, or update the client."


class ServerOnlyError(AccessDeniedError):
    """The table does not leave the server."""

    code = "server_only"
    hint = "Query it on the server."


class StoredFileMissingError(AgnesError):
    """A file that is served is not in the store."""

    code = "stored_file_missing"
    hint = "Tell an administrator; the next run of the table restores it."


def layout() -> Layout:
    """Return the folders of this installation."""
    found: Layout = settings.LAYOUT
    return found


class _Part(NamedTuple):
    """One part of the current version of a table, or a table without one."""

    table_id: UUID
    table: str
    server_only: bool
    query_mode: str
    number: int | None
    combined_sha256: str | None
    combined_bytes: int | None
    sha256: str | None
    bytes: int | None


def find(
    user: User, name: str, *, number: int | None = None, part: str = ""
) -> tuple[str, StoredFile]:
    """Return the name of a table, and its file of the current version or of ``number``.

    ``part`` is the SHA-256 of the wanted part of a table that has several.

    Raises:
        TableNotFoundError: there is no such table that ``user`` may read.
        NothingToDownloadError: the table is remote, or has no version yet.
        VersionNotFoundError: there is no such version, or no such part of it.
        SeveralPartsError: ``part`` is needed.
        ServerOnlyError: the table does not leave the server.
    """
    parts = _parts(user, name)
    first = parts[0]
    if first.server_only:
        raise ServerOnlyError(f"{first.table} does not leave the server.")
    if first.query_mode == QueryMode.REMOTE or first.number is None:
        raise NothingToDownloadError(f"{first.table} has no file to download.")
    if number is not None and number != first.number:
        parts = _parts_of_version(first, number)
    return first.table, _file(parts, part)


def _parts(user: User, name: str) -> list[_Part]:
    if readers.is_any_reader(user):
        # What every laptop asks for each of its files.
        rows = _current_parts.rows(name=slugs.folded(name), **readers.values(user))
    else:
        table = registry.find_table(name, among=Table.objects.readable_by(user))
        rows = list(_of(Table.objects.filter(pk=table.pk)))
    if not rows:
        raise registry.not_found(name)
    return [_Part(*row) for row in rows]


def _of(tables: TableQuerySet) -> QuerySet[Table, Any]:
    return tables.order_by("current_version__parts__ordinal").values_list(
        "pk", "name", "server_only", "query_mode", "current_version__number",
        "current_version__combined_sha256", "current_version__combined_bytes",
        "current_version__parts__sha256", "current_version__parts__bytes",
    )  # fmt: skip


def _of_any_reader() -> QuerySet[Table, Any]:
    tables = Table.objects.readable_by(readers.any_reader(), at=readers.NOW)
    return _of(tables.filter(names__folded=Parameter("name", CharField())))


_current_parts = PreparedQuery(_of_any_reader)


def _parts_of_version(current: _Part, number: int) -> list[_Part]:
    found = TablePart.objects.filter(version__table=current.table_id, version__number=number)
    rows = found.order_by("ordinal").values_list(
        "version__combined_sha256", "version__combined_bytes", "sha256", "bytes"
    )
    if not rows:
        raise VersionNotFoundError(
            f"{current.table} has no version {number}.",
            hint="Read the manifest again: a newer version is served.",
            version=number,
        )
    return [
        current._replace(
            number=number, combined_sha256=combined, combined_bytes=combined_bytes,
            sha256=sha256, bytes=size,
        )
        for combined, combined_bytes, sha256, size in rows
    ]  # fmt: skip


def _file(parts: Sequence[_Part], wanted: str) -> StoredFile:
    table, number = parts[0].table, parts[0].number
    files = [(part.sha256, part.bytes) for part in parts if part.sha256 is not None]
    if wanted:
        files = [file for file in files if file[0] == wanted]
        if not files:
            raise VersionNotFoundError(f"Version {number} has no such part.")
    if len(files) == 1:
        return _stored(*files[0])
    if parts[0].combined_sha256:
        return _stored(parts[0].combined_sha256, parts[0].combined_bytes)
    raise SeveralPartsError(f"{table} consists of {len(files)} files.", parts=len(files))


def _stored(sha256: str | None, size: int | None) -> StoredFile:
    assert sha256 is not None
    assert size is not None
    return StoredFile(
        path=layout().stored(sha256),
        location=f"{sha256[:2]}/{sha256}.parquet",
        sha256=sha256,
        bytes=size,
    )
