"""The benchmark works: every measurement does its work and finds its results right."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date

import pytest

from tests.bench import nginx, report
from tests.bench.bench import WrongResultError, check
from tests.bench.figures import Figure
from tests.bench.measurements import NAMES
from tests.bench.report import Section
from tests.journeys.installation import ROOT


class TestFigure:
    def test_is_met_when_value_and_ratio_are_within_their_budgets(self):
        figure = Figure(
            what="a pull", unit="s", value=3.0, compared=2.0, budget=4, ratio_budget=1.5
        )

        assert (figure.ratio, figure.verdict) == (1.5, "met")

    def test_is_missed_when_the_ratio_is_above_its_budget(self):
        figure = Figure(
            what="a pull", unit="s", value=3.1, compared=2.0, budget=4, ratio_budget=1.5
        )

        assert figure.verdict == "missed"

    def test_is_no_success_when_it_was_not_measured(self):
        figure = Figure(what="a pull", budget=4, remark="curl is not installed.")

        assert figure.verdict == "not measured"

    def test_shows_all_that_it_is_judged_by(self):
        figure = Figure(
            what="a pull", unit="s", value=2.5, compared_with="curl", compared=2.0, ratio_budget=1.5
        )

        assert figure.cells() == ("a pull", "2.5 s", "curl: 2.0 s", "1.25 x", "≤ 1.5 x", "met")


class TestCheck:
    def test_refuses_a_wrong_result(self):
        with pytest.raises(WrongResultError, match="rows: expected 2, found 1"):
            check(1, 2, what="rows")


class TestPage:
    def test_names_what_is_missed_and_what_is_not_measured(self):
        figures = [
            Figure(what="a start", unit="ms", value=90.0, budget=60),
            Figure(what="a pull", unit="ms", value=90.0, budget=100),
            Figure(what="an install", budget=25, remark="It needs the registry."),
        ]
        section = Section(name="start", text="Starting.\n\nWell.", busy=0.25, figures=figures)

        page = report.page([section], facts={"Machine": "2 cores"}, today=date(2026, 11, 21))

        assert (
            "1 of 2 budgets are met.\n\nMissed:\n\n- a start\n\nNot measured:\n\n- an install\n"
        ) in page
        assert "| a start | 90.0 ms |  |  | ≤ 60 ms | missed |" in page
        assert "It needs the registry." in page
        assert "start 25%" in page


class TestMissingPrograms:
    def test_are_named_and_the_rest_is_measured(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench", "--quick", "--only", "pull", "--only", "install"],
            cwd=ROOT, env={**os.environ, "PATH": str(tmp_path)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == 3, done.stderr
        assert "curl is not installed" in done.stdout
        assert "The client was not installed: add `--with-install`" in done.stdout
        assert "curl must be installed" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.hostile(59)
class TestQuickRun:
    # The installation needs a registry; the demo tells its whole story in tests of its own.
    @pytest.mark.parametrize("name", [name for name in NAMES if name not in ("install", "demo")])
    def test_measures_and_finds_the_results_right(self, name):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench", "--quick", "--only", name],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

        # nginx is compared with where it is installed; all else is measured everywhere.
        lacks_nginx = name == "pull" and not nginx.is_installed()
        assert done.returncode == (3 if lacks_nginx else 0), done.stdout + done.stderr
        assert "not measured" not in done.stdout

    def test_says_that_the_client_was_not_installed(self):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench", "--quick", "--only", "install"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip

        assert "The client was not installed: add `--with-install`" in done.stdout

    def test_writes_no_page(self):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench", "--quick", "--write"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == 2
        assert "The page is of one whole run" in done.stderr
