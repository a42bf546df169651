"""Files of one shape are offered as one table, however many there are."""

from __future__ import annotations

from itertools import product
from string import ascii_lowercase

from extracts.connectors.files.locations.location import Entry
from extracts.connectors.files.offers import _grouped


class Alike:
    """Takes all files for those of one shape."""

    def are_alike(self, _entries) -> bool:
        return True


def offered(*names: str) -> dict[str, list[str]]:
    entries = [Entry(name=name, place="") for name in sorted(names)]
    return {
        offer.source_table: [entry.name for entry in offer.entries]
        for offer in _grouped(entries, Alike())
    }


class TestGroups:
    def test_are_files_whose_names_differ_in_numbers(self):
        assert offered("a1.csv", "a22.csv", "b.csv", "c-2.csv", "c-2025-01.csv") == {
            "a[0-9]*.csv": ["a1.csv", "a22.csv"],
            "b.csv": ["b.csv"],
            "c-[0-9]*.csv": ["c-2.csv", "c-2025-01.csv"],
        }

    def test_are_none_where_the_pattern_would_mean_others_too(self):
        names = ["a1.csv", "a2.csv", "a3_old.csv"]

        assert list(offered(*names)) == names

    def test_are_found_among_many_others(self):
        stems = ["".join(letters) for letters in product(ascii_lowercase, repeat=3)]

        found = offered(*[f"{stem}_{number}.csv" for stem in stems for number in (1, 2)])

        assert len(found) == len(stems)
