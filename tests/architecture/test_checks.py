"""Django's own checks, as an installation that people reach by https would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.architecture.conftest import ROOT

# What the proxy in front decides: it redirects to https, and says for how long that holds.
LEFT_TO_THE_PROXY = {"security.W004", "security.W008"}


def check(tmp_path, *arguments: str, **environ: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check", *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class TestChecks:
    def test_find_nothing_in_a_fresh_installation(self, tmp_path):
        code, output = check(tmp_path, "--fail-level", "WARNING")

        assert code == 0, output

    def test_find_nothing_insecure_behind_https(self, tmp_path):
        _, output = check(
            tmp_path, "--deploy", AGNES_HTTPS="true", SERVER_URL="https://agnes.example.com"
        )

        assert set(re.findall(r"\((\w+\.[A-Z]\d+)\)", output)) == LEFT_TO_THE_PROXY

    def test_notice_cookies_that_would_be_sent_without_https(self, tmp_path):
        _, output = check(tmp_path, "--deploy")

        assert {"security.W012", "security.W016"} <= set(re.findall(r"\((\w+\.[A-Z]\d+)\)", output))
