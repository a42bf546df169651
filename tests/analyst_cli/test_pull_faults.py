"""What `agnes pull` does when the server or the network misbehaves."""

from __future__ import annotations

import errno
import json
import os

import duckdb
import pytest
import time_machine

from tests.analyst_cli import agnes_server
from tests.analyst_cli.agnes_server import AgnesServer
from tests.analyst_cli.snapshots import snapshot

pytestmark = pytest.mark.usefixtures("signed_in", "workspace")

# Large enough that half of it is more than one read of the client.
LARGE = "SELECT i AS id, hash(i) AS noise FROM range(300_000) t(i)"


def use_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send everything by requests, as behind a proxy."""
    monkeypatch.setattr("analyst_cli.transport._needs_requests", lambda parts: True)


@pytest.fixture(params=["direct", "requests"])
def transport(request, monkeypatch):
    """Both ways of sending requests."""
    if request.param == "requests":
        use_requests(monkeypatch)


@pytest.fixture
def good_copy(signed_in, workspace, agnes, server):
    """A workspace with version 1 of orders, and version 2 on the server."""
    agnes("pull")
    server.publish("orders", "SELECT 'second' AS version")


@pytest.mark.hostile(43)
class TestWrongContent:
    @pytest.mark.parametrize(
        ("fault", "code"),
        [
            (agnes_server.damaged, "hash_mismatch"),
            (agnes_server.longer, "hash_mismatch"),
            (agnes_server.html, "not_a_parquet_file"),
            (agnes_server.disguised_html, "not_a_parquet_file"),
            (agnes_server.gzipped, "not_a_parquet_file"),
            (agnes_server.shorter, "server_unreachable"),
        ],
        ids=lambda value: getattr(value, "__name__", None),
    )
    @pytest.mark.usefixtures("good_copy", "transport")
    def test_is_never_installed_and_the_good_copy_stays(
        self, agnes, rows, server, fault, code, monkeypatch
    ):
        monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
        server.publish("customers", "SELECT 'fresh' AS state")
        server.fail("orders", fault, fault, fault)

        result = agnes("pull", "--json")

        (error,) = json.loads(result.stdout)["errors"]
        assert (error["table"], error["code"]) == ("orders", code)
        assert error["hint"]
        assert result.exit_code == 1
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert rows("FROM customers") == [("fresh",)]

    @pytest.mark.parametrize("content", [b"PAR1PAR1", b"PAR1" + b"x" * 100], ids=["short", "torn"])
    @pytest.mark.usefixtures("good_copy")
    def test_is_not_installed_from_a_server_without_hashes(
        self, agnes, rows, server, content, monkeypatch
    ):
        def older(tables):
            for entry in tables.values():
                for key in ("parts", "sha256", "hash", "size_bytes"):
                    entry.pop(key)

        monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
        server.manifest_changes["older"] = older
        server.publish("customers", "SELECT 'fresh' AS state")
        server.fail("orders", lambda handler, part, start: handler.send_body(content))

        result = agnes("pull", "--json")

        (error,) = json.loads(result.stdout)["errors"]
        assert (error["table"], error["code"]) == ("orders", "not_a_parquet_file")
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert rows("FROM customers") == [("fresh",)]

    @pytest.mark.usefixtures("good_copy")
    def test_is_made_good_by_the_next_pull(self, agnes, rows, server):
        server.fail("orders", agnes_server.damaged)
        agnes("pull")

        result = agnes("pull")

        assert result.exit_code == 0
        assert rows("FROM orders") == [("second",)]

    def test_that_duckdb_cannot_read_is_an_error_of_that_table_only(self, agnes, rows, server):
        server.tables["orders"].parts[0].content = b"PAR1" + b"x" * 100 + b"PAR1"

        results = [agnes("pull", "--json") for _ in range(2)]

        for result in results:
            assert result.exit_code == 1
            assert [e["code"] for e in json.loads(result.stdout)["errors"]] == ["unreadable_file"]
        assert rows("SHOW TABLES") == [("customers",)]
        assert json.loads(results[1].stdout)["bytes_downloaded"] == 0


@pytest.mark.hostile(43)
class TestBrokenConnection:
    @pytest.mark.usefixtures("transport")
    def test_continues_where_it_stopped(self, agnes, rows, server):
        server.publish("orders", LARGE)
        server.fail("orders", agnes_server.cut, agnes_server.cut)

        result = agnes("pull", "orders", "--json")

        assert result.exit_code == 0, result.output
        size = len(server.tables["orders"].parts[0].content)
        assert json.loads(result.stdout)["bytes_downloaded"] == size
        ranges = [seen.headers.get("Range") for seen in server.downloads()]
        assert ranges == [
            None,
            f"bytes={size // 2}-",
            f"bytes={size // 2 + (size - size // 2) // 2}-",
        ]
        assert rows("SELECT count(*) FROM orders") == [(300_000,)]

    def test_is_continued_by_the_next_pull(self, agnes, rows, server, monkeypatch, workspace):
        server.publish("orders", LARGE)
        server.fail("orders", agnes_server.cut)
        monkeypatch.setenv("AGNES_STREAM_RETRIES", "0")
        first = agnes("pull", "--json")
        assert [e["code"] for e in json.loads(first.stdout)["errors"]] == ["server_unreachable"]

        result = agnes("pull", "--json")

        assert result.exit_code == 0
        size, report = len(server.tables["orders"].parts[0].content), json.loads(result.stdout)
        assert report["bytes_downloaded"] == size - size // 2
        assert rows("SELECT count(*) FROM orders") == [(300_000,)]
        assert not (workspace / "server" / "parquet" / ".staging").exists()

    @pytest.mark.parametrize(
        "fault", [agnes_server.ignores_range, agnes_server.unavailable], ids=["ignored", "503"]
    )
    def test_survives_a_second_fault(self, agnes, rows, server, fault):
        server.publish("orders", LARGE)
        server.fail("orders", agnes_server.cut, fault)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT count(*) FROM orders") == [(300_000,)]

    def test_starts_again_when_the_beginning_is_damaged(self, agnes, rows, server, workspace):
        content = server.tables["orders"].parts[0].content
        staging = workspace / "server" / "parquet" / ".staging"
        staging.mkdir(parents=True)
        name = f"{server.tables['orders'].parts[0].sha256}.part"
        (staging / name).write_bytes(b"PAR1" + b"?" * (len(content) // 2))

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]

    def test_does_not_trust_a_staged_file_that_is_too_long(self, agnes, rows, server, workspace):
        staging = workspace / "server" / "parquet" / ".staging"
        staging.mkdir(parents=True)
        part = server.tables["orders"].parts[0]
        (staging / f"{part.sha256}.part").write_bytes(part.content + b"x")

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]

    @pytest.mark.usefixtures("transport")
    def test_waits_as_long_as_the_server_asks(self, agnes, server):
        server.fail("orders", agnes_server.unavailable, agnes_server.unavailable)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert [seen.status for seen in server.downloads()].count(503) == 2

    @pytest.mark.parametrize(
        "asked",
        [
            "Wed, 01 Jan 2020 00:00:00 GMT", "Wed, 01 Jan 2020 00:00:00 -0000",
            "soon", "-1", "\u00b2",
        ],
    )  # fmt: skip
    def test_tries_again_however_the_server_names_the_time(self, agnes, rows, server, asked):
        def busy(handler, part, start):
            handler.send_body(b"busy", status=503, **{"Retry-After": asked})

        server.fail("orders", busy)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (b'{"detail": "Not yours."}', "Not yours."),
            (b'{"message": "Not yours."}', "Not yours."),
            (b'["Not yours."]', "The server answered HTTP 403."),
        ],
    )
    def test_is_told_in_the_words_of_the_server(self, agnes, server, body, said):
        server.fail("orders", lambda handler, part, start: handler.send_body(body, status=403))

        result = agnes("pull", "--json")

        (error,) = json.loads(result.stdout)["errors"]
        assert (error["table"], error["message"]) == ("orders", said)

    def test_gives_up_after_some_time(self, agnes, rows, server):
        server.fail("orders", *[agnes_server.unavailable] * 10)

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        assert [e["code"] for e in json.loads(result.stdout)["errors"]] == ["http_503"]
        assert [seen.status for seen in server.downloads()].count(503) == 4
        assert rows("SHOW TABLES") == [("customers",)]

    @pytest.mark.usefixtures("transport")
    @pytest.mark.hostile(47)
    def test_is_named_when_there_is_no_server(self, agnes, monkeypatch):
        monkeypatch.setenv("AGNES_SERVER", "http://127.0.0.1:9")

        result = agnes("pull")

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: Cannot reach http://127.0.0.1:9")
        assert "hint: " in result.stderr
        assert "Traceback" not in result.output


@pytest.mark.hostile(43)
class TestRedirect:
    @pytest.fixture
    def elsewhere(self, tmp_path):
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        other, listener = agnes_server.start(folder)
        yield other
        listener.shutdown()
        listener.server_close()

    @pytest.mark.usefixtures("transport")
    def test_to_another_server_never_carries_the_token(self, agnes, server, elsewhere):
        elsewhere.tables = server.tables
        server.fail("orders", agnes_server.redirect(f"{elsewhere.url}/api/data/orders/download"))

        agnes("pull")

        (seen,) = elsewhere.seen
        assert "Authorization" not in seen.headers

    @pytest.mark.usefixtures("transport")
    def test_to_a_file_elsewhere_is_followed(self, agnes, rows, server, elsewhere):
        elsewhere.tables = server.tables
        elsewhere.token = None  # who asks without a token is welcome there
        server.fail("orders", agnes_server.redirect(f"{elsewhere.url}/api/data/orders/download"))

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]

    def test_of_the_manifest_to_another_server_is_refused(
        self, agnes, server, elsewhere, monkeypatch
    ):
        server.manifest_redirect = f"{elsewhere.url}/api/sync/manifest"

        result = agnes("pull")

        assert result.exit_code == 1
        assert "the token is not sent there" in result.stderr
        assert elsewhere.seen == []

    def test_to_itself_ends(self, agnes, server):
        server.manifest_redirect = "/api/sync/manifest"

        result = agnes("pull")

        assert result.exit_code == 1
        assert "redirects too many times" in result.stderr

    def test_to_a_local_file_is_refused(self, agnes, server):
        server.fail("orders", agnes_server.redirect("file:///etc/passwd"))

        result = agnes("pull", "--json")

        assert [e["code"] for e in json.loads(result.stdout)["errors"]] == ["bad_redirect"]


class TestNetrc:
    def test_password_never_replaces_the_token(self, agnes, tmp_path, monkeypatch):
        use_requests(monkeypatch)
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login evil password evil\n")
        monkeypatch.setenv("NETRC", str(netrc))

        result = agnes("pull")

        assert result.exit_code == 0, result.output


@pytest.mark.hostile(48)
class TestServerThatWantsANewerClient:
    def test_ends_with_2(self, agnes, server):
        server.headers["X-Agnes-Min-Version"] = "99.0"

        result = agnes("pull")

        assert result.exit_code == 2
        assert "agnes 1.0.0 is too old for this server" in result.stderr

    @pytest.mark.parametrize("version", ["0.0.0", "1.0.0", "", "nonsense", "1"])
    def test_is_content_with_this_one(self, agnes, server, version):
        server.headers["X-Agnes-Min-Version"] = version

        assert agnes("pull").exit_code == 0


@pytest.mark.hostile(41)
class TestDisk:
    def test_that_is_too_small_is_noticed_before_the_first_byte(self, agnes, server):
        def huge(tables):
            tables["orders"]["parts"][0]["size_bytes"] = 10**18

        server.manifest_changes["huge"] = huge

        result = agnes("pull")

        assert result.exit_code == 1
        assert "This pull needs 1000000.0 TB, but the disk has" in result.stderr
        assert server.downloads() == []

    def test_that_gets_full_is_named(self, agnes, rows, server, spawn):
        agnes("pull")
        server.publish("orders", LARGE)

        process = spawn("pull", "--json", limit_bytes=200_000)
        output, _ = process.communicate(timeout=30)

        assert process.returncode == 1
        assert [error["code"] for error in json.loads(output)["errors"]] == ["disk_full"]
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]

    def test_that_gets_full_fails_the_tables_that_were_still_waiting_too(
        self, agnes, rows, server, spawn
    ):
        agnes("pull")
        server.publish("customers", LARGE)
        server.publish("orders", "SELECT 1 AS id")

        process = spawn("pull", "--json", limit_bytes=200_000, AGNES_PULL_PARALLELISM="1")
        output, _ = process.communicate(timeout=30)

        assert process.returncode == 1
        errors = {error["table"]: error["code"] for error in json.loads(output)["errors"]}
        assert errors == {"customers": "disk_full", "orders": "disk_full"}
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert agnes("pull").exit_code == 0
        assert rows("FROM orders") == [(1,)]

    def test_that_has_room_again_gets_the_rest(self, agnes, rows, server, spawn):
        server.publish("orders", LARGE)
        spawn("pull", limit_bytes=200_000).communicate(timeout=30)
        server.seen.clear()

        result = agnes("pull")

        assert result.exit_code == 0
        assert [seen.headers["Range"] for seen in server.downloads()] == ["bytes=200000-"]
        assert rows("SELECT count(*) FROM orders") == [(300_000,)]

    def test_link_in_the_staging_folder_is_not_followed(self, agnes, server, workspace, tmp_path):
        precious = tmp_path / "precious"
        precious.write_text("mine")
        staging = workspace / "server" / "parquet" / ".staging"
        staging.mkdir(parents=True)
        part = server.tables["orders"].parts[0]
        (staging / f"{part.sha256}.part").symlink_to(precious)

        result = agnes("pull")

        assert result.exit_code == 0, result.output
        assert precious.read_text() == "mine"

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
    def test_that_is_read_only_is_named(self, agnes, workspace):
        workspace.chmod(0o555)

        result = agnes("pull")

        workspace.chmod(0o755)
        assert result.exit_code == 1
        assert "Cannot write" in result.stderr

    def test_whose_folder_is_a_file_is_named(self, agnes, workspace):
        (workspace / "server").write_text("in the way")

        result = agnes("pull")

        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert "Traceback" not in result.stderr


@pytest.mark.hostile(41)
class TestTargetThatCannotBeReplaced:
    def test_is_an_error_of_that_table_only(self, agnes, rows, workspace):
        (workspace / "server" / "parquet" / "orders.parquet" / "mine").mkdir(parents=True)

        result = agnes("pull", "--json")

        assert result.exit_code == 1
        assert [e["table"] for e in json.loads(result.stdout)["errors"]] == ["orders"]
        assert rows("SHOW TABLES") == [("customers",)]

    def test_takes_its_table_out_when_the_file_that_was_there_is_gone(
        self, agnes, rows, server, workspace
    ):
        agnes("pull")
        target = workspace / "server" / "parquet" / "orders.parquet"
        target.unlink()
        (target / "mine").mkdir(parents=True)
        server.publish("orders", "SELECT 1 AS id")

        result = agnes("pull", "--json")

        assert [e["table"] for e in json.loads(result.stdout)["errors"]] == ["orders"]
        assert rows("SHOW TABLES") == [("customers",)]
        assert (target / "mine").is_dir()


@pytest.mark.hostile(41)
class TestFileSystemWithoutHardLinks:
    @pytest.fixture(autouse=True)
    def pulled(self, signed_in, agnes, workspace, monkeypatch):
        def refuse(*args, **options):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
        assert agnes("pull").exit_code == 0

    def test_serves_the_pulled_files_themselves(self, agnes, rows, server, workspace):
        server.publish("orders", "SELECT 1 AS id")
        assert agnes("pull").exit_code == 0
        server.seen.clear()

        again = [agnes("pull"), agnes("pull", "orders")]

        assert [result.exit_code for result in again] == [0, 0]
        assert rows("FROM orders") == [(1,)]
        assert server.downloads() == []
        assert list((workspace / "server" / ".generations").iterdir()) == []

    def test_keeps_what_a_user_put_into_the_database_each_time(self, agnes, rows, workspace):
        folder = workspace / "user" / "duckdb"
        with time_machine.travel("2026-01-01", tick=False):
            for number in (1, 2):
                with duckdb.connect(str(folder / "analytics.duckdb")) as connection:
                    connection.execute(f"CREATE TABLE mine AS SELECT {number} AS id")
                assert agnes("pull").exit_code == 0

        kept = []
        for path in sorted(folder.glob("analytics-*.duckdb")):
            with duckdb.connect(str(path), read_only=True) as connection:
                kept += connection.execute("FROM mine").fetchall()
        assert sorted(kept) == [(1,), (2,)]
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]


def test_server_is_honest(server: AgnesServer) -> None:
    """The fixture serves what DuckDB wrote."""
    path = server.folder / "check.parquet"
    path.write_bytes(server.tables["orders"].parts[0].content)
    assert duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchone() == (3,)
    assert snapshot(server.folder) == {}
