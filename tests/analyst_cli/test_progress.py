"""How a pull says where it is."""

from __future__ import annotations

import pytest

from analyst_cli.pull import progress
from analyst_cli.pull.progress import Bars, Lines


class TestLines:
    def test_say_nothing_after_their_end(self, capsys):
        with Lines() as lines:
            lines.end("orders.parquet", size_bytes=1, is_good=True)
        lines.end("customers.parquet", size_bytes=1, is_good=True)

        assert capsys.readouterr().err == "orders.parquet  1 B\n"


class TestBars:
    def test_are_not_drawn_after_their_end(self, monkeypatch):
        monkeypatch.setattr(progress, "_Drawn", lambda: pytest.fail("They are drawn."))
        with Bars() as bars:
            pass

        bars.begin("orders.parquet", size_bytes=1, done_bytes=0)
        bars.advance("orders.parquet", done_bytes=1)
        bars.end("orders.parquet", size_bytes=1, is_good=True)
