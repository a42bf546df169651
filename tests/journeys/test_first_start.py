"""From `manage.py up` on nothing to the first administrator, with two web processes."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.journeys.installation import ROOT, Installation

pytestmark = pytest.mark.slow

PASSWORD = "four words nobody joins"


@pytest.fixture
def started(tmp_path: Path):
    """An installation that was started with `up` and has no users."""
    made = Installation(
        tmp_path, with_admin=False, AGNES_WEB_PROCESSES="2", AGNES_LOG_FORMAT="json"
    )
    with made.up():
        yield made


def try_setup(url: str, code: str, email: str) -> str:
    """Do as a browser does, and return where it leads, or what is said."""
    with requests.Session() as browser:
        page = browser.get(f"{url}/first-time-setup", timeout=30)
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        typed = {
            "code": code, "email": email, "password": PASSWORD, "again": PASSWORD,
            "csrfmiddlewaretoken": found.group(1) if found else "",
        }  # fmt: skip
        answer = browser.post(f"{url}/first-time-setup", typed, timeout=30, allow_redirects=False)
        return answer.headers.get("Location", f"{answer.status_code}")


class TestFirstStart:
    def test_lets_one_of_several_people_in_who_hold_the_code(self, started):
        printed = re.search(r"one-time code  (\S+)", started.log("up"))
        code = printed.group(1)

        with ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(
                    lambda number: try_setup(started.url, code, f"user{number}@example.com"),
                    range(6),
                )
            )

        assert answers.count("/admin/") == 1
        assert set(answers) <= {"/admin/", "409", "/"}
        assert started.manage("shell", "-c", _COUNT, "--verbosity", "0").strip() == "1 1"
        assert started.log("up").count(code) == 1
        assert "one-time code" not in started.log("up").split("one-time code", 1)[1]
        assert requests.get(f"{started.url}/first-time-setup", timeout=30).url.endswith(
            "/accounts/login/?next=/"
        )

    def test_ends_with_a_line_where_there_is_nobody_to_be_made(self, started):
        code = re.search(r"one-time code  (\S+)", started.log("up")).group(1)
        try_setup(started.url, code, "eve@example.com")

        done = subprocess.run(
            [sys.executable, "manage.py", "setup_code"], cwd=ROOT, env=started.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert done.returncode == 1
        assert done.stderr.startswith("Error: The first administrator has been made already.")


_COUNT = """
from access.models import User, Membership
print(User.objects.count(), Membership.objects.filter(group__name="Admin").count())
"""
