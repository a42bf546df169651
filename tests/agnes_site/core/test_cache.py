"""A cache that does not work fails nobody."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from agnes_site.core.cache import FileBasedCache, RedisCache
from tests.ports import free_port


@pytest.fixture(params=["redis", "files"])
def broken(request, tmp_path):
    """A cache whose server is gone, or whose folder cannot be made."""
    if request.param == "redis":
        return RedisCache(f"redis://127.0.0.1:{free_port()}", {})
    folder = tmp_path / "cache"
    cache = FileBasedCache(str(folder), {})
    folder.rmdir()
    folder.touch()
    return cache


def test_knows_nothing_and_takes_everything(broken):
    broken.set("key", 1)

    assert broken.get("key") is None
    assert broken.get("key", 7) == 7
    assert broken.add("key", 1) is True
    assert broken.delete("key") is False
    assert broken.get_or_set("key", lambda: 3, 60) == 3


def test_that_works_remembers(tmp_path):
    cache = FileBasedCache(str(tmp_path), {})
    cache.set("key", 1)

    assert cache.get("key") == 1


def test_asks_a_server_that_hangs_once_and_not_each_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = RedisCache(f"redis://127.0.0.1:{silent.getsockname()[1]}", {})

        assert [cache.get(f"key-{number}", number) for number in range(5)] == [0, 1, 2, 3, 4]

        silent.setblocking(False)
        asked = []
        with suppress(BlockingIOError):
            while True:
                asked.append(silent.accept()[0])
        assert len(asked) == 1
        asked[0].close()
