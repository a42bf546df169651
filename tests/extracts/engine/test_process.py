"""One child process per run: what goes wrong there goes wrong there only."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from agnes_site.core.errors import UpstreamError
from agnes_site.core.progress import silent
from extracts.engine import process, warm
from extracts.engine.process import Job

HERE = "tests.extracts.engine.jobs"


@pytest.fixture(autouse=True)
def _warm():
    """The zygote is running: no test waits for its start."""
    _run("add")


def _run(function: str, *, progress=silent, should_stop=lambda: False, **options):
    arguments = options.pop("arguments", {})
    job = Job(function=f"{HERE}:{function}", arguments=arguments, **options)
    return process.run(job, progress=progress, should_stop=should_stop)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while _is_alive(pid):
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.02)


class TestRun:
    def test_returns_the_result_and_reports_progress(self):
        seen = []

        result = _run(
            "add", arguments={"a": 1, "b": "ž"},
            progress=lambda phase, **rest: seen.append((phase, rest["done"], rest["total"])),
        )  # fmt: skip

        assert result == {"a": 1, "b": "ž"}
        assert seen == [("adding", 1, 2)]

    def test_carries_an_error_over_with_code_message_hint_and_details(self):
        with pytest.raises(process.ChildFailedError) as caught:
            _run("refuse")

        error = caught.value
        assert (error.code, error.status) == ("job_refused", 422)
        assert (error.message, error.hint) == ("No.", "Ask nicely.")
        assert error.details == {"row": 7}

    def test_says_that_the_other_side_failed_and_when_to_come_back(self):
        with pytest.raises(UpstreamError) as caught:
            _run("fail_upstream")

        assert isinstance(caught.value, process.ChildFailedError)
        assert (caught.value.code, caught.value.retry_after) == ("upstream_error", 30)

    def test_tells_nothing_of_the_data_when_something_unforeseen_happens(self):
        with pytest.raises(process.ChildFailedError) as caught:
            _run("stumble")

        assert caught.value.code == "internal_error"
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("how", ["abort", "kill", "exit"])
    def test_survives_the_crash_of_a_child(self, how):
        with pytest.raises(process.ChildCrashedError):
            _run("crash", arguments={"how": how})

        assert _run("add", arguments={"a": 1}) == {"a": 1}

    def test_bounds_the_memory_of_a_child(self):
        with pytest.raises(process.ChildFailedError) as caught:
            _run("eat", arguments={"bytes": 2 * 1024**3}, memory_bytes=512 * 1024**2)

        assert caught.value.code == "memory_exceeded"

    def test_says_so_when_duckdb_has_no_memory_left(self):
        with pytest.raises(process.ChildFailedError) as caught:
            _run("eat_in_duckdb")

        assert caught.value.code == "memory_exceeded"

    @pytest.mark.parametrize("function", ["fill_disk", "spill"])
    @pytest.mark.hostile(52)
    def test_says_so_when_the_disk_is_full(self, function, tmp_path):
        with pytest.raises(process.ChildFailedError) as caught:
            _run(function, arguments={"folder": str(tmp_path)})

        assert (caught.value.code, caught.value.status) == ("storage_full", 507)

    @pytest.mark.parametrize("function", ["sleep", "stop_in_the_middle_of_an_answer"])
    def test_ends_a_child_that_takes_too_long(self, function):
        seen = []

        with pytest.raises(process.ChildTimeoutError):
            _run(
                function, timeout_seconds=5,
                progress=lambda phase, **rest: seen.append(rest["message"]),
            )  # fmt: skip

        _wait_until_gone(int(seen[0]))

    @pytest.mark.parametrize("function", ["sleep", "stop_in_the_middle_of_an_answer"])
    def test_ends_a_child_that_is_no_longer_wanted(self, function):
        seen = []

        with pytest.raises(process.ChildStoppedError):
            _run(
                function, should_stop=lambda: bool(seen),
                progress=lambda phase, **rest: seen.append(rest["message"]),
            )  # fmt: skip

        _wait_until_gone(int(seen[0]))

    def test_gives_the_child_the_environment_it_is_told_and_nothing_else(self, monkeypatch):
        monkeypatch.setenv("SESSION_SECRET", "canary-in-the-environment")

        seen = _run("environment", environ={"TOKEN": "for this run"})

        assert seen["variables"] == {"TOKEN": "for this run"}
        assert "canary" not in seen["initial"]
        assert "canary" not in seen["command_line"]

    def test_leaves_no_open_file_of_the_parent_to_the_child(self, tmp_path):
        with (tmp_path / "secret.txt").open("w"):
            assert not any("secret.txt" in name for name in _run("open_files"))


class TestRunEach:
    def test_has_one_child_do_everything_in_order(self):
        outcomes = _run_each({"what": "pid"}, {"what": "refuse"}, {"what": "pid"})

        first, error, last = outcomes
        assert first == last
        assert (error.code, error.details) == ("job_refused", {"row": 7})

    @pytest.mark.parametrize(
        ("bad", "code", "timeout_seconds"),
        [
            ({"what": "crash", "how": "kill"}, "child_crashed", 60),
            ({"what": "eat", "bytes": 10**12}, "memory_exceeded", 60),
            ({"what": "sleep"}, "run_timeout", 3),
        ],
    )
    def test_loses_nothing_but_what_ends_a_child(self, bad, code, timeout_seconds):
        first, error, *rest = _run_each(
            {"what": "pid"}, bad, {"what": "pid"}, {"what": "pid"},
            timeout_seconds=timeout_seconds,
        )  # fmt: skip

        assert error.code == code
        assert rest == [rest[0]] * 2
        assert rest[0] != first

    def test_tells_which_is_at_work(self):
        seen = []

        def stop(done: int) -> bool:
            seen.append(done)
            return done == 1

        _, error, last = _run_each(
            {"what": "pid"}, {"what": "sleep"}, {"what": "pid"}, should_stop=stop
        )

        assert error.code == "run_stopped"
        assert 1 in seen
        assert seen == sorted(seen)
        assert isinstance(last, int)

    def test_tries_on_its_own_what_may_be_due_to_those_before(self, tmp_path):
        marker = tmp_path / "tried"

        outcomes = _run_each({"what": "pid"}, {"what": "crash_once", "marker": str(marker)})

        assert isinstance(outcomes[1], int)
        assert marker.exists()

    def test_ends_the_child_when_the_caller_asks_no_more(self):
        outcomes = process.run_each(
            Job(function=f"{HERE}:do", arguments={}),
            [{"what": "pid"}, {"what": "sleep"}],
            progress=lambda _: silent,
            should_stop=lambda _: False,
        )
        child = next(outcomes)

        outcomes.close()

        _wait_until_gone(child)


def _run_each(*each, should_stop=lambda _: False, **options):
    job = Job(function=f"{HERE}:do", arguments={}, **options)
    return list(process.run_each(job, each, progress=lambda _: silent, should_stop=should_stop))


class TestZygote:
    def test_has_one_thread(self):
        assert _run("threads_of_parent") == 1

    def test_has_imported_what_connectors_need(self):
        assert _run("imported_for_connectors") == []

    def test_that_does_not_answer_holds_nobody_up(self):
        zygote = warm._zygote.process.pid
        os.kill(zygote, signal.SIGSTOP)
        try:
            with pytest.raises(process.ChildTimeoutError):
                _run("add", arguments={"a": "a" * 10_000_000}, timeout_seconds=1)
        finally:
            os.kill(zygote, signal.SIGCONT)

    def test_is_replaced_when_it_is_gone(self):
        _run("add")
        os.kill(warm._zygote.process.pid, signal.SIGKILL)
        warm._zygote.process.wait()

        assert _run("add", arguments={"a": 2}) == {"a": 2}
