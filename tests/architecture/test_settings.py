"""Every setting is explained, and the example files are those of this release."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agnes_site.core.config import Config, described, load
from agnes_site.web.reference.settings import default_text
from tests.architecture.conftest import ROOT

ENVIRONMENT = ROOT / "deploy" / "env.example"
INSTANCE = ROOT / "deploy" / "instance.example.yaml"
LINE = re.compile(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", re.MULTILINE)
SETTINGS = list(described())


def written() -> dict[str, str]:
    """The settings in env.example, those that are commented out too."""
    return dict(LINE.findall(ENVIRONMENT.read_text(encoding="utf-8")))


class TestEachSetting:
    def test_has_a_description(self):
        silent = [name for name, info, *_ in SETTINGS if not (info.description or "").endswith(".")]

        assert silent == []

    def test_has_an_environment_variable_of_its_own(self):
        names = [env for _, _, env, _, _ in SETTINGS]

        assert sorted(set(names)) == sorted(names)

    def test_has_a_line_in_the_documents(self):
        page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

        assert [env for _, _, env, _, _ in SETTINGS if f"\n| `{env}` |" not in page] == []


class TestEnvironmentExample:
    def test_has_a_line_for_each_setting_and_no_other(self):
        assert sorted(written()) == sorted(env for _, _, env, _, _ in SETTINGS)

    def test_shows_the_defaults(self):
        shown = written()
        odd = {
            env: (shown[env], default_text(info.default))
            for _, info, env, _, is_secret in SETTINGS
            if not is_secret and default_text(info.default) not in ("", shown[env])
        }

        assert odd == {}

    def test_sets_nothing_by_itself(self):
        text = ENVIRONMENT.read_text(encoding="utf-8")

        assert [line for line in text.splitlines() if line and not line.startswith("#")] == []

    def test_shows_values_that_can_be_used(self, tmp_path):
        loaded = load({**written(), "CONFIG_DIR": str(tmp_path), "STATE_DIR": str(tmp_path)})

        assert loaded.config.database_url == "postgres://agnes:password@localhost/agnes"
        assert loaded.config.x_accel_prefix == "/store/"

    def test_boots_as_it_is(self, tmp_path):
        shutil.copy(ENVIRONMENT, tmp_path / ".env")

        manage("migrate --verbosity 0", tmp_path)
        answer = manage(f"shell --verbosity 0 -c '{ASK_READY}'", tmp_path)

        assert json.loads(answer) == {"status": "ok", "checks": {"database": "ok", "storage": "ok"}}

    def test_boots_with_a_secret_of_the_operator(self, tmp_path):
        text = ENVIRONMENT.read_text(encoding="utf-8")
        (tmp_path / ".env").write_text(text.replace("#SESSION_SECRET", "SESSION_SECRET"))

        rows = json.loads(manage("config --json", tmp_path))["settings"]

        (origin,) = [row["origin"] for row in rows if row["setting"] == "secret_key"]
        assert origin == "environment: SESSION_SECRET"


class TestInstanceExample:
    @pytest.fixture
    def loaded(self, tmp_path):
        shutil.copy(INSTANCE, tmp_path / "instance.yaml")
        return load({"CONFIG_DIR": str(tmp_path), "STATE_DIR": str(tmp_path / "state")})

    def test_loads_without_a_note(self, loaded):
        assert loaded.notes == ()

    def test_shows_the_defaults(self, loaded):
        places = {"config_dir", "state_dir"}
        defaults = Config().model_dump(exclude=places)

        assert loaded.config.model_dump(exclude=places) == defaults

    def test_has_every_key(self, loaded):
        origins = set(loaded.origins.values())
        missing = [
            key
            for name, _, _, key, _ in SETTINGS
            if key and name != "secret_key" and not any(o.endswith(f" {key}") for o in origins)
        ]

        assert missing == []

    def test_takes_the_secret_from_the_environment(self, tmp_path):
        shutil.copy(INSTANCE, tmp_path / "instance.yaml")
        places = {"CONFIG_DIR": str(tmp_path), "STATE_DIR": str(tmp_path / "state")}

        with_secret = load({**places, "SESSION_SECRET": "long and random"}).config

        assert with_secret.secret_key == "long and random"
        assert load(places).config.secret_key == ""


ASK_READY = """
import io
from agnes_site.wsgi import application
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/ready", "SERVER_NAME": "localhost",
           "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http"}
print(b"".join(application(environ, lambda status, headers: None)).decode())
"""


def manage(command: str, folder: Path) -> str:
    """Run a management command as an operator would, with the `.env` in ``folder`` alone."""
    done = subprocess.run(
        ["sh", "-c", f"set -a; . ./.env; set +a; '{sys.executable}' '{ROOT}/manage.py' {command}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
