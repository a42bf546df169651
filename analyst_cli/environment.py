"""The environment of the process: the one module that reads it."""

from __future__ import annotations

import os
import sys


def server() -> str:
    """Return the server named by ``AGNES_SERVER``, or an empty text."""
    return _text("AGNES_SERVER")


def token() -> str:
    """Return the token in ``AGNES_TOKEN``, or an empty text."""
    return _text("AGNES_TOKEN")


def config_dir() -> str:
    """Return the folder named by ``AGNES_CONFIG_DIR``, or an empty text."""
    return _text("AGNES_CONFIG_DIR")


def workspace() -> str:
    """Return the workspace named by ``AGNES_LOCAL_DIR``, or an empty text."""
    return _text("AGNES_LOCAL_DIR")


def failpoint() -> str:
    """Return the name of the failpoint that a test has armed, or an empty text."""
    return _text("AGNES_FAILPOINT")


def pull_parallelism() -> int:
    """Return how many files are downloaded at the same time."""
    return _number("AGNES_PULL_PARALLELISM", default=4, least=1, most=16)


def download_retries() -> int:
    """Return how often a download is tried again before it counts as failed."""
    return _number("AGNES_STREAM_RETRIES", default=3, least=0, most=20)


def lock_timeout_seconds() -> int:
    """Return how long a pull waits for another one in the same workspace."""
    return _number("AGNES_LOCK_TIMEOUT", default=600, least=0, most=86_400)


def has_proxy(*, scheme: str, host: str) -> bool:
    """Say whether requests to ``host`` may have to go through a proxy."""
    if host == "localhost" or host == "::1" or host.startswith("127."):
        return False
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    if any(_text(name) for name in names):
        return not _is_exempt(host)
    if sys.platform in ("darwin", "win32"):  # these keep proxies outside the environment
        from urllib.request import getproxies

        return scheme in getproxies()
    return False


def ca_bundle() -> str:
    """Return the file of certificate authorities that is named for ``requests``, or nothing."""
    return _text("REQUESTS_CA_BUNDLE") or _text("CURL_CA_BUNDLE")


def _is_exempt(host: str) -> bool:
    exempt = _text("no_proxy") or _text("NO_PROXY")
    endings = [name.strip().lstrip(".") for name in exempt.split(",")]
    return any(name and (host == name or host.endswith(f".{name}")) for name in endings)


def _text(name: str) -> str:
    return os.environ.get(name, "").strip()


def _number(name: str, *, default: int, least: int, most: int) -> int:
    try:
        return min(max(int(_text(name)), least), most)
    except ValueError:
        return default
