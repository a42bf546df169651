"""What can be set for a source of files: where they are, and who asks for them."""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from catalog.connectors import Settings
from extracts.connectors.reach.hosts import UrlRefusedError, checked_url
from extracts.connectors.reach.paths import AbsolutePath

_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\x00-\x1f]*)?\Z")


# What few need stands folded away in forms.
_WEB: JsonDict = {"group": "Files on the web", "more": True}
_S3: JsonDict = {"group": "Files in S3", "more": True}


class FilesConfig(Settings):
    """Where files are: a folder of the server, addresses of the web, or a bucket."""

    folder: AbsolutePath | None = Field(
        default=None,
        description="Folder on the server, below those that it may read (AGNES_FILES_ROOTS); "
        "nothing outside of it is read. Or give addresses instead.",
    )
    urls: tuple[str, ...] = Field(
        default=(),
        title="Addresses",
        max_length=1000,
        description="Addresses instead of a folder: https://host/orders.csv, https://host/exports/ "
        "with names of tables below it, or s3://bucket/prefix/. Hosts have to be allowed "
        "(AGNES_FILES_HOSTS).",
    )
    user: str = Field(
        default="",
        max_length=200,
        description="Web: name to sign in with.",
        json_schema_extra=_WEB,
    )
    ca_file: AbsolutePath | None = Field(
        default=None,
        description="Certificate file on the server of the authority that signs the host's own.",
        json_schema_extra=_WEB,
    )
    s3_endpoint: str = Field(
        default="",
        max_length=500,
        description="S3: address of the service, such as https://minio.example.com; Amazon's if "
        "not given.",
        json_schema_extra=_S3,
    )
    s3_region: str = Field(
        default="us-east-1",
        pattern=r"^[a-z0-9-]{1,40}$",
        description="S3: region of the bucket.",
        json_schema_extra=_S3,
    )
    s3_access_key_id: str = Field(
        default="",
        max_length=200,
        pattern=r"^[!-~]*$",
        description="S3: id of the key; empty for a public bucket.",
        json_schema_extra=_S3,
    )
    s3_path_style: bool | None = Field(
        default=None,
        description="S3: the bucket stands in the path of addresses and not in the host name.",
        json_schema_extra=_S3,
    )
    max_megabytes: int = Field(
        default=10_240,
        ge=1,
        le=1_000_000,
        description="Largest file that is fetched, in MB.",
        json_schema_extra={"more": True},
    )

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if (self.folder is None) == (not self.urls):
            raise ValueError("give either a folder or addresses")
        schemes = {url.partition("://")[0] for url in self.urls}
        if "s3" in schemes and len(self.urls) > 1:
            raise ValueError("give one s3:// address for a source, and no others beside it")
        if sum(urlsplit(url).path.endswith("/") for url in self.urls) > 1:
            raise ValueError("give one address that ends with / for a source")
        return self

    @field_validator("urls")
    @classmethod
    def _can_be_fetched(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if url.startswith("s3://"):
                if not _BUCKET.match(url):
                    raise ValueError("write a bucket as s3://bucket/prefix/")
                continue
            try:
                checked_url(url)
            except UrlRefusedError as error:
                raise ValueError(f"{error.message} {error.hint}") from None
        return urls

    @field_validator("s3_endpoint")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url:
            try:
                checked_url(url)
            except UrlRefusedError as error:
                raise ValueError(f"{error.message} {error.hint}") from None
        return url
