"""Keys rotated while people save secrets, and a rotation that is killed half-way."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.journeys.installation import ROOT, Installation

pytestmark = pytest.mark.slow

_ADD = """
from catalog.services import sources
for name in ("a", "b", "c"):
    sources.add_source(
        slug=name, source_type="postgres", by=None,
        config={"host": "db.example.com", "database": "shop", "user": "agnes"},
    )
"""
_SAVE = """
import time
from pydantic import SecretStr
from catalog.models import Source
from tests import handed
for number in range(40):
    for source in Source.objects.all():
        value = SecretStr(f"{source.slug} {number}")
        handed.set_secret(source=source, key="password", value=value)
    time.sleep(0.05)
"""
_SHOW = """
from catalog.models import Source
from catalog.services import secrets
for source in Source.objects.order_by("slug"):
    print(secrets.secrets_of(source)["password"].get_secret_value())
"""


@pytest.fixture
def installation(tmp_path: Path, migrated: Installation) -> Iterator[Installation]:
    """Three sources."""
    made = Installation(tmp_path, like=migrated)
    made.manage("shell", "-v", "0", "-c", _ADD)
    yield made
    made.stop()


def shell(installation: Installation, script: str) -> list[str]:
    return installation.manage("shell", "-v", "0", "-c", script).splitlines()


class TestRotateSecrets:
    def test_loses_nothing_that_is_saved_meanwhile(self, installation):
        with ThreadPoolExecutor() as pool:
            saving = pool.submit(shell, installation, _SAVE)
            said = ""
            while not saving.done():
                said += installation.manage("rotate_secrets")
            saving.result()

        assert shell(installation, _SHOW) == ["a 39", "b 39", "c 39"]
        assert "Dropped the key" in said

    @pytest.mark.parametrize("step", ["rotation.key_added", "rotation.secret_renewed"])
    def test_is_repeated_after_being_killed(self, installation, step):
        shell(installation, _SAVE)
        killed = subprocess.run(
            [installation.python, "manage.py", "rotate_secrets"], cwd=ROOT, check=False,
            env={**installation.environment, "AGNES_FAILPOINT": step},
        )  # fmt: skip
        assert killed.returncode == -9
        assert shell(installation, _SHOW) == ["a 39", "b 39", "c 39"]

        said = installation.manage("rotate_secrets")

        assert said.count("Dropped the key") == 2
        assert shell(installation, _SHOW) == ["a 39", "b 39", "c 39"]
        keys = installation.data / "state" / "keys" / "secrets"
        assert len(keys.read_text().split()) == 1
