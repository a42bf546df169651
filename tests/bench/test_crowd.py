"""What goes on side by side is counted, and so is what fails."""

from __future__ import annotations

import time

import pytest

from tests.bench.bench import WrongResultError
from tests.bench.crowd import Crowd, Tally


class TestTally:
    def test_finds_the_time_of_so_many_of_a_hundred(self):
        tally = Tally(seconds=[number / 1000 for number in range(200, 0, -1)])

        assert (tally.ms(50), tally.ms(99), tally.ms(100)) == (100, 198, 200)

    def test_takes_the_only_one_for_all(self):
        assert Tally(seconds=[0.5]).ms(99) == 500

    def test_has_no_time_of_nothing(self):
        with pytest.raises(WrongResultError, match="None was done"):
            Tally(errors=["lost"]).ms(50)


class TestCrowd:
    def test_counts_what_is_done_and_what_fails(self):
        turns = iter(range(1000))

        def fail_at_times() -> None:
            if next(turns) % 2:
                raise WrongResultError("odd")

        crowd = Crowd()
        crowd.keep("turn", fail_at_times, every_seconds=0.01)
        crowd.run(0.5)

        tally = crowd.tallies["turn"]
        assert len(tally.seconds) - len(tally.errors) in (0, 1)
        assert set(tally.errors) == {"WrongResultError: odd"}

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_counts_one_that_ends_by_itself(self):
        def break_down() -> None:
            raise KeyError("what nobody foresaw")

        crowd = Crowd()
        crowd.keep("turn", break_down, every_seconds=0.01)
        crowd.run(0.5)

        assert crowd.tallies["turn"].errors == ["It ended by itself."]

    def test_counts_the_wait_behind_a_slow_one(self):
        turns = iter([0.3, *[0] * 1000])

        crowd = Crowd()
        crowd.keep("turn", lambda: time.sleep(next(turns)), every_seconds=0.01, by_the_clock=True)
        crowd.run(1)

        first, second, *_ = crowd.tallies["turn"].seconds
        assert first >= 0.3
        assert second >= 0.28
