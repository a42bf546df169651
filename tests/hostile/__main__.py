"""Writes docs/reference/hostile_cases.md: `python -m tests.hostile`."""

from __future__ import annotations

from tests.hostile import page

page.PATH.write_text(page.text(), encoding="utf-8")
