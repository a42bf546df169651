"""Caches that only help: what they cannot remember is made again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from django.core.cache.backends import filebased
from django.core.cache.backends import redis as redis_backend
from django.core.cache.backends.base import BaseCache

logger = logging.getLogger(__name__)


class ForgetfulCache(BaseCache):
    """Knows nothing where its server is gone or its disk is full, instead of failing the caller.

    Limits of tries at signing in are counted here as well: they rest until it works again.
    """

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """Return what is known, else ``default``."""
        with _trouble_told():
            return super().get(key, default, version)
        return default

    def add(self, *args: Any, **options: Any) -> bool:
        """Remember something that is not known yet; say whether it was new."""
        with _trouble_told():
            return super().add(*args, **options)
        return True

    def set(self, *args: Any, **options: Any) -> None:
        """Remember something."""
        with _trouble_told():
            super().set(*args, **options)

    def delete(self, *args: Any, **options: Any) -> bool:
        """Forget something; say whether it was known."""
        with _trouble_told():
            return super().delete(*args, **options)
        return False


class RedisCache(ForgetfulCache, redis_backend.RedisCache):
    """In Redis."""


class FileBasedCache(ForgetfulCache, filebased.FileBasedCache):
    """In a folder."""


@contextmanager
def _trouble_told() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError):
        logger.warning("The cache does not work", exc_info=True)
