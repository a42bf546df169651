"""`agnes verify`: bit rot on the laptop."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytestmark = [pytest.mark.usefixtures("signed_in", "workspace"), pytest.mark.hostile(45)]


@pytest.fixture
def orders(agnes, workspace) -> Path:
    """The pulled file of orders."""
    assert agnes("pull").exit_code == 0
    return workspace / "server" / "parquet" / "orders.parquet"


def rot(path: Path) -> None:
    """Flip a bit as a disk does: size and time stay."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[8] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def states(result) -> dict[str, str]:
    return {file["path"]: file["state"] for file in json.loads(result.stdout)["files"]}


class TestVerify:
    def test_is_content_with_what_was_pulled(self, agnes, orders):
        result = agnes("verify", "--json")

        assert result.exit_code == 0, result.output
        assert states(result) == {"orders.parquet": "ok", "customers.parquet": "ok"}

    def test_finds_what_neither_status_nor_pull_can_see(self, agnes, orders):
        rot(orders)
        assert agnes("status").exit_code == 0
        assert agnes("pull").exit_code == 0

        result = agnes("verify")

        assert result.exit_code == 1
        assert "Error: orders.parquet is damaged." in result.stderr
        assert "hint: Run `agnes pull`" in result.stderr

    @pytest.mark.parametrize("words", [("pull",), ("verify", "--repair")], ids=" ".join)
    def test_has_it_brought_again(self, agnes, rows, server, orders, words):
        good = orders.read_bytes()
        rot(orders)
        agnes("verify")
        server.seen.clear()

        assert agnes(*words).exit_code == 0

        assert orders.read_bytes() == good
        assert rows("SELECT sum(amount) FROM orders") == [(30,)]
        assert len(server.downloads()) == 1
        assert agnes("verify").exit_code == 0

    @pytest.mark.parametrize("is_link", [False, True])
    def test_names_a_file_that_is_gone_or_a_link(self, agnes, orders, tmp_path, is_link):
        content = orders.read_bytes()
        orders.unlink()
        if is_link:
            (tmp_path / "other").write_bytes(content)
            orders.symlink_to(tmp_path / "other")

        result = agnes("verify", "orders", "--json")

        assert result.exit_code == 1
        assert states(result) == {"orders.parquet": "damaged" if is_link else "missing"}

    def test_reports_what_cannot_be_repaired(self, agnes, server, orders):
        rot(orders)
        server.tables["orders"].parts[0].content += b"x"

        result = agnes("verify", "--repair", "--json")

        assert result.exit_code == 1
        found = json.loads(result.stdout)
        assert (found["bad"], found["repaired"]) == (1, False)
        assert [error["table"] for error in found["errors"]] == ["orders"]

    def test_of_a_table_that_was_not_pulled_is_an_error(self, agnes, orders):
        result = agnes("verify", "orderz")

        assert result.exit_code == 1
        assert "no pulled table named 'orderz'" in result.stderr
        assert "orders" in result.stderr

    def test_knows_a_table_by_its_alias(self, agnes, server):
        server.tables["orders"].aliases = ("old_name",)
        agnes("pull")

        assert states(agnes("verify", "OLD_NAME", "--json")) == {"orders.parquet": "ok"}

    def test_does_not_vouch_for_what_came_without_a_hash(self, agnes, server):
        server.manifest_changes["older"] = lambda tables: [
            tables["orders"].pop(key) for key in ("parts", "sha256", "hash")
        ]
        agnes("pull")

        result = agnes("verify", "--json")

        assert result.exit_code == 0
        assert states(result) == {"orders.parquet": "unknown", "customers.parquet": "ok"}

    def test_asks_no_server(self, agnes, server, orders):
        server.seen.clear()

        agnes("verify")

        assert server.seen == []
