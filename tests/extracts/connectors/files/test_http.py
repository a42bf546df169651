"""Files of web servers: brought whole or not at all, and from allowed hosts only."""

from __future__ import annotations

import gzip
import random
import resource
import socket

import pytest
from pydantic import ValidationError
from werkzeug import Request, Response

from agnes_site.core.errors import AgnesError, UpstreamError
from catalog.connectors import Reach
from extracts.connectors.files.locations.choice import location_of
from extracts.connectors.files.locations.download import (
    Downloads,
    RemoteAnswerError,
    RemoteDeniedError,
)
from extracts.connectors.files.locations.location import FileTooLargeError, RemoteFileMissingError
from extracts.connectors.files.settings import FilesConfig
from extracts.connectors.reach.hosts import HostNotAllowedError, UrlRefusedError
from extracts.connectors.reach.web import CertificateRefusedError, Web
from tests.extracts.connectors.files.places import LOOPBACK, Misbehaving, Runs, connector, table
from tests.ports import free_port

CSV = "id,v\n" + "".join(f"{number},{'x' * 50}\n" for number in range(2000))


@pytest.fixture
def downloads():
    return Downloads(web=Web(LOOPBACK), max_bytes=10 * 1024**2, pause=lambda _: None)


def config_of(server, *names: str, **more) -> FilesConfig:
    return FilesConfig(urls=tuple(server.url_for(name) for name in names), **more)


class TestExtract:
    def test_brings_a_file_and_asks_whether_it_has_changed(self, httpserver, tmp_path):
        asked = []

        def serve(request: Request) -> Response:
            asked.append(request.headers.get("If-None-Match"))
            if request.headers.get("If-None-Match") == '"1"':
                return Response(status=304, headers={"ETag": '"1"'})
            return Response(CSV, headers={"ETag": '"1"'})

        httpserver.expect_request("/orders.csv").respond_with_handler(serve)
        runs = Runs(tmp_path, config_of(httpserver, "/orders.csv"), table("orders.csv"))

        runs.run()

        assert len(runs.rows()) == 2000
        assert runs.run().is_unchanged
        assert asked == [None, '"1"']

    def test_reads_a_file_below_a_folder_whose_name_has_signs(self, httpserver, tmp_path):
        httpserver.expect_request("/exports/2024/ä b.csv").respond_with_data("id\n1\n")
        config = config_of(httpserver, "/exports/")

        runs = Runs(tmp_path, config, table("2024/ä b.csv"))
        runs.run()

        assert runs.rows() == [{"id": 1}]

    def test_makes_one_table_of_several_addresses(self, httpserver, tmp_path):
        for number in (1, 2):
            httpserver.expect_request(f"/o{number}.csv").respond_with_data(f"id\n{number}\n")
        config = config_of(httpserver, "/o1.csv", "/o2.csv")

        runs = Runs(tmp_path, config, table("o*.csv"))
        runs.run()

        assert runs.rows() == [{"id": 1}, {"id": 2}]

    @pytest.mark.parametrize("name", ["/orders.csv", "/orders.csv.gz"])
    def test_unpacks_what_the_server_packed(self, httpserver, tmp_path, name):
        httpserver.expect_request(name).respond_with_data(
            gzip.compress(b"id\n1\n"), headers={"Content-Encoding": "gzip"}
        )

        runs = Runs(tmp_path, config_of(httpserver, name), table(name.removeprefix("/")))
        runs.run()

        assert runs.rows() == [{"id": 1}]

    def test_takes_the_format_from_the_answer_where_no_name_tells_it(self, httpserver, tmp_path):
        httpserver.expect_request("/export").respond_with_data("id\n1\n", content_type="text/csv")

        runs = Runs(tmp_path, config_of(httpserver, "/export"), table("export"))
        runs.run()

        assert runs.rows() == [{"id": 1}]

    def test_knows_a_part_again_whose_name_tells_no_format(self, httpserver, tmp_path):
        def serve(request: Request) -> Response:
            if request.headers.get("If-None-Match") == '"1"':
                return Response(status=304)
            said = {"ETag": '"1"', "Content-Disposition": "attachment; filename=export.csv"}
            return Response("id\n1\n", headers=said)

        for name in ("/a", "/b"):
            httpserver.expect_request(name).respond_with_handler(serve)
        wanted = table("*", part_per_file=True, file_name_column="file")
        runs = Runs(tmp_path, config_of(httpserver, "/a", "/b"), wanted)

        runs.run()

        assert sorted(runs.parts) == ["a", "b"]
        assert [row["file"] for row in runs.rows()] == ["a", "b"]
        assert runs.run().is_unchanged

    def test_reads_each_of_addresses_that_end_alike(self, httpserver, tmp_path):
        for path in ("/x/o.csv", "/y/o.csv"):
            httpserver.expect_request(path, query_string="p=1").respond_with_data("id\n1\n")
            httpserver.expect_request(path, query_string="p=2").respond_with_data("id\n2\n")
        config = config_of(httpserver, *[f"/{x}/o.csv?p={n}" for x in "xy" for n in (1, 2)])

        runs = Runs(tmp_path, config, table("**/o*.csv", file_name_column="file"))
        runs.run()

        assert [(row["id"], row["file"].removeprefix("localhost/")) for row in runs.rows()] == [
            (2, "x/o-2.csv"), (1, "x/o.csv"), (2, "y/o-2.csv"), (1, "y/o.csv"),
        ]  # fmt: skip

    def test_puts_a_name_before_the_query_of_its_folder(self, httpserver, tmp_path):
        httpserver.expect_request("/in/o.csv", query_string="sig=1").respond_with_data("id\n1\n")

        runs = Runs(tmp_path, config_of(httpserver, "/in/?sig=1"), table("o.csv"))
        runs.run()

        assert runs.rows() == [{"id": 1}]

    def test_says_that_a_page_is_no_file(self, httpserver, tmp_path):
        httpserver.expect_request("/a.csv").respond_with_data(
            "<html>sign in</html>", content_type="text/html; charset=utf-8"
        )

        with pytest.raises(RemoteAnswerError, match="web page"):
            Runs(tmp_path, config_of(httpserver, "/a.csv"), table("a.csv")).run()

    @pytest.mark.parametrize(
        ("status", "error"),
        [
            (401, RemoteDeniedError), (403, RemoteDeniedError), (404, RemoteFileMissingError),
            (410, RemoteFileMissingError), (418, RemoteAnswerError),
        ],
    )  # fmt: skip
    def test_says_what_an_answer_means(self, httpserver, tmp_path, status, error):
        httpserver.expect_request("/a.csv").respond_with_data("no", status=status)

        with pytest.raises(error, match=str(status)):
            Runs(tmp_path, config_of(httpserver, "/a.csv"), table("a.csv")).run()

    def test_hands_on_how_long_a_server_wants_to_be_left_alone(self, httpserver, tmp_path):
        httpserver.expect_request("/a.csv").respond_with_data(
            "busy", status=429, headers={"Retry-After": "600"}
        )

        with pytest.raises(UpstreamError) as caught:
            Runs(tmp_path, config_of(httpserver, "/a.csv"), table("a.csv")).run()

        assert caught.value.retry_after == 600

    def test_signs_in_and_says_the_proof_to_no_other_host(self, httpserver, tmp_path):
        seen = []

        def serve(request: Request) -> Response:
            seen.append((request.host.partition(":")[0], request.headers.get("Authorization")))
            if request.host.startswith("127."):
                port = httpserver.port
                return Response(status=302, headers={"Location": f"http://localhost:{port}/a.csv"})
            return Response("id\n1\n")

        httpserver.expect_request("/a.csv").respond_with_handler(serve)
        config = FilesConfig(urls=(f"http://127.0.0.1:{httpserver.port}/a.csv",), user="ada")
        runs = Runs(tmp_path, config, table("a.csv"), password="s:ecret ä")
        runs.reach = Reach(hosts=("127.0.0.0/8", "::1"))

        runs.run()

        assert seen[0][1].startswith("Basic ")
        assert seen[-1] == ("localhost", None)

    def test_never_says_a_secret_or_a_query_in_an_error(self, httpserver, tmp_path):
        httpserver.expect_request("/a.csv").respond_with_data("no", status=403)
        config = config_of(httpserver, "/a.csv")
        config = FilesConfig(urls=(config.urls[0] + "?sig=canary1",))

        with pytest.raises(RemoteDeniedError) as caught:
            Runs(tmp_path, config, table("a.csv"), token="canary2").run()

        said = f"{caught.value.message} {caught.value.hint} {caught.value.details}"
        assert "canary" not in said


@pytest.mark.hostile(53)
class TestDownload:
    def test_goes_on_where_a_connection_ended(self, downloads, tmp_path):
        asked: list[str] = []
        data = bytes(range(256)) * 4000

        with Misbehaving(asked, data, cut_after=300_000) as url:
            got = downloads.bring(url, tmp_path / "f", name="f")

        assert got.path.read_bytes() == data
        assert sum("Range:" in each for each in asked) >= 2

    def test_begins_anew_where_the_file_became_another(self, downloads, tmp_path):
        asked: list[str] = []
        data = bytes(range(256)) * 4000

        with Misbehaving(asked, data, cut_after=300_000, is_other_later=True) as url:
            got = downloads.bring(url, tmp_path / "f", name="f")

        assert got.path.read_bytes() == data[::-1]

    def test_gives_up_on_a_server_that_lies_about_the_length(self, downloads, tmp_path):
        with (
            Misbehaving([], b"x" * 1000, cut_after=500, is_stubborn=True) as url,
            pytest.raises(UpstreamError, match="middle of"),
        ):
            downloads.bring(url, tmp_path / "f", name="f")

    @pytest.mark.parametrize("piece", ["bytes 5-9/10", "bytes 0-4/10", "nonsense"])
    def test_takes_no_piece_for_the_whole(self, downloads, httpserver, tmp_path, piece):
        httpserver.expect_request("/f").respond_with_data(
            "12345", status=206, headers={"Content-Range": piece}
        )

        with pytest.raises(UpstreamError, match=r"another piece|sent less"):
            downloads.bring(httpserver.url_for("/f"), tmp_path / "f", name="f")

    def test_does_not_blame_the_server_for_a_full_disk(self, downloads, httpserver, tmp_path):
        httpserver.expect_request("/f").respond_with_data("x" * 1_000_000)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                downloads.bring(httpserver.url_for("/f"), tmp_path / "f", name="f")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        assert len(httpserver.log) == 1

    def test_ends_an_answer_without_end(self, httpserver, tmp_path):
        def endless():
            while True:
                yield b"x" * 100_000

        httpserver.expect_request("/f").respond_with_handler(lambda _: Response(endless()))
        downloads = Downloads(web=Web(LOOPBACK), max_bytes=1024**2)

        with pytest.raises(FileTooLargeError):
            downloads.bring(httpserver.url_for("/f"), tmp_path / "f", name="f")

        assert (tmp_path / "f").stat().st_size < 2 * 1024**2

    def test_tries_a_busy_server_again(self, httpserver, tmp_path):
        pauses: list[float] = []
        downloads = Downloads(web=Web(LOOPBACK), max_bytes=1000, pause=pauses.append)
        httpserver.expect_ordered_request("/f").respond_with_data(status=503)
        httpserver.expect_ordered_request("/f").respond_with_data(
            status=429, headers={"Retry-After": "3"}
        )
        httpserver.expect_ordered_request("/f").respond_with_data("ok")

        got = downloads.bring(httpserver.url_for("/f"), tmp_path / "f", name="f")

        assert got.path.read_bytes() == b"ok"
        assert pauses[1] == 3


class TestReach:
    def test_refuses_a_host_that_is_not_listed(self, httpserver):
        config = config_of(httpserver, "/a.csv")

        with pytest.raises(HostNotAllowedError) as caught:
            connector(Reach()).test(config, {})

        assert "AGNES_FILES_HOSTS" in caught.value.hint
        assert not httpserver.log

    def test_of_a_folder_alone_says_what_to_do(self, httpserver):
        config = config_of(httpserver, "/exports/")
        httpserver.expect_ordered_request("/exports/").respond_with_data(status=404)
        httpserver.expect_ordered_request("/exports/").respond_with_data(status=500)

        assert "register tables by their names" in connector().test(config, {}).message
        with pytest.raises(UpstreamError):
            connector().test(config, {})

    def test_refuses_a_listed_name_that_leads_to_this_machine(self, httpserver):
        config = FilesConfig(urls=(f"http://localhost:{httpserver.port}/a.csv",))

        with pytest.raises(HostNotAllowedError, match="private"):
            connector(Reach(hosts=("localhost", "*"))).test(config, {})

        assert not httpserver.log

    @pytest.mark.parametrize(
        "target",
        [
            "http://localhost:{other}/", "http://169.254.169.254/latest/meta-data/",
            "http://[::ffff:127.0.0.1]:{other}/", "http://2130706433:{port}/b.csv",
            "ftp://127.0.0.1/b.csv", "file:///etc/passwd", "http://user@127.0.0.1:{port}/b.csv",
            "//localhost:{other}/", "http://0:{port}/b.csv", "http://127.0.0.1:{other}/",
        ],
    )  # fmt: skip
    def test_refuses_to_be_redirected_to(self, httpserver, target):
        with socket.create_server(("127.0.0.1", 0)) as internal:
            internal.setblocking(False)
            other = internal.getsockname()[1]
            httpserver.expect_request("/a.csv").respond_with_data(
                status=302,
                headers={"Location": target.format(port=httpserver.port, other=other)},
            )
            url = f"http://127.0.0.1:{httpserver.port}/a.csv"
            reach = Reach(hosts=(f"127.0.0.1:{httpserver.port}",))

            with pytest.raises((HostNotAllowedError, UrlRefusedError)):
                connector(reach).test(FilesConfig(urls=(url,)), {})

            assert [request.path for request, _ in httpserver.log] == ["/a.csv"]
            with pytest.raises(BlockingIOError):
                internal.accept()

    def test_ends_a_circle_of_redirects(self, httpserver):
        httpserver.expect_request("/a.csv").respond_with_data(
            status=302, headers={"Location": "/a.csv"}
        )

        with pytest.raises(UpstreamError, match="without end"):
            connector().test(config_of(httpserver, "/a.csv"), {})

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_checks_the_address_that_is_connected_to(self, httpserver, monkeypatch, scheme):
        # A name that was public when it was listed, and leads elsewhere when it is asked for.
        real = socket.getaddrinfo

        def rebound(host, *rest, **more):
            return real(host.replace("files.example.com", "127.0.0.1"), *rest, **more)

        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        config = FilesConfig(urls=(f"{scheme}://files.example.com:{httpserver.port}/a.csv",))

        with pytest.raises(HostNotAllowedError, match=r"127\.0\.0\.1, a private address"):
            connector(Reach(hosts=("files.example.com",))).test(config, {})

        assert not httpserver.log

    def test_uses_no_proxy_of_the_environment(self, httpserver, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        httpserver.expect_request("/a.csv").respond_with_data("id\n1\n")

        assert connector().test(config_of(httpserver, "/a.csv"), {}).message

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_says_that_a_file_of_certificates_cannot_be_used(self, tmp_path, content):
        ca_file = tmp_path / "ca.pem"
        if content:
            ca_file.write_text(content)
        config = FilesConfig(urls=("https://127.0.0.1/a.csv",), ca_file=ca_file)

        with pytest.raises(CertificateRefusedError, match=r"ca\.pem holds no certificate"):
            connector().test(config, {})

    @pytest.mark.parametrize("token", ["abc\n", "a\rb", "klíč"])
    def test_says_that_a_token_cannot_be_sent(self, token):
        config = FilesConfig(urls=("http://127.0.0.1/a.csv",))

        with pytest.raises(RemoteDeniedError, match="cannot be sent") as caught:
            connector().test(config, {"token": token})

        assert token not in f"{caught.value.message} {caught.value.hint}"

    def test_says_that_nobody_listens(self):
        config = FilesConfig(urls=(f"http://127.0.0.1:{free_port()}/a.csv",))

        with pytest.raises(UpstreamError, match="cannot be reached"):
            connector().test(config, {})


class TestSettings:
    @pytest.mark.parametrize(
        "given",
        [
            {}, {"folder": "/srv", "urls": ["https://example.com/a.csv"]}, {"folder": "relative"},
            {"urls": ["ftp://example.com/a.csv"]}, {"urls": ["https://u:p@example.com/a.csv"]},
            {"urls": ["s3://bucket/", "https://example.com/a.csv"]}, {"urls": ["s3://B/"]},
            {"urls": ["https://a.example/x/", "https://a.example/y/"]}, {"urls": ["nonsense"]},
            {"urls": ["s3://bucket/"], "s3_endpoint": "minio:9000"},
        ],
    )  # fmt: skip
    def test_are_refused(self, given):
        with pytest.raises(ValidationError) as caught:
            FilesConfig.model_validate(given)

        assert "u:p" not in str(caught.value.errors(include_input=False))

    def test_of_a_source_with_a_folder_go_on_working(self, tmp_path):
        config = FilesConfig.model_validate({"folder": str(tmp_path)})

        assert location_of(config, {}, LOOPBACK).listed() == []


class TestDiscover:
    def test_offers_what_the_beginning_of_a_compressed_file_holds(self, httpserver):
        noise = "".join(f"{number},{random.Random(number).random()}\n" for number in range(200_000))
        whole = gzip.compress(f"id,v\n{noise}".encode())
        assert len(whole) > 2 * 1024 * 1024

        def serve(request: Request) -> Response:
            wanted = request.range.ranges[0][1]
            return Response(
                whole[:wanted], status=206,
                headers={"Content-Range": f"bytes 0-{wanted - 1}/{len(whole)}"},
            )  # fmt: skip

        httpserver.expect_request("/orders.csv.gz").respond_with_handler(serve)

        (spec,) = connector().discover(config_of(httpserver, "/orders.csv.gz"), {})

        assert [(column.name, column.type) for column in spec.columns] == [
            ("id", "BIGINT"), ("v", "DOUBLE"),
        ]  # fmt: skip
        assert not spec.problem

    def test_looks_at_no_row_that_the_beginning_cuts(self, httpserver):
        row = '1,"a line\nand another"\n'
        httpserver.expect_request("/orders.csv").respond_with_data(
            # The first megabyte ends within the second line of a row.
            "id,some value\n" + row * (2 * 1024 * 1024 // len(row))
        )

        (spec,) = connector().discover(config_of(httpserver, "/orders.csv"), {})

        assert [column.type for column in spec.columns] == ["BIGINT", "VARCHAR"]
        assert not spec.problem

    def test_offers_the_given_addresses_by_their_beginnings(self, httpserver):
        seen = []

        def serve(request: Request) -> Response:
            seen.append(request.headers.get("Range"))
            return Response("id,v\n" + "1,x\n" * 2_000_000)

        httpserver.expect_request("/orders.csv").respond_with_handler(serve)

        (spec,) = connector().discover(config_of(httpserver, "/orders.csv"), {})

        assert (spec.name, [column.name for column in spec.columns]) == ("orders", ["id", "v"])
        assert seen == ["bytes=0-1048575"]


def test_every_error_has_something_to_do():
    for error in (RemoteAnswerError, RemoteDeniedError, HostNotAllowedError, UrlRefusedError):
        assert issubclass(error, AgnesError)
        assert error.hint
