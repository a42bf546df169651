from datetime import UTC, datetime, timedelta

import pytest

from agnes_site.core import human

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


class TestSize:
    @pytest.mark.parametrize(
        ("count", "said"),
        [
            (None, "—"),
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1_000, "1.0 kB"),
            (9_940, "9.9 kB"),
            (9_990, "10 kB"),
            (323_000_000, "323 MB"),
            (999_600, "1.0 MB"),
            (2_600_000_000, "2.6 GB"),
            (5_000_000_000_000_000_000, "5,000 PB"),
        ],
    )
    def test_has_the_unit_that_fits(self, count, said):
        assert human.size(count).replace("\u00a0", " ") == said


class TestAgo:
    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (0, "just now"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (3 * 60, "3 minutes ago"),
            (5 * 3600, "5 hours ago"),
            (86_400, "1 day ago"),
            (44 * 86_400, "44 days ago"),
            (70 * 86_400, "2 months ago"),
            (800 * 86_400, "2 years ago"),
            (-2 * 86_400, "in 2 days"),
        ],
    )
    def test_says_how_far_it_is(self, seconds, said):
        assert human.ago(NOW - timedelta(seconds=seconds), now=NOW) == said


class TestDuration:
    @pytest.mark.parametrize(
        ("seconds", "said"),
        [
            (-0.1, "0.0 s"),
            (0.42, "0.4 s"),
            (12, "12 s"),
            (59.7, "1 min 0 s"),
            (184, "3 min 4 s"),
            (7500, "2 h 5 min"),
        ],
    )
    def test_says_how_long_it_took(self, seconds, said):
        assert human.duration(seconds).replace("\u00a0", " ") == said


class TestPlural:
    def test_agrees_with_its_number(self):
        found = [human.plural(number, "person", "people") for number in (0, 1, 1200)]

        assert found == ["0 people", "1 person", "1,200 people"]
