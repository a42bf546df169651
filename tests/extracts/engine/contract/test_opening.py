from __future__ import annotations

import os
import struct

import duckdb
import pytest

from extracts.engine.contract import (
    ExtractBusyError,
    ExtractDamagedError,
    ExtractVersionUnsupportedError,
    read_extract,
)
from tests.extracts.engine.contract.folders import META, meta_row


class TestOpening:
    @pytest.mark.parametrize("content", [b"", b"not a database", b"\0" * 20_000])
    def test_refuses_what_is_no_database(self, foreign, content):
        path = foreign(META)
        path.write_bytes(content)

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    def test_refuses_a_file_that_is_cut_off(self, foreign):
        path = foreign(META, "CREATE TABLE t AS SELECT 1 AS a", meta_row("t"))
        path.write_bytes(path.read_bytes()[:6000])

        with pytest.raises(ExtractDamagedError):
            read_extract(path)

    @pytest.mark.hostile(20)
    def test_refuses_a_missing_file_and_a_link(self, foreign, tmp_path):
        path = foreign(META)
        (tmp_path / "link.duckdb").symlink_to(path)

        with pytest.raises(ExtractDamagedError):
            read_extract(tmp_path / "missing.duckdb")
        with pytest.raises(ExtractDamagedError):
            read_extract(tmp_path / "link.duckdb")

    @pytest.mark.hostile(48)
    def test_tells_a_newer_storage_format_from_damage(self, foreign):
        path = foreign(META)
        path.write_bytes(of_storage_version(path.read_bytes(), 99))

        with pytest.raises(ExtractVersionUnsupportedError) as raised:
            read_extract(path)

        assert raised.value.details["storage_version"] == 99

    def test_asks_to_come_back_while_the_producer_writes(self, foreign):
        path = foreign(META)
        ready, done = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            connection = duckdb.connect(path)
            os.write(ready[1], b"x")
            os.read(done[0], 1)
            connection.close()
            os._exit(0)
        os.read(ready[0], 1)

        try:
            with pytest.raises(ExtractBusyError):
                read_extract(path)
        finally:
            os.write(done[1], b"x")
            os.waitpid(pid, 0)
            for descriptor in (*ready, *done):
                os.close(descriptor)


def of_storage_version(content, version):
    """Return a database file as a DuckDB with another storage version would head it."""
    head = bytearray(content[:4096])
    head[12:20] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", head[8:]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    head[:8] = struct.pack("<Q", checksum)
    return bytes(head) + content[4096:]
