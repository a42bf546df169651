import ssl

import pytest
import trustme
from pytest_httpserver import HTTPServer

from catalog.connectors import Reach
from extracts.connectors.reach.hosts import UrlRefusedError
from extracts.connectors.reach.web import (
    CertificateRefusedError,
    HostUnreachableError,
    Web,
    reaching,
)

REACH = Reach(hosts=("127.0.0.1", "*.invalid"))


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def secure(authority):
    """A web server with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        yield server


class TestHttps:
    def test_is_answered_by_a_host_of_the_authority_that_is_given(self, secure, ca_file):
        secure.expect_request("/a.csv").respond_with_data("id\n1\n")

        with Web(REACH, ca_file=ca_file).get(secure.url_for("/a.csv")) as answer:
            assert answer.content == b"id\n1\n"

    def test_is_refused_where_nobody_vouches_for_the_host(self, secure):
        with pytest.raises(CertificateRefusedError, match=r"127\.0\.0\.1"):
            Web(REACH).get(secure.url_for("/a.csv"))

        assert not secure.log

    def test_is_not_left_by_a_redirect(self, secure, ca_file, httpserver):
        secure.expect_request("/a.csv").respond_with_data(
            status=302, headers={"Location": httpserver.url_for("/a.csv")}
        )

        with pytest.raises(UrlRefusedError, match="away from https"):
            Web(REACH, ca_file=ca_file).get(secure.url_for("/a.csv"))

        assert not httpserver.log


def test_says_that_there_is_no_such_host():
    with pytest.raises(HostUnreachableError, match="no host named"):
        Web(REACH).get("http://gone.invalid/")


class TestRedirectToWhatIsNoAddress:
    @pytest.mark.parametrize(
        "error", [ValueError("bad"), UnicodeDecodeError("utf-8", b"x", 0, 1, "")]
    )
    def test_is_refused_as_one(self, error):
        with (
            pytest.raises(UrlRefusedError, match=r"files\.example\.com"),
            reaching("files.example.com"),
        ):
            raise error
