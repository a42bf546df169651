"""The client where people and programs really run it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.analyst_cli.agnes_server import TOKEN

pytestmark = pytest.mark.hostile(49)


@pytest.fixture
def home(server, config, tmp_path: Path) -> Path:
    """A home folder with a name that is odd everywhere."""
    path = tmp_path / 'Ana\'s "höme" [1] $x'
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    server.publish("orders", "SELECT 'č€ 漢' AS word")
    return path


# What `docker run` without `-t`, cron and old servers hand to a program.
BARE = [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "POSIX", "TERM": "dumb"}, {"LANG": "xx_XX"}]


@pytest.mark.parametrize("bare", BARE, ids=lambda given: "-".join(given.values()))
def test_works_in_a_home_folder_without_a_terminal(spawn, server, home, bare):
    given = {"HOME": str(home), "AGNES_SERVER": server.url, "AGNES_TOKEN": TOKEN, **bare}

    def agnes(*words: str) -> str:
        process = spawn(*words, cwd=home, **given)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors
        return output

    agnes("init", "--server", server.url)
    agnes("pull")

    assert json.loads(agnes("query", "FROM orders", "--json")) == [{"word": "č€ 漢"}]
    assert agnes("query", "FROM orders")
    assert (home / "notes.txt").read_text() == "mine"
    assert json.loads(agnes("verify", "--json"))["bad"] == 0
