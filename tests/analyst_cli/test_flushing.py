"""A file reaches the disk while it still grows, and no failure of that is forgotten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyst_cli.pull.flushing import Flusher

_MANY_BYTES = 64 << 20


@pytest.fixture
def descriptor() -> Iterator[int]:
    """What cannot be brought to a disk: the end of a pipe, in the place of a file."""
    reading, writing = os.pipe()
    yield writing
    os.close(reading)
    os.close(writing)


def _heal(descriptor: int, path: Path) -> None:
    with path.open("wb") as file:
        os.dup2(file.fileno(), descriptor)


class TestFlusher:
    def test_remembers_that_an_earlier_write_failed(self, descriptor, tmp_path):
        flusher = Flusher(descriptor)
        flusher.note(_MANY_BYTES)
        flusher.wait()
        _heal(descriptor, tmp_path / "file")

        with pytest.raises(OSError, match="Invalid argument"):
            flusher.finish()

    def test_leaves_a_small_file_to_its_end(self, descriptor, tmp_path):
        flusher = Flusher(descriptor)
        flusher.note(_MANY_BYTES - 1)
        flusher.wait()
        _heal(descriptor, tmp_path / "file")

        flusher.finish()

    def test_brings_what_is_left_to_the_disk(self, descriptor):
        flusher = Flusher(descriptor)

        with pytest.raises(OSError, match="Invalid argument"):
            flusher.finish()
