"""Names that come from a server, and addresses that get the token."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyst_cli import output, results
from analyst_cli.names import is_single_segment
from analyst_cli.sql import quote_identifier, quote_literal
from analyst_cli.transport import is_same_server


@pytest.mark.hostile(16)
class TestIsSingleSegment:
    @given(st.text())
    def test_is_never_true_of_a_path(self, name):
        if is_single_segment(name):
            assert not set(name) & set('/\\:*?"<>|\0')
            assert name not in (".", "..")

    @pytest.mark.parametrize("name", ["orders", "a-b", "2024.x", "événements", "x'y"])
    def test_is_true_of_a_plain_name(self, name):
        assert is_single_segment(name)


@pytest.mark.hostile(15)
class TestQuoting:
    @given(st.text(min_size=1).filter(lambda text: "\0" not in text))
    def test_leaves_no_way_out(self, text):
        assert quote_identifier(text)[1:-1].replace('""', "").count('"') == 0
        assert quote_literal(text)[1:-1].replace("''", "").count("'") == 0

    @pytest.mark.parametrize("name", ["", "a\0b"])
    def test_refuses_what_is_no_name(self, name):
        with pytest.raises(ValueError, match="cannot be a name"):
            quote_identifier(name)


class TestIsSameServer:
    @pytest.mark.parametrize(
        ("first", "second", "expected"),
        [
            ("https://a.com/x", "https://a.com/y", True),
            ("https://a.com/x", "https://a.com:443/y", True),
            ("http://a.com/x", "https://a.com/y", True),
            ("https://a.com/x", "http://a.com/y", False),
            ("https://a.com/x", "https://a.com:8443/y", False),
            ("http://a.com:8000/x", "https://a.com/y", False),
            ("https://a.com/x", "https://b.a.com/y", False),
            ("https://a.com/x", "https://a.com.evil.com/y", False),
            ("https://a.com/x", "https://a.com@evil.com/y", False),
        ],
    )
    def test_compares_all_that_matters(self, first, second, expected):
        assert is_same_server(first, second) is expected


class TestTable:
    def test_becomes_records_where_it_is_too_wide(self):
        text = output.table(["id", "text"], [[1, "x" * 50]], width=40)

        assert text == "-- 1 --\nid    1\ntext  " + "x" * 50

    @pytest.mark.hostile(15)
    def test_shows_nothing_that_steers_a_terminal(self):
        text = output.table(["a"], [["\x1b[31mred\nline"]])

        assert text.splitlines()[2] == r"\x1b[31mred\nline"

    def test_aligns_wide_characters(self):
        text = output.table(["a", "b"], [["日本", "x"], ["ab", "y"]])

        assert text.splitlines()[2:] == ["日本  x", "ab    y"]


class TestUniqueNames:
    @given(st.lists(st.text("aA_1", max_size=4)))
    def test_differ_and_keep_the_first(self, names):
        unique = results.unique_names(names)

        assert len({name.lower() for name in unique}) == len(names)
        assert all(new.startswith(old) for new, old in zip(unique, names, strict=True))
