"""Which stored file a caller is to get."""

from __future__ import annotations

from django.conf import settings

from agnes_site.core.errors import AccessDeniedError, AgnesError, ConflictError
from agnes_site.core.files import StoredFile
from agnes_site.core.storage import Layout
from catalog.connectors import QueryMode
from catalog.models import Table, TableVersion
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


def file_for(table: Table, *, number: int | None = None, part: str = "") -> StoredFile:
    """Return the file of a version (the current one unless ``number`` says otherwise).

    ``part`` is the SHA-256 of the wanted part of a table that has several.

    Raises:
        NothingToDownloadError: the table is remote, or has no version yet.
        VersionNotFoundError: there is no such version, or no such part of it.
        SeveralPartsError: ``part`` is needed.
        ServerOnlyError: the table does not leave the server.
    """
    if table.server_only:
        raise ServerOnlyError(f"{table.name} does not leave the server.")
    if table.query_mode == QueryMode.REMOTE or table.current_version is None:
        raise NothingToDownloadError(f"{table.name} has no file to download.")
    version = table.current_version
    if number is not None and number != version.number:
        version = _version(table, number)
    parts = list(version.parts.values_list("sha256", "bytes"))
    if part:
        parts = [found for found in parts if found[0] == part]
        if not parts:
            raise VersionNotFoundError(f"Version {version.number} has no such part.")
    if len(parts) == 1:
        return _stored(*parts[0])
    if version.combined_sha256 and version.combined_bytes is not None:
        return _stored(version.combined_sha256, version.combined_bytes)
    raise SeveralPartsError(f"{table.name} consists of {len(parts)} files.", parts=len(parts))


def _version(table: Table, number: int) -> TableVersion:
    found = table.versions.filter(number=number).first()
    if found is None:
        raise VersionNotFoundError(
            f"{table.name} has no version {number}.",
            hint="Read the manifest again: a newer version is served.",
            version=number,
        )
    return found


def _stored(sha256: str, size: int) -> StoredFile:
    return StoredFile(
        path=layout().stored(sha256),
        location=f"{sha256[:2]}/{sha256}.parquet",
        sha256=sha256,
        bytes=size,
    )
