"""Caches that only help: what they cannot remember is made again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.core.cache.backends import filebased
from django.core.cache.backends import redis as redis_backend
from django.core.cache.backends.base import BaseCache

logger = logging.getLogger(__name__)
_WAIT_SECONDS, _REST_SECONDS = 2, 10


class ForgetfulCache(BaseCache):
    """Knows nothing where its server is gone or its disk is full, instead of failing the caller.

    Limits of tries at signing in are counted here as well: they rest until it works again.
    """

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return what is known, else ``default``."""
        with self._trouble_told():
            return super().get(key, default, version)
        return default

    def add(self, *args: Any, **options: Any) -> bool:
        """Remember something that is not known yet; say whether it was new."""
        with self._trouble_told():
            return super().add(*args, **options)
        return True

    def set(self, *args: Any, **options: Any) -> None:
        """Remember something."""
        with self._trouble_told():
            super().set(*args, **options)

    def delete(self, *args: Any, **options: Any) -> bool:
        """Forget something; say whether it was known."""
        with self._trouble_told():
            return super().delete(*args, **options)
        return False

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        try:
            yield
        except RestingError:
            return
        except (redis.RedisError, OSError) as error:
            logger.warning("The cache does not work", exc_info=True)
            self._on_trouble(error)

    def _on_trouble(self, error: Exception) -> None:
        """Do what helps for the next time."""


class RestingError(redis.RedisError):
    """Redis did not answer a moment ago."""


class RestingClient(redis_backend.RedisCacheClient):
    """Django's; a server that hangs is left alone for a while, since each question takes long."""

    _rests_until = 0.0

    def __init__(self, servers: list[str]) -> None:
        wait: dict[str, Any] = {
            "socket_connect_timeout": _WAIT_SECONDS, "socket_timeout": _WAIT_SECONDS,
        }  # fmt: skip
        super().__init__(servers, **wait)

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        """Return a client.

        Raises:
            RestingError: the server is left alone.
        """
        if time.monotonic() < self._rests_until:
            raise RestingError
        return super().get_client(key, write=write)

    def rest(self) -> None:
        """Leave the server alone for a while."""
        self._rests_until = time.monotonic() + _REST_SECONDS


class RedisCache(ForgetfulCache, redis_backend.RedisCache):
    """In Redis."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._client = RestingClient([server])

    @property
    def _cache(self) -> RestingClient:
        return self._client

    def _on_trouble(self, error: Exception) -> None:
        if isinstance(error, redis.TimeoutError):
            self._client.rest()


class FileBasedCache(ForgetfulCache, filebased.FileBasedCache):
    """In a folder."""
