"""Every failpoint is called, and every call names one that exists."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from agnes_site.core import failpoints as server
from analyst_cli import failpoints as client
from tests.architecture.conftest import ROOT

PROGRAMS = {
    "server": (server.NAMES, ["agnes_site", "access", "catalog", "extracts"]),
    "client": (client.NAMES, ["analyst_cli"]),
}


def calls(packages: list[str]) -> Iterator[ast.Call]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node.func) == "failpoint":
                    yield node


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        # `environment.failpoint()` asks which one is armed.
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        return function.attr if owner == "failpoints" else ""
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("program", PROGRAMS)
class TestFailpoints:
    def test_are_named_by_a_plain_text(self, program):
        _, packages = PROGRAMS[program]

        odd = [ast.unparse(call) for call in calls(packages) if not _is_plain(call)]

        assert odd == []

    def test_are_called_by_the_names_that_exist(self, program):
        names, packages = PROGRAMS[program]

        called = {ast.literal_eval(call.args[0]) for call in calls(packages) if _is_plain(call)}

        assert called == set(names)

    def test_have_names_of_their_own(self, program):
        names, _ = PROGRAMS[program]

        assert len(set(names)) == len(names)


def _is_plain(call: ast.Call) -> bool:
    return len(call.args) == 1 and isinstance(call.args[0], ast.Constant)
