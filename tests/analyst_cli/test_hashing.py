"""The hash of a download is that of its bytes, on whichever thread it is made."""

from __future__ import annotations

import hashlib
import threading

import pytest

from analyst_cli.pull.hashing import Hasher

_CHUNK_BYTES = 1024


def _hash(content: bytes, *, announced: int) -> tuple[str, set[str]]:
    threads: set[str] = set()

    class Noting:
        """A SHA-256 that notes which threads add to it."""

        def __init__(self) -> None:
            self.hash = hashlib.sha256()

        def update(self, data: memoryview) -> None:
            threads.add(threading.current_thread().name)
            self.hash.update(data)

    noting = Noting()
    with Hasher(chunk_bytes=_CHUNK_BYTES) as hasher:
        hasher.begin(size_bytes=announced)
        for start in range(0, len(content), _CHUNK_BYTES):
            chunk = content[start : start + _CHUNK_BYTES]
            buffer = hasher.borrow()
            buffer[: len(chunk)] = chunk
            hasher.update(noting, buffer, len(chunk))
        hasher.wait()
    return noting.hash.hexdigest(), threads


class TestHasher:
    @pytest.mark.parametrize("size", [1, 16 * _CHUNK_BYTES, 16 * _CHUNK_BYTES + 1, 50_000])
    def test_hashes_all_bytes_in_their_order(self, size):
        content = bytes(number % 251 for number in range(size))

        found, _ = _hash(content, announced=size)

        assert found == hashlib.sha256(content).hexdigest()

    def test_hashes_a_large_file_beside_its_download(self):
        _, threads = _hash(bytes(50_000), announced=50_000)

        assert threads
        assert threading.current_thread().name not in threads

    def test_hashes_a_small_file_at_once(self):
        _, threads = _hash(bytes(3_000), announced=3_000)

        assert threads == {threading.current_thread().name}

    def test_takes_a_file_of_unknown_size_for_a_large_one(self):
        found, threads = _hash(bytes(3_000), announced=0)

        assert found == hashlib.sha256(bytes(3_000)).hexdigest()
        assert threading.current_thread().name not in threads
