"""Who may import whom: kept by the code, and reported when it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.conftest import ROOT

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract["name"] for contract in LINTER["contracts"]]

APPS = "Imports point down from app to app"
ROOMS = "Imports point down inside an app"
CLIENT = "The client imports nothing of the server"
SERVER = "The server imports nothing of the client"
PLAIN = "Engine, connectors and the demo company's data are plain Python"

BREACHES = [
    (APPS, "agnes_site/core/slugs.py", "import access.models"),
    (APPS, "access/services/audit.py", "import catalog.models"),
    (APPS, "catalog/services/files.py", "from extracts import models"),
    (APPS, "extracts/tasks.py", "from agnes_site.web import accounts"),
    (APPS, "agnes_site/web/accounts.py", "import agnes_site.api"),
    (APPS, "metrics/__init__.py", "import marketplace"),
    (ROOMS, "access/models/user.py", "from access.services import audit"),
    (ROOMS, "catalog/services/files.py", "import catalog.api"),
    (ROOMS, "catalog/connectors/contract.py", "import catalog.models"),
    (ROOMS, "extracts/services/runs.py", "from extracts import tasks"),
    (ROOMS, "extracts/services/runs.py", "import extracts.admin.shown"),
    (ROOMS, "catalog/api/tables.py", "import catalog.admin"),
    (ROOMS, "extracts/engine/parquet.py", "import extracts.connectors.external"),
    (CLIENT, "analyst_cli/errors.py", "from agnes_site.core import errors"),
    (CLIENT, "analyst_cli/errors.py", "import django"),
    (SERVER, "agnes_site/core/errors.py", "import analyst_cli"),
    (SERVER, "extracts/services/runs.py", "from analyst_cli import errors"),
    (PLAIN, "extracts/engine/parquet.py", "import django.db"),
    (PLAIN, "extracts/engine/parquet.py", "from agnes_site.core import requests"),
    (PLAIN, "extracts/connectors/external/connector.py", "import catalog.services.versions"),
    (PLAIN, "catalog/connectors/contract.py", "from celery import current_app"),
    (PLAIN, "agnes_site/demo/generator.py", "import access.models"),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of all packages that may be spoilt."""
    folder = tmp_path_factory.mktemp("copied")
    for package in LINTER["root_packages"]:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class TestContracts:
    def test_are_kept_by_the_code(self, copied):
        code, output = lint(copied)

        assert code == 0, output
        assert [name for name in CONTRACTS if f"{name} KEPT" not in output] == []

    @pytest.mark.parametrize(("contract", "module", "line"), BREACHES)
    def test_report_a_forbidden_import(self, copied, contract, module, line):
        path = copied / module
        sound = path.read_text(encoding="utf-8")
        path.write_text(f"{sound}\n\ndef _forbidden() -> None:\n    {line}\n", encoding="utf-8")
        try:
            code, output = lint(copied)
        finally:
            path.write_text(sound, encoding="utf-8")

        assert code == 1
        assert f"{contract} BROKEN" in output

    def test_each_have_a_breach_that_is_tried(self):
        assert {contract for contract, _, _ in BREACHES} == set(CONTRACTS)
