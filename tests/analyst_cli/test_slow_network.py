"""Addresses that never answer, and links that are slow: progress is waited for, silence is not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from tests.analyst_cli import agnes_server
from tests.analyst_cli.agnes_server import AgnesServer
from tests.fakes import lying_proxy as lies
from tests.fakes.lying_proxy import DOWNLOAD, MANIFEST, LyingProxy

pytestmark = pytest.mark.hostile(47)


@pytest.fixture(params=["direct", "requests"], autouse=True)
def _transport(request, config, workspace, monkeypatch) -> None:
    """Both ways of sending requests, with little patience."""
    monkeypatch.setenv("AGNES_TOKEN", agnes_server.TOKEN)
    monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
    if request.param == "requests":
        monkeypatch.setattr("analyst_cli.transport._needs_requests", lambda parts: True)
    for module in ("direct", "full"):
        monkeypatch.setattr(f"analyst_cli.transport.{module}.READ_TIMEOUT_SECONDS", 2)
        monkeypatch.setattr(f"analyst_cli.transport.{module}.CONNECT_TIMEOUT_SECONDS", 1)


@pytest.fixture
def black_hole() -> Iterator[socket.socket]:
    """An address whose queue is full, so that whoever knocks hears nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        knocking = stack.enter_context(closing(socket.socket()))
        knocking.settimeout(1)
        with pytest.raises(TimeoutError):
            knocking.connect(listener.getsockname())
        yield listener


class TestAddressThatNeverAnswers:
    def test_is_named(self, agnes, black_hole, monkeypatch):
        monkeypatch.setenv("AGNES_SERVER", f"http://127.0.0.1:{black_hole.getsockname()[1]}")

        result = agnes("pull")

        assert result.exit_code == 1
        assert "did not answer in time" in result.stderr
        assert "\nhint: " in result.stderr

    def test_is_given_up_for_another_one_of_the_same_name(
        self, agnes, rows, server: AgnesServer, black_hole, monkeypatch
    ):
        """As where IPv6 leads nowhere: its address comes first, that of IPv4 answers."""
        answering = ("127.0.0.1", urlsplit(server.url).port)
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address)
            for address in (black_hole.getsockname(), answering)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        monkeypatch.setenv("AGNES_SERVER", "http://agnes.invalid")

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]


class TestSlowLink:
    @pytest.fixture
    def proxy(self, server: AgnesServer, monkeypatch) -> Iterator[LyingProxy]:
        with lies.between(server.url) as proxy:
            monkeypatch.setenv("AGNES_SERVER", proxy.url)
            yield proxy

    @pytest.mark.parametrize("about", [MANIFEST, f"/orders{DOWNLOAD}"], ids=["manifest", "file"])
    def test_is_waited_for_as_long_as_something_comes(self, agnes, rows, proxy, about):
        """The whole takes twice the time for which silence is borne."""
        proxy.lie(about, lies.trickled)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]

    @pytest.mark.parametrize("fault", [lies.mute, lies.silence])
    @pytest.mark.parametrize("about", [MANIFEST, f"/orders{DOWNLOAD}"], ids=["manifest", "file"])
    def test_on_which_nothing_comes_any_more_is_named(self, agnes, rows, proxy, about, fault):
        proxy.lie(about, fault)

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        told = (
            result.stderr
            if about == MANIFEST
            else json.loads(result.stdout)["errors"][0]["message"]
        )
        assert "did not answer in time" in told
        proxy.be_honest()
        assert agnes("pull").exit_code == 0
        assert rows("SELECT count(*) FROM orders") == [(3,)]
