"""What is recorded can be told to people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from agnes_site.web.overview.happened import SENTENCES

ROOT = Path(__file__).resolve().parents[2]


def recorded() -> Iterator[str]:
    """Yield the action of each ``audit.record(action=…)``, or of many at once, in the code."""
    for package in ("access", "catalog", "extracts", "agnes_site"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                called = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
                if called in {"record", "record_each"}:
                    yield from (
                        each.value.value
                        for each in node.keywords
                        if each.arg == "action" and isinstance(each.value, ast.Constant)
                    )


class TestEachActionOfTheAudit:
    def test_has_a_sentence_on_the_overview(self):
        actions = set(recorded())

        assert "register_table" in actions
        assert actions - set(SENTENCES) == set(), (
            "Add a sentence to agnes_site/web/overview/happened.py."
        )
