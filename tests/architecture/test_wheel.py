"""What is installed on a laptop."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class TestWheel:
    def test_holds_the_thin_client_and_nothing_else(self, tmp_path):
        subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
            cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
        (wheel,) = tmp_path.glob("*.whl")

        names = zipfile.ZipFile(wheel).namelist()

        folders = {name.split("/")[0] for name in names}
        assert {name for name in folders if not name.endswith(".dist-info")} == {"analyst_cli"}
        assert any(name.endswith("analyst_cli/commands/pull.py") for name in names)

    def test_needs_few_packages(self):
        locked = (ROOT / "requirements" / "client.txt").read_text().splitlines()

        packages = [line for line in locked if line and line[0].isalnum()]
        assert len(packages) + 1 <= 25
