"""Sending stored files, and putting files into their places."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from agnes_site.core import storage
from agnes_site.core.files import StoredFile, serve
from agnes_site.core.storage import Layout

CONTENT = bytes(range(256)) * 10
SIZE = len(CONTENT)


@pytest.fixture
def file(tmp_path) -> StoredFile:
    return _stored(tmp_path / "file", CONTENT)


def _stored(path: Path, content: bytes) -> StoredFile:
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return StoredFile(path=path, location="aa/file", sha256=sha256, bytes=len(content))


def _request(method: str = "GET", **headers: str) -> HttpRequest:
    return RequestFactory().generic(method, "/x", headers=headers)


def _body(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


class TestServe:
    @given(first=st.integers(0, SIZE + 50), length=st.integers(1, SIZE + 50))
    def test_sends_exactly_the_bytes_asked_for(self, tmp_path_factory, first, length):
        file = _stored(tmp_path_factory.getbasetemp() / "window", CONTENT)

        response = serve(_request(Range=f"bytes={first}-{first + length - 1}"), file)

        wanted = CONTENT[first : first + length]
        assert response.status_code == (416 if first >= SIZE else 200 if wanted == CONTENT else 206)
        if wanted:
            assert _body(response) == wanted
            assert response["Content-Length"] == str(len(wanted))

    @pytest.mark.parametrize("tail", [1, 100, SIZE, SIZE + 1, 10**30])
    def test_sends_the_end_of_a_file(self, file, tail):
        assert _body(serve(_request(Range=f"bytes=-{tail}"), file)) == CONTENT[-min(tail, SIZE) :]

    @pytest.mark.parametrize("given_range", ["bytes=0-" + "9" * 40, "bytes=" + "0" * 40 + "-"])
    def test_takes_numbers_of_any_length(self, file, given_range):
        assert _body(serve(_request(Range=given_range), file)) == CONTENT

    @pytest.mark.parametrize(
        "given_range",
        ["", "bytes", "bytes=", "bytes=a-b", "bytes=1-2,5-6", "bytes=--1", "items=0-1", "bytes=٣-٤",
         "bytes=9-3"],
    )  # fmt: skip
    def test_sends_all_for_a_range_that_is_none(self, file, given_range):
        response = serve(_request(Range=given_range), file)

        assert (response.status_code, _body(response)) == (200, CONTENT)

    def test_sends_an_empty_file(self, tmp_path):
        empty = _stored(tmp_path / "empty", b"")

        response = serve(_request(), empty)

        assert (response.status_code, response["Content-Length"], _body(response)) == (
            200,
            "0",
            b"",
        )
        assert serve(_request(Range="bytes=0-0"), empty).status_code == 416

    @pytest.mark.parametrize(
        ("header", "status"),
        [("*", 304), ('"{etag}"', 304), ('"other", "{etag}"', 304), ('"other"', 200), ("", 200)],
    )
    def test_compares_what_the_client_has(self, file, header, status):
        request = _request(**{"If-None-Match": header.format(etag=file.sha256)})

        response = serve(request, file)

        assert response.status_code == status
        assert response["ETag"] == f'"{file.sha256}"'

    def test_never_joins_bytes_of_two_files(self, file):
        stale = _request(**{"Range": "bytes=5-9", "If-Range": '"another"'})
        weak = _request(**{"Range": "bytes=5-9", "If-Range": f'W/"{file.sha256}"'})

        assert [serve(request, file).status_code for request in (stale, weak)] == [200, 200]

    @pytest.mark.parametrize("given_range", ["bytes=0-0", ""])
    def test_answers_head_without_opening_the_file(self, file, given_range):
        response = serve(_request("HEAD", Range=given_range), file)

        assert not response.streaming
        assert response["Content-Length"] == ("1" if given_range else str(SIZE))
        assert response["Accept-Ranges"] == "bytes"

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_says_so_when_the_file_is_gone(self, file, method):
        file.path.unlink()

        with pytest.raises(FileNotFoundError):
            serve(_request(method), file)

    @pytest.mark.django_db
    def test_closes_the_file_when_the_client_leaves(self, file):
        response = serve(_request(), file)
        opened = response.file_to_stream
        next(iter(response.streaming_content))

        response.close()

        with pytest.raises(ValueError, match="closed"):
            opened.read(1)


class TestWritePrivate:
    def test_writes_for_its_owner_only_and_leaves_nothing_beside(self, tmp_path):
        path = tmp_path / "key"

        storage.write_private(path, b"one")
        storage.write_private(path, b"two")

        assert path.read_bytes() == b"two"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]


class TestLayout:
    def test_keeps_secrets_for_their_owner(self, tmp_path):
        layout = Layout(root=tmp_path / "data", state=tmp_path / "data" / "state")

        layout.create()
        layout.create()

        assert stat.S_IMODE(layout.state.stat().st_mode) == 0o700
        assert layout.stored("ab" + "c" * 62) == layout.store / "ab" / (
            "ab" + "c" * 62 + ".parquet"
        )
