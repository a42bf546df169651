"""Writes docs/reference/coverage.md from what was measured: `python -m tests.covered`."""

from __future__ import annotations

import sys

from tests.covered import page
from tests.covered.measured import Measured

found = Measured.read()
page.PATH.write_text(page.text(found), encoding="utf-8")
sys.stdout.write(f"{page.summary(found)} Wrote {page.PATH.name}.\n")
if stale := page.stale(found):
    sys.exit(f"Reasons for what is covered by now: {', '.join(stale)}.")
