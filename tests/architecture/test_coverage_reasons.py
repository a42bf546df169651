"""Reasons for what no test covers are about code that is there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.covered import reasons
from tests.covered.measured import TOP

ROOT = Path(__file__).resolve().parents[2]


@cache
def _names(path: str) -> frozenset[str]:
    return frozenset(_functions(ast.parse((ROOT / path).read_text(encoding="utf-8"))))


def _functions(node: ast.AST, within: str = "") -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield within + child.name
            yield from _functions(child, f"{within}{child.name}.")
        else:
            yield from _functions(child, within)


@pytest.mark.parametrize("key", reasons.read())
def test_each_reason_names_code_that_is_there(key):
    path, _, name = key.partition(":")

    assert (ROOT / path).is_file()
    if name and name != TOP:
        assert name in _names(path)
