"""A network that lies: never a wrong file, always a reason, and the good copy goes on answering."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.analyst_cli import agnes_server
from tests.analyst_cli.agnes_server import AgnesServer
from tests.fakes import lying_proxy as lies
from tests.fakes.lying_proxy import DOWNLOAD, MANIFEST, LyingProxy

pytestmark = pytest.mark.hostile(43, 47)

UNREACHABLE = "server_unreachable"
NOT_PARQUET = "not_a_parquet_file"
DAMAGED = "hash_mismatch"

# What the client says of a download that goes wrong in this way.
DOWNLOADS = [
    (lies.cut, UNREACHABLE),
    (lies.reset, UNREACHABLE),
    (lies.reset_in_headers, UNREACHABLE),
    (lies.end_in_headers, UNREACHABLE),
    (lies.nothing, UNREACHABLE),
    (lies.silence, UNREACHABLE),
    (lies.garbage, UNREACHABLE),
    (lies.chunks_cut, UNREACHABLE),
    (lies.short, UNREACHABLE),
    (lies.long, DAMAGED),
    (lies.length_too_small, UNREACHABLE),
    (lies.no_length, UNREACHABLE),
    (lies.empty, UNREACHABLE),
    (lies.flipped, DAMAGED),
    (lies.html, NOT_PARQUET),
    (lies.html_as_is, NOT_PARQUET),
    (lies.other_table, {DAMAGED, UNREACHABLE}),
    (lies.older, {DAMAGED, UNREACHABLE}),
    (lies.gzip, NOT_PARQUET),
    (lies.gzip_unsaid, NOT_PARQUET),
    (lies.part_unasked, UNREACHABLE),
    (lies.part_of_nothing, UNREACHABLE),
    (lies.not_modified, NOT_PARQUET),
    (lies.no_content, NOT_PARQUET),
    (lies.odd_status, NOT_PARQUET),
    (lies.bad_gateway, "http_502"),
    (lies.wants_password, "http_407"),
    (lies.redirect_elsewhere, {DAMAGED, UNREACHABLE}),
    (lies.redirect_in_circles, "bad_redirect"),
    (lies.redirect_to_a_file, "bad_redirect"),
]

# Those that leave no trace in a manifest are not here: what is not signed can be old.
MANIFESTS = [
    lies.cut,
    lies.reset,
    lies.reset_in_headers,
    lies.end_in_headers,
    lies.nothing,
    lies.silence,
    lies.garbage,
    lies.chunks_cut,
    lies.short,
    lies.long,
    lies.length_too_small,
    lies.length_too_large,
    lies.no_length,
    lies.empty,
    lies.html,
    lies.html_as_is,
    lies.other_table,
    lies.gzip,
    lies.gzip_unsaid,
    lies.part_unasked,
    lies.part_of_nothing,
    lies.no_content,
    lies.odd_status,
    lies.bad_gateway,
    lies.wants_password,
    lies.redirect_elsewhere,
    lies.redirect_in_circles,
    lies.redirect_to_a_file,
]


def name_of(value: object) -> str | None:
    """Return how a fault is called in the name of its test."""
    return getattr(value, "__name__", None)


@pytest.fixture(params=["direct", "requests"])
def transport(request, monkeypatch) -> None:
    """Both ways of sending requests, with little patience where no answer comes."""
    if request.param == "requests":
        monkeypatch.setattr("analyst_cli.transport._needs_requests", lambda parts: True)
    if request.node.callspec.params.get("fault") is lies.silence:
        for module in ("direct", "full"):
            monkeypatch.setattr(f"analyst_cli.transport.{module}.READ_TIMEOUT_SECONDS", 2)


@pytest.fixture
def proxy(server: AgnesServer, config: Path, workspace: Path, monkeypatch) -> Iterator[LyingProxy]:
    """A proxy in front of the server, which the client takes for the server."""
    monkeypatch.setenv("AGNES_TOKEN", agnes_server.TOKEN)
    monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
    with lies.between(server.url) as proxy:
        monkeypatch.setenv("AGNES_SERVER", proxy.url)
        yield proxy


@pytest.fixture
def elsewhere(proxy: LyingProxy, server: AgnesServer, tmp_path: Path) -> Iterator[AgnesServer]:
    """Another host, which gives anybody other rows under the same names."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other, listener = agnes_server.start(folder)
    other.token = None
    other.publish("orders", "SELECT 'wrong' AS state, 'x' AS more")
    other.publish("orders", "SELECT 'wrong' AS state")
    yield other
    listener.shutdown()
    listener.server_close()


@pytest.fixture
def good_copy(agnes, proxy, server: AgnesServer, workspace: Path) -> Callable[[], None]:
    """A first version on the laptop and a second one at the server; check that the first stays."""
    server.publish("orders", "SELECT 'first' AS state FROM range(5000) t(i)")
    assert agnes("pull").exit_code == 0
    content = server.tables["orders"].parts[0].content
    server.publish("orders", "SELECT 'second' AS state, i AS id FROM range(6000) t(i)")

    def check() -> None:
        assert (workspace / "server" / "parquet" / "orders.parquet").read_bytes() == content
        asked = agnes("query", "SELECT DISTINCT state FROM orders", "--json")
        assert asked.exit_code == 0, asked.output
        assert json.loads(asked.stdout) == [{"state": "first"}]

    return check


@pytest.fixture
def whole_again(agnes, proxy, server: AgnesServer, workspace: Path) -> Callable[[], None]:
    """Check that one pull is enough once nobody lies any more."""

    def check() -> None:
        proxy.be_honest()
        result = agnes("pull", "--json")
        assert result.exit_code == 0, result.output
        stored = workspace / "server" / "parquet" / "orders.parquet"
        assert stored.read_bytes() == server.tables["orders"].parts[0].content
        asked = agnes("query", "SELECT state, count(*) AS n FROM orders GROUP BY 1", "--json")
        assert json.loads(asked.stdout) == [{"state": "second", "n": 6000}]
        assert not (workspace / "server" / "parquet" / ".staging").exists()

    return check


@pytest.mark.usefixtures("transport")
class TestLie:
    @pytest.mark.parametrize(("fault", "code"), DOWNLOADS, ids=name_of)
    def test_about_a_file_is_named_and_does_no_harm(
        self, agnes, proxy, elsewhere, server, good_copy, whole_again, fault, code
    ):
        proxy.elsewhere = (
            f"{elsewhere.url}/api/data/orders/download?version=2"
            if fault is lies.redirect_elsewhere
            else "/api/data/customers/download"
        )
        proxy.lie(f"/orders{DOWNLOAD}", fault)

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        (error,) = json.loads(result.stdout)["errors"]
        assert error["table"] == "orders"
        assert error["code"] in ({code} if isinstance(code, str) else code)
        assert error["message"]
        assert error["hint"]
        good_copy()
        assert not [seen for seen in elsewhere.seen if "Authorization" in seen.headers]
        whole_again()

    @pytest.mark.parametrize("fault", MANIFESTS, ids=name_of)
    def test_about_the_manifest_is_named_and_does_no_harm(
        self, agnes, proxy, elsewhere, good_copy, whole_again, fault
    ):
        proxy.elsewhere = (
            f"{elsewhere.url}{MANIFEST}"
            if fault is lies.redirect_elsewhere
            else "/api/data/customers/download"
        )
        proxy.lie(MANIFEST, fault)

        result = agnes("pull", "--json")

        assert result.exit_code in (1, 5)
        assert result.stderr.startswith("Error: ")
        assert "\nhint: " in result.stderr
        assert "unexpected" not in result.stderr
        good_copy()
        assert elsewhere.seen == []
        whole_again()

    @pytest.mark.parametrize("fault", [lies.dribbled, lies.chunked], ids=name_of)
    @pytest.mark.parametrize("about", [MANIFEST, DOWNLOAD], ids=["manifest", "download"])
    def test_of_nobody_is_no_reason_to_fail(
        self, agnes, proxy, good_copy, whole_again, fault, about
    ):
        good_copy()
        proxy.lie(about, fault)

        assert agnes("pull").exit_code == 0

        whole_again()


# What a network can do to the rest of a file of which the first half has come already.
RANGES = [
    lies.ignored_range,
    lies.whole_as_range,
    lies.other_range,
    lies.gzip,
    lies.other_content,
    lies.no_range_there,
    lies.flipped,
    lies.cut,
]


class TestLieAboutARange:
    @pytest.mark.parametrize("fault", RANGES, ids=name_of)
    def test_costs_a_second_try_at_most(
        self, agnes, proxy, server, good_copy, whole_again, fault, monkeypatch
    ):
        proxy.elsewhere = "/api/data/customers/download"
        proxy.lie(f"/orders{DOWNLOAD}", lies.cut)
        assert agnes("pull").exit_code == 1
        good_copy()
        proxy.lie(f"/orders{DOWNLOAD}", lies.on_ranges(fault))

        results = [agnes("pull", "--json") for _ in range(2)]

        asked = [headers["Range"] for path, headers in proxy.seen if "Range" in headers]
        assert asked, "nothing was continued"
        for result in results:
            for error in json.loads(result.stdout)["errors"]:
                assert error["message"]
                assert error["hint"]
        if fault is not lies.cut:  # each time half of the rest comes
            assert results[-1].exit_code == 0, results[-1].output
        whole_again()


class TestDamageThatComesBack:
    @pytest.fixture(autouse=True)
    def _patience(self, proxy, monkeypatch):
        monkeypatch.setenv("AGNES_STREAM_RETRIES", "1")

    def test_once_is_healed_by_a_second_try(self, agnes, proxy, server, good_copy, whole_again):
        proxy.lie(f"/orders{DOWNLOAD}", lies.once(lies.flipped))

        assert agnes("pull").exit_code == 0

        assert server.reports == []
        whole_again()

    def test_twice_is_reported_to_the_server(self, agnes, proxy, server, good_copy, whole_again):
        proxy.lie(f"/orders{DOWNLOAD}", lies.flipped)

        result = agnes("pull")

        wanted = server.tables["orders"].parts[0]
        bad = bytearray(wanted.content)
        bad[len(bad) // 2] ^= 1
        found = hashlib.sha256(bad).hexdigest()
        assert server.reports == [("orders", {"sha256": wanted.sha256, "found": found})]
        assert result.exit_code == 1
        assert "The server was told, and checks its file of 'orders'." in result.stderr
        good_copy()
        whole_again()

    def test_is_an_error_also_where_nobody_listens(self, agnes, proxy, server, good_copy):
        server.takes_reports = False
        proxy.lie(f"/orders{DOWNLOAD}", lies.flipped)

        result = agnes("pull")

        assert result.exit_code == 1
        assert "The server could not be told of it" in result.stderr
        good_copy()

    def test_is_told_to_no_other_host(self, agnes, proxy, server, good_copy, elsewhere):
        proxy.elsewhere = f"{elsewhere.url}/api/data/orders/report"
        proxy.lie(f"/orders{DOWNLOAD}", lies.flipped)
        proxy.lie("/orders/report", lies.redirect_elsewhere)

        result = agnes("pull")

        assert "redirects what is sent to it" in result.stderr
        assert elsewhere.seen == []


class TestManifestOfSomebodyElse:
    def test_brings_nothing_that_is_not_ours(self, agnes, rows, proxy, server, good_copy):
        """The manifest lists a table that the server does not give to this caller."""
        server.manifest_changes["theirs"] = lambda tables: tables.update(
            {"salaries": tables["customers"]}
        )

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        (error,) = json.loads(result.stdout)["errors"]
        assert (error["table"], error["code"]) == ("salaries", "table_not_found")
        assert rows("SHOW TABLES") == [("customers",), ("orders",)]

    def test_does_not_hide_that_nothing_was_asked_for_yet(self, agnes, proxy):
        proxy.lie(MANIFEST, lies.not_modified)

        result = agnes("pull")

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert "unexpected" not in result.stderr
        assert "\nhint: " in result.stderr


class TestProxyOfTheEnvironment:
    @pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
    def test_is_used(self, agnes, rows, proxy, monkeypatch, variable):
        """The name of the server is known to nobody but the proxy."""
        monkeypatch.setenv("AGNES_SERVER", "http://agnes.invalid")
        monkeypatch.setenv(variable, proxy.url)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]
        assert {path.partition("/api")[0] for path, _ in proxy.seen} == {"http://agnes.invalid"}

    def test_that_is_a_captive_portal_is_named(self, agnes, proxy, monkeypatch):
        monkeypatch.setenv("AGNES_SERVER", "http://agnes.invalid")
        monkeypatch.setenv("http_proxy", proxy.url)
        proxy.lie(MANIFEST, lies.html)

        result = agnes("pull")

        assert result.exit_code == 1
        assert "does not answer like an Agnes server" in result.stderr
        assert "captive portal" in result.stderr
