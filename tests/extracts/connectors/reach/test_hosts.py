"""A source speaks to listed hosts, and a name cannot lead it into the own network."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from agnes_site.core.errors import AgnesError
from extracts.connectors.reach.hosts import (
    HostNotAllowedError,
    UrlRefusedError,
    check_address,
    check_listed,
    checked_url,
)

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::127.0.0.1", "fe80::1", "febf::1", "fc00::1", "fd00:ec2::254",
    "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
    "2001:db8::1", "100::1",
]  # fmt: skip

UNCLEAR = [
    "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/",
    "http://0x7f.0.0.1/", "http://127.0.0.1.5/", "http://1.2.3.08/", "http://[fe80::1%25eth0]/",
    "http://user:pw@example.com/", "http://example.com@evil.test/", "http://example.com\\@evil/",
    "http://exa mple.com/", "http:///etc/passwd", "http://", "http://example.com:0/",
    "http://example.com:99999/", "http://example.com:x/", "http://[::1/", "ftp://example.com/",
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_", "dict://127.0.0.1/", "javascript:1",
    "data:text/csv,a", "//example.com/a.csv", "http://-a.example.com/", "http://a..example.com/",
    "http://example.com/a\n.csv", "http://example.com/\x00", "http://%31%32%37.0.0.1/",
    "http://a.b.0x7f/",
]  # fmt: skip


class TestCheckAddress:
    @pytest.mark.parametrize("address", PRIVATE)
    def test_refuses_a_listed_name_that_leads_to(self, address):
        for listed in (["files.example.com"], ["*"]):
            with pytest.raises(HostNotAllowedError):
                check_address("files.example.com", ip_address(address), 443, listed)

    @pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
    @pytest.mark.parametrize(
        "listed",
        ["files.example.com", "*.example.com", "*", "FILES.example.com.", "files.example.com:443"],
    )
    def test_allows_a_listed_name_with_a_public_address(self, address, listed):
        check_address("files.example.com", ip_address(address), 443, [listed])

    @pytest.mark.parametrize(
        ("listed", "address"),
        [
            ("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), ("127.0.0.1:9000", "127.0.0.1"),
            ("[::1]:9000", "::1"), ("fd00::/8", "fd12::1"), ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ],
    )  # fmt: skip
    def test_allows_a_private_address_that_is_listed_itself(self, listed, address):
        check_address("files.intern", ip_address(address), 9000, [listed])

    @pytest.mark.parametrize(
        ("listed", "host", "address", "port"),
        [
            ("example.com", "files.example.com", "93.184.216.34", 443),
            ("*.example.com", "example.com", "93.184.216.34", 443),
            ("*.example.com", "example.com.evil.test", "93.184.216.34", 443),
            ("example.com:8443", "example.com", "93.184.216.34", 443),
            ("10.0.0.0/8", "x.test", "11.0.0.1", 443),
            ("0.0.0.0/0", "x.test", "169.254.169.254", 80),
            ("::/0", "x.test", "fe80::1", 80),
        ],
    )
    def test_refuses_what_is_not_listed(self, listed, host, address, port):
        with pytest.raises(HostNotAllowedError):
            check_address(host, ip_address(address), port, [listed])

    def test_says_what_to_add(self):
        with pytest.raises(HostNotAllowedError) as caught:
            check_address("files.intern", ip_address("10.1.2.3"), 443, ["files.intern"])

        assert "10.1.2.3" in caught.value.hint
        assert "AGNES_FILES_HOSTS" in caught.value.hint


class TestCheckedUrl:
    @pytest.mark.parametrize("url", UNCLEAR)
    def test_refuses(self, url):
        with pytest.raises(UrlRefusedError):
            checked_url(url)

    @pytest.mark.parametrize("url", UNCLEAR)
    def test_never_says_a_password(self, url):
        with pytest.raises(UrlRefusedError) as caught:
            checked_url(url)

        assert "pw" not in caught.value.message

    @pytest.mark.parametrize(
        "url",
        [
            "https://example.com/a.csv", "http://example.com:8080/a%20b.csv?x=1", "https://1.2.3.4/",
            "https://[2606:2800::1]:8443/", "https://bücher.example/a.csv", "https://4chan.org/a",
        ],
    )  # fmt: skip
    def test_takes(self, url):
        assert checked_url(url).hostname


class TestCheckListed:
    def test_refuses_before_looking_a_name_up(self):
        with pytest.raises(AgnesError, match="not among the hosts"):
            check_listed("secret.corp", 443, ["example.com"])

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "8.8.8.8"])
    def test_refuses_an_address_that_is_not_listed(self, host):
        with pytest.raises(HostNotAllowedError):
            check_listed(host, 80, ["example.com"])
