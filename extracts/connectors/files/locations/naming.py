"""What a downloaded file is: by its address, else by what its server says of it."""

from __future__ import annotations

from extracts.connectors.files.formats import named_format
from extracts.connectors.files.locations.download import Downloaded, RemoteAnswerError
from extracts.connectors.files.locations.location import Entry, Fetched
from extracts.connectors.files.source_file import is_supported, source_file

_SUFFIX_OF = {
    "text/csv": ".csv",
    "application/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/x-ndjson": ".ndjson",
    "application/vnd.apache.parquet": ".parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


def named(entry: Entry, got: Downloaded) -> Fetched:
    """Return a downloaded file in its format, under the name that its source knows it by.

    Raises:
        RemoteAnswerError: the server encodes it in a way that was not asked for.
        SourceFileRefusedError: nothing tells its format.
    """
    telling = entry.name
    if not is_supported(telling):
        ending = _SUFFIX_OF.get(got.content_type, "")
        telling = got.file_name if is_supported(got.file_name) else telling + ending
    if got.encoding in ("gzip", "x-gzip") and not telling.endswith(".gz"):
        telling += ".gz"
    elif got.encoding not in ("", "identity", "gzip", "x-gzip"):
        raise RemoteAnswerError(
            f"The server sends {entry.name} encoded as {got.encoding!r}, unasked.",
            hint="Let the server send the file as it is, or compressed with gzip.",
        )
    path = got.path.with_name(got.path.name + named_format(telling).suffix)
    got.path.rename(path)
    file = source_file(path, entry.name, kind=entry.kind, telling=telling)
    return Fetched(file=file, stamp=got.stamp)
