"""Objects of an S3-compatible store: listed by pages, signed by AWS' own library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote_plus, urlencode, urlsplit
from xml.etree import ElementTree

import requests
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from agnes_site.core.errors import AgnesError, UpstreamError
from catalog.connectors import Health
from extracts.connectors.files.formats import Format
from extracts.connectors.files.locations.beginning import BEGINNING_BYTES, can_be_cut, cut
from extracts.connectors.files.locations.download import (
    Downloads,
    RemoteAnswerError,
    RemoteDeniedError,
)
from extracts.connectors.files.locations.location import (
    MAX_LISTED,
    Entry,
    Fetched,
    FileChangedError,
    Location,
    RemoteFileMissingError,
    Stamp,
    TooManyFilesError,
)
from extracts.connectors.files.locations.naming import named
from extracts.connectors.files.locations.patterns import fixed_folder, is_pattern, matches
from extracts.connectors.files.source_file import (
    SourceFilesMissingError,
    check_relative,
    is_supported,
)
from extracts.connectors.reach.web import Sign, origin, reaching

_MAX_LIST_BYTES = 16 * 1024**2
_MAX_ERROR_BYTES = 64 * 1024
_DENIED = frozenset(
    {
        "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
        "InvalidToken", "AccountProblem", "AllAccessDisabled", "RequestTimeTooSkewed",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Where a bucket is: its own address, and what its source reads of it."""

    url: str
    name: str
    prefix: str = ""
    pattern: str = ""


def bucket_of(address: str, *, endpoint: str, region: str, is_path_style: bool) -> Bucket:
    """Return the bucket of ``s3://bucket/prefix/*.csv`` at its endpoint."""
    pieces = urlsplit(address)
    key = address.removeprefix(f"s3://{pieces.netloc}").removeprefix("/")
    pattern = key if is_pattern(key) else ""
    prefix = fixed_folder(key) if pattern else key.rstrip("/") + "/" if key else ""
    base = urlsplit(endpoint or f"https://s3.{region}.amazonaws.com")
    if is_path_style:
        url = f"{base.scheme}://{base.netloc}{base.path.rstrip('/')}/{pieces.netloc}"
    else:
        url = f"{base.scheme}://{pieces.netloc}.{base.netloc}{base.path.rstrip('/')}"
    return Bucket(url=url, name=pieces.netloc, prefix=prefix, pattern=pattern.removeprefix(prefix))


class S3Location(Location):
    """The objects below a prefix of a bucket."""

    def __init__(self, bucket: Bucket, downloads: Downloads) -> None:
        self._bucket = bucket
        self._downloads = downloads

    def test(self) -> Health:
        """List the objects."""
        count = len(self.listed())
        said = f"The bucket {self._bucket.name} can be read; it holds {count:,} files"
        return Health(message=f"{said} of known formats.", details={"files": count})

    def listed(self) -> list[Entry]:
        """Return the objects of known formats, or of the pattern of the source."""
        return [entry for entry in self._all("") if is_supported(entry.name)]

    def entries(self, source_table: str, *, kind: Format | None = None) -> list[Entry]:
        """Return one object, those below a folder, or those of a pattern."""
        check_relative(source_table)
        if is_pattern(source_table):
            listed = self._all(fixed_folder(source_table))
            found = [each for each in listed if matches(each.name, source_table)]
        else:
            listed = self._all(source_table)
            below = source_table.rstrip("/") + "/"
            found = [each for each in listed if each.name.startswith(below)]
        exact = [each for each in listed if each.name == source_table]
        if exact:
            return [replace(each, kind=kind) for each in exact]
        found = [each for each in found if kind or is_supported(each.name)]
        if not found:
            raise SourceFilesMissingError(
                f"There are no files of a known format at {source_table!r}."
            )
        return [replace(each, kind=kind) for each in found]

    def stamps(self, entries: Sequence[Entry], known: Mapping[str, Stamp]) -> list[Stamp | None]:
        """Return what the list of objects says."""
        return [entry.stamp for entry in entries]

    @contextmanager
    def fetched(self, entries: Sequence[Entry], scratch: Path) -> Iterator[list[Fetched]]:
        """Download the objects, each as it was listed."""
        folder = scratch / "fetched"
        folder.mkdir(exist_ok=True)
        yield [self._bring(each, folder / f"{n:06}") for n, each in enumerate(entries)]

    @contextmanager
    def beginnings(self, entries: Sequence[Entry], scratch: Path) -> Iterator[list[Fetched]]:
        """Download the beginning of text, the whole of other objects."""
        folder = scratch / "beginnings"
        folder.mkdir(exist_ok=True)
        yield [
            cut(self._bring(each, folder / f"{n:06}", beginning=can_be_cut(each.name)), folder)
            for n, each in enumerate(entries)
        ]

    def _bring(self, entry: Entry, path: Path, *, beginning: bool = False) -> Fetched:
        assert entry.stamp is not None
        got = self._downloads.bring(
            entry.place,
            path,
            name=entry.name,
            headers={"If-Match": entry.stamp[0]},
            first_bytes=BEGINNING_BYTES if beginning else None,
        )
        fetched = named(entry, got)
        return Fetched(file=fetched.file, stamp=entry.stamp)

    def _all(self, below: str) -> list[Entry]:
        """Return every object below a prefix that is not hidden, page by page."""
        found: list[Entry] = []
        token = ""
        while True:
            page, token = self._page(self._bucket.prefix + below, token)
            found += page
            if len(found) > MAX_LISTED:
                raise TooManyFilesError(f"There are more than {MAX_LISTED:,} objects.")
            if not token:
                return sorted(found, key=lambda entry: entry.name)

    def _page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        asked = {"list-type": "2", "prefix": prefix, "encoding-type": "url", "max-keys": "1000"}
        if token:
            asked["continuation-token"] = token
        url = f"{self._bucket.url}/?{urlencode(sorted(asked.items()), quote_via=quote)}"
        with self._downloads.ask(url, name=f"bucket {self._bucket.name}", headers={}) as answer:
            root = _xml(answer, _MAX_LIST_BYTES)
        is_quoted = _text(root, "EncodingType") == "url"
        more = _text(root, "IsTruncated") == "true"
        following = _text(root, "NextContinuationToken")
        if more and (not following or following == token):
            raise UpstreamError("The store's list of objects does not come to an end.")
        entries = [
            self._entry(item, is_quoted=is_quoted)
            for item in root
            if _local(item.tag) == "Contents"
        ]
        return [each for each in entries if self._is_shown(each)], following if more else ""

    def _entry(self, item: ElementTree.Element, *, is_quoted: bool) -> Entry:
        key = unquote_plus(_text(item, "Key")) if is_quoted else _text(item, "Key")
        size = _text(item, "Size")
        return Entry(
            name=key.removeprefix(self._bucket.prefix),
            place=f"{self._bucket.url}/{quote(key, safe='/~')}",
            bytes=int(size) if size.isdecimal() else None,
            stamp=[_text(item, "ETag"), _text(item, "LastModified"), size],
        )

    def _is_shown(self, entry: Entry) -> bool:
        if not entry.name or entry.name.endswith("/"):
            return False
        if any(part.startswith(".") or not part for part in entry.name.split("/")):
            return False
        return not self._bucket.pattern or matches(entry.name, self._bucket.pattern)


def signed(bucket: Bucket, *, key_id: str, secret: str, region: str) -> Sign:
    """Return the signature for requests to the bucket, none without a key."""
    own = origin(bucket.url)
    signer = S3SigV4Auth(Credentials(key_id, secret), "s3", region) if key_id else None

    def sign(url: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        if signer is None or origin(url) != own:
            return {}
        request = AWSRequest(method="GET", url=url, headers=_signable(headers))
        signer.add_auth(request)
        return dict(request.headers.items())

    return sign


def explain(answer: requests.Response, name: str) -> AgnesError | None:
    """Say what the store's error means."""
    if answer.status_code == 412:
        return FileChangedError(f"{name} changed since it was listed.", retry_after=5)
    region = answer.headers.get("x-amz-bucket-region", "")
    if answer.status_code in (301, 307, 400) and region:
        return RemoteAnswerError(
            f"The bucket is in the region {region}.",
            hint=f"Set s3_region to {region} in the settings of the source.",
        )
    try:
        root = _xml(answer, _MAX_ERROR_BYTES)
    except UpstreamError:
        return None
    code = _text(root, "Code")[:60]
    if code in _DENIED:
        return RemoteDeniedError(f"The store does not let us read {name} ({code}).")
    if code in ("NoSuchBucket", "NoSuchKey"):
        what = "bucket of that name" if code == "NoSuchBucket" else name
        return RemoteFileMissingError(f"The store has no {what} ({code}).")
    return None


def _signable(headers: Mapping[str, str]) -> dict[str, str]:
    # What is not signed may be added on the way; these are enough.
    return {name: value for name, value in headers.items() if name.lower() == "if-match"}


def _xml(answer: requests.Response, limit: int) -> ElementTree.Element:
    with reaching(urlsplit(answer.url).hostname or ""):
        data = answer.raw.read(limit + 1, decode_content=True)
    if len(data) > limit:
        raise UpstreamError("The store's answer is too long.")
    try:
        # Expat refuses entities that grow, and reads nothing from elsewhere.
        return ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise UpstreamError("The store does not answer as S3 does.") from error


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _text(item: ElementTree.Element, name: str) -> str:
    return next((each.text or "" for each in item if _local(each.tag) == name), "")
