"""Slugs: one name for one thing."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agnes_site.core import slugs

TAKEN = st.sets(st.sampled_from(["orders", "orders_2", "t_1", "unnamed", "con", "a" * 64]))


@pytest.mark.hostile(16)
class TestSlug:
    @pytest.mark.parametrize("name", ["a", "_", "Orders", "ORDERS_2024", "x" * 64, "com", "con1"])
    def test_keeps_what_is_one(self, name):
        assert slugs.slug(name) == name

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Orders 2024", "orders_2024"), ("2024", "t_2024"), ("a-b.c", "a_b_c"),
            ("  spaced  ", "spaced"), ("Müller & Söhne", "muller_sohne"), ("ЗАКАЗЫ", "zakazy"),
            ("", "unnamed"), ("...", "unnamed"), ("_é", "e"), ("../../etc/passwd", "etc_passwd"),
            ("NUL", "t_nul"), ("com1", "t_com1"), ("a\0b", "a_b"), ("x" * 65, "x" * 64),
        ],
    )  # fmt: skip
    def test_makes_one_of_what_is_none(self, name, slug):
        assert slugs.slug(name) == slug

    def test_numbers_what_is_taken_without_regard_to_case(self):
        assert slugs.slug("Orders", taken={"orders"}) == "Orders_2"
        assert slugs.slug("orders", taken={"orders", "orders_2", "orders_3"}) == "orders_4"

    def test_stays_within_the_length_when_it_is_numbered(self):
        taken = {"a" * 64, *("a" * 62 + f"_{number}" for number in range(2, 10))}

        assert slugs.slug("a" * 64, taken=taken) == "a" * 61 + "_10"

    @given(st.text(max_size=200), TAKEN)
    def test_is_always_free_and_always_one(self, name, taken):
        found = slugs.slug(name, taken=taken)

        assert slugs.is_slug(found)
        assert found.lower() not in taken

    @given(st.text(max_size=100))
    def test_of_accents_in_one_piece_or_two_is_the_same(self, name):
        assert len({slugs.slug(normalize(form, name)) for form in ("NFC", "NFD")}) == 1

    @given(st.lists(st.text("aA1_ é", max_size=8), max_size=20))
    def test_is_another_one_for_each_of_many(self, names):
        taken: set[str] = set()
        for name in names:
            taken.add(slugs.slug(name, taken=taken).lower())

        assert len(taken) == len(names)

    @given(st.text(max_size=100))
    def test_of_a_slug_is_itself(self, name):
        once = slugs.slug(name)

        assert slugs.slug(once) == once


@pytest.mark.hostile(16)
class TestFolded:
    @given(st.text(max_size=100))
    def test_is_the_same_for_all_spellings(self, name):
        small = "".join(c for c in name if c.upper().lower() == c.lower())
        spellings = [
            spelled
            for cased in (small, small.lower(), small.upper())
            for spelled in (normalize("NFC", cased), normalize("NFD", cased))
        ]

        assert len({slugs.folded(spelled) for spelled in spellings}) == 1

    @given(st.text(st.characters(codec=None), max_size=50))
    def test_can_be_stored_and_changes_no_more(self, name):
        once = slugs.folded(name)

        assert "\0" not in once
        assert once.encode().decode() == once
        assert slugs.folded(once) == once

    @given(st.text("aAbB1 _", max_size=8), st.text("aAbB1 _", max_size=8))
    def test_of_two_names_differs_by_more_than_case(self, one, other):
        same = one.lower() == other.lower()

        assert (slugs.folded(one) == slugs.folded(other)) is same


@pytest.mark.hostile(16)
class TestIsSlug:
    @pytest.mark.parametrize(
        "name",
        [
            "",
            "1a",
            "a b",
            "a-b",
            "é",
            "a\n",
            "x" * 65,
            "con",
            "CON",
            "Com1",
            "lpt9",
            "a.b",
            "\uff41",
        ],
    )
    def test_refuses_what_a_file_system_or_sql_would_take_otherwise(self, name):
        assert not slugs.is_slug(name)
