"""What is recorded can be told to people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from agnes_site.web.overview.happened import SENTENCES
from extracts.models import RunKind

ROOT = Path(__file__).resolve().parents[2]


def recorded() -> Iterator[str]:
    """Yield the action of each ``audit.record(action=…)``, or of many at once, in the code."""
    for package in ("access", "catalog", "extracts", "agnes_site"):
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                called = getattr(node.func, "attr", "") if isinstance(node, ast.Call) else ""
                if called in {"record", "record_each"}:
                    for each in node.keywords:
                        if each.arg == "action":
                            yield from _texts(each.value, tree)


def _texts(value: ast.expr, tree: ast.Module) -> Iterator[str]:
    """Yield what an expression may be: what it says, or what its name is given in the file."""
    match value:
        case ast.Constant(str(text)):
            yield text
        case ast.IfExp():
            yield from _texts(value.body, tree)
            yield from _texts(value.orelse, tree)
        case ast.Name():
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == value.id:
                    yield from _texts(node.value, tree)
        case ast.JoinedStr([ast.Constant("run."), ast.FormattedValue()]):
            yield from (f"run.{kind}" for kind in (RunKind.EXTRACT, RunKind.REBUILD))
        case _:
            yield ast.unparse(value)


class TestEachActionOfTheAudit:
    def test_has_a_sentence_on_the_overview(self):
        actions = set(recorded())

        assert {"register_table", "user.activate", "run.extract"} <= actions
        assert actions - set(SENTENCES) == set(), (
            "Add a sentence to agnes_site/web/overview/happened.py."
        )
