"""The location that the settings of a source mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from catalog.connectors import Reach
from extracts.connectors.files.locations import http, s3
from extracts.connectors.files.locations.download import Downloads, Explain, unexplained
from extracts.connectors.files.locations.http import HttpLocation
from extracts.connectors.files.locations.local import LocalLocation
from extracts.connectors.files.locations.location import Location
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.reach.paths import allowed_path
from extracts.connectors.reach.web import Sign, Web


def location_of(
    config: FilesConfig,
    secrets: Mapping[str, str],
    reach: Reach,
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> Location:
    """Return where the files of a source are.

    Raises:
        AgnesError: its folder or host may not be reached.
    """
    if config.folder is not None:
        return LocalLocation(config.folder, reach, now_ns=now_ns)
    if config.urls[0].startswith("s3://"):
        bucket = s3.bucket_of(
            config.urls[0],
            endpoint=config.s3_endpoint,
            region=config.s3_region,
            is_path_style=bool(config.s3_endpoint)
            if config.s3_path_style is None
            else config.s3_path_style,
        )
        sign = s3.signed(
            bucket,
            key_id=config.s3_access_key_id,
            secret=secrets.get("s3_secret_access_key", ""),
            region=config.s3_region,
        )
        return s3.S3Location(bucket, _downloads(config, reach, sign, s3.explain))
    sign = http.signed_in(
        config.urls,
        user=config.user,
        password=secrets.get("password", ""),
        token=secrets.get("token", ""),
    )
    return HttpLocation(config.urls, _downloads(config, reach, sign))


def _downloads(
    config: FilesConfig, reach: Reach, sign: Sign, explain: Explain = unexplained
) -> Downloads:
    ca_file = allowed_path(config.ca_file, reach) if config.ca_file else None
    web = Web(reach, sign=sign, ca_file=ca_file)
    return Downloads(web=web, max_bytes=config.max_megabytes * 1024**2, explain=explain)
