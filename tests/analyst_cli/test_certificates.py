"""TLS of a company: its own CA, a proxy that looks inside, and what is wrong with certificates."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from tests.analyst_cli import agnes_server
from tests.analyst_cli.agnes_server import AgnesServer
from tests.fakes import inspecting_proxy
from tests.fakes.inspecting_proxy import InspectingProxy

pytestmark = pytest.mark.hostile(47)


@pytest.fixture(scope="session")
def company() -> trustme.CA:
    """A certificate authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def ca_file(company, tmp_path: Path) -> Path:
    """The file of that authority."""
    path = tmp_path / "company.pem"
    company.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(autouse=True)
def _settings(config: Path, workspace: Path, monkeypatch) -> None:
    monkeypatch.setenv("AGNES_TOKEN", agnes_server.TOKEN)
    monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def proxy(server: AgnesServer, company, monkeypatch) -> Iterator[InspectingProxy]:
    """A proxy that looks inside, before a server that only it can find."""
    with inspecting_proxy.before(server.url, company) as proxy:
        monkeypatch.setenv("AGNES_SERVER", "https://agnes.invalid")
        monkeypatch.setenv("https_proxy", proxy.url)
        yield proxy


@pytest.fixture
def over_tls(tmp_path: Path, monkeypatch) -> Iterator[Callable[[trustme.LeafCert], AgnesServer]]:
    """Start a server of one table under a certificate, and set it as the one to ask."""
    listeners = []

    def start(certificate: trustme.LeafCert) -> AgnesServer:
        folder = tmp_path / "secure"
        folder.mkdir()
        agnes, listener = agnes_server.start(folder)
        listeners.append(listener)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        agnes.publish("orders", "SELECT i AS id FROM range(3) t(i)")
        monkeypatch.setenv("AGNES_SERVER", f"https://127.0.0.1:{urlsplit(agnes.url).port}")
        return agnes

    yield start
    for listener in listeners:
        listener.shutdown()
        listener.server_close()


def is_plain(output: str) -> bool:
    """Say whether an error is in our words, with a hint and without the insides of a library."""
    inside = ("HTTPSConnectionPool", "Max retries", "object at 0x", "_ssl.c", "unexpected")
    return (
        output.startswith("Error: ")
        and "\nhint: " in output
        and not any(words in output for words in inside)
    )


class TestInspectingProxy:
    def test_is_named_while_its_authority_is_unknown(self, agnes, proxy, server):
        result = agnes("pull")

        assert result.exit_code == 1
        assert "The certificate of https://agnes.invalid is not trusted" in result.stderr
        assert "REQUESTS_CA_BUNDLE" in result.stderr
        assert is_plain(result.stderr), result.stderr
        assert proxy.requests
        assert not [head for head in proxy.requests if agnes_server.TOKEN.encode() in head]
        assert server.seen == []

    def test_is_passed_once_its_authority_is_known(
        self, agnes, rows, proxy, server, ca_file, monkeypatch
    ):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]
        assert not [head for head in proxy.requests if agnes_server.TOKEN.encode() in head]

    def test_that_is_away_is_named(self, agnes, proxy, server, monkeypatch):
        with inspecting_proxy.before(server.url, proxy.ca) as gone:
            monkeypatch.setenv("https_proxy", gone.url)

        result = agnes("pull")

        assert result.exit_code == 1
        assert "proxy" in result.stderr
        assert is_plain(result.stderr), result.stderr


class TestAuthorityOfTheCompany:
    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_is_trusted_where_it_is_named(
        self, agnes, rows, over_tls, company, ca_file, monkeypatch, variable
    ):
        over_tls(company.issue_cert("127.0.0.1"))
        monkeypatch.setenv(variable, str(ca_file))

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(3,)]

    def test_is_not_trusted_where_it_is_not(self, agnes, over_tls, company):
        agnes_over_tls = over_tls(company.issue_cert("127.0.0.1"))

        result = agnes("pull")

        assert result.exit_code == 1
        assert "is not trusted" in result.stderr
        assert is_plain(result.stderr), result.stderr
        assert agnes_over_tls.seen == []

    @pytest.mark.parametrize("content", [None, "no certificate\n"], ids=["missing", "no PEM"])
    def test_in_a_file_that_is_none_is_named(
        self, agnes, over_tls, company, tmp_path, monkeypatch, content
    ):
        over_tls(company.issue_cert("127.0.0.1"))
        named = tmp_path / "nothing.pem"
        if content is not None:
            named.write_text(content)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(named))

        result = agnes("pull")

        assert result.exit_code == 1
        assert str(named) in result.stderr
        assert is_plain(result.stderr), result.stderr


class TestCertificate:
    @pytest.mark.parametrize(
        ("names", "expires", "told"),
        [
            (["127.0.0.1"], datetime(2001, 1, 1, tzinfo=UTC), "expired"),
            (["other.example.com"], None, "127.0.0.1"),
        ],
        ids=["expired", "of another host"],
    )
    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_that_does_not_fit_is_refused_with_the_reason(
        self, agnes, over_tls, company, ca_file, monkeypatch, names, expires, told, variable
    ):
        over_tls(company.issue_cert(*names, not_after=expires))
        monkeypatch.setenv(variable, str(ca_file))

        result = agnes("pull")

        assert result.exit_code == 1
        assert "is not trusted" in result.stderr
        assert told in result.stderr
        assert is_plain(result.stderr), result.stderr

    @pytest.mark.parametrize("variable", ["", "REQUESTS_CA_BUNDLE"], ids=["direct", "requests"])
    def test_is_not_blamed_where_there_is_no_tls(
        self, agnes, server, ca_file, monkeypatch, variable
    ):
        monkeypatch.setenv("AGNES_SERVER", server.url.replace("http:", "https:"))
        if variable:
            monkeypatch.setenv(variable, str(ca_file))

        result = agnes("pull")

        assert result.exit_code == 1
        assert "certificate" not in result.stderr
        assert "TLS" in result.stderr
        assert is_plain(result.stderr), result.stderr
