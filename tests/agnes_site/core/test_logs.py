from __future__ import annotations

import json
import subprocess
import sys

import pytest

from agnes_site.core.config import BASE_DIR

PROGRAM = """
import logging, structlog
from agnes_site.core.logs import logging_config

logging_config(level="WARNING", style={style!r})
structlog.contextvars.bind_contextvars(request_id="r-1")
log = structlog.get_logger("extracts.services.runs")
log.info("Not severe enough")

def sign_in(password):
    raise ValueError("refused")

try:
    sign_in("hunter" + "2")
except ValueError:
    log.exception("A request failed", run="7")
logging.getLogger("celery").warning("from a library")
"""


@pytest.fixture
def logged():
    def run(style: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM.format(style=style)],
            cwd=BASE_DIR, capture_output=True, text=True, check=True,
        )  # fmt: skip

    return run


class TestLogging:
    def test_writes_json_a_line(self, logged):
        done = logged("json")

        ours, theirs = (json.loads(line) for line in done.stderr.splitlines())
        assert done.stdout == ""
        assert (ours["event"], ours["run"], ours["request_id"], ours["level"]) == (
            "A request failed", "7", "r-1", "error",
        )  # fmt: skip
        assert ours["logger"] == "extracts.services.runs"
        assert "ValueError: refused" in ours["exception"]
        assert theirs["event"] == "from a library"

    def test_writes_text_to_the_same_place(self, logged):
        done = logged("text")

        assert done.stdout == ""
        assert "A request failed" in done.stderr
        assert "ValueError: refused" in done.stderr

    @pytest.mark.parametrize("style", ["json", "text"])
    def test_leaves_out_what_is_not_severe_enough(self, logged, style):
        assert "Not severe enough" not in logged(style).stderr

    @pytest.mark.parametrize("style", ["json", "text"])
    def test_never_shows_the_values_of_variables(self, logged, style):
        done = logged(style)

        assert "hunter2" not in done.stdout + done.stderr
