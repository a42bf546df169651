"""The configuration: where each value comes from, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agnes_site.core import config
from agnes_site.core.errors import ConfigurationError
from tests import measured

ROOT = Path(__file__).resolve().parents[2]


class Installation:
    """Folders of an installation, and what is written in them."""

    def __init__(self, folder: Path) -> None:
        self.config_dir, self.data_dir = folder / "config", folder / "data"
        self.config_dir.mkdir()
        (self.data_dir / "state").mkdir(parents=True)

    def write(self, text: str) -> None:
        (self.config_dir / "instance.yaml").write_text(text, encoding="utf-8")

    def write_overlay(self, text: str) -> None:
        (self.data_dir / "state" / "instance.yaml").write_text(text, encoding="utf-8")

    def environment(self, **more: str) -> dict[str, str]:
        return {"CONFIG_DIR": str(self.config_dir), "DATA_DIR": str(self.data_dir), **more}

    def load(self, **more: str) -> config.Loaded:
        return config.load(self.environment(**more))


@pytest.fixture
def installation(tmp_path) -> Installation:
    return Installation(tmp_path)


class TestPrecedence:
    def test_is_environment_overlay_file_default(self, installation):
        def name(**environ) -> tuple[str, str]:
            found = installation.load(**environ)
            return found.config.instance_name, found.origins["instance_name"]

        assert name() == ("Agnes", "default")
        installation.write("instance: {name: Acme}")
        assert name() == ("Acme", f"{installation.config_dir}/instance.yaml: instance.name")
        installation.write_overlay("instance: {name: Acme Data}")
        assert name()[0] == "Acme Data"
        assert name()[1].startswith(str(installation.data_dir))
        assert name(AGNES_INSTANCE_NAME="Env") == ("Env", "environment: AGNES_INSTANCE_NAME")

    @pytest.mark.parametrize(
        ("given", "url"),
        [
            ({"AGNES_BIND": "127.0.0.1:8001"}, "http://127.0.0.1:8001"),
            ({"AGNES_BIND": "0.0.0.0:8001"}, "http://127.0.0.1:8000"),
            (
                {"AGNES_BIND": "127.0.0.1:8001", "SERVER_URL": "https://acme.com"},
                "https://acme.com",
            ),
        ],
    )
    def test_puts_the_own_address_in_place_of_the_default(self, installation, given, url):
        assert installation.load(**given).config.server_url == url

    def test_goes_leaf_by_leaf(self, installation):
        installation.write("runs: {lease_seconds: 30, sweep_seconds: 40}")
        installation.write_overlay("runs: {sweep_seconds: 50}")

        found = installation.load().config

        assert (found.run_lease_seconds, found.run_sweep_seconds) == (30, 50)

    def test_of_an_empty_variable_is_that_of_none(self, installation):
        installation.write("instance: {name: Acme}")

        assert installation.load(AGNES_INSTANCE_NAME="").config.instance_name == "Acme"

    def test_finds_the_overlay_in_a_state_folder_of_its_own(self, installation, tmp_path):
        state = tmp_path / "elsewhere"
        state.mkdir()
        (state / "instance.yaml").write_text("instance: {name: Elsewhere}", encoding="utf-8")
        installation.write_overlay("instance: {name: Not this}")

        found = installation.load(STATE_DIR=str(state)).config

        assert (found.instance_name, found.state) == ("Elsewhere", state)


class TestPlaceholders:
    def test_are_filled_from_the_environment(self, installation):
        installation.write('server: {url: "https://${HOST}:${PORT}/"}')

        found = installation.load(HOST="data.acme.com", PORT="8443").config

        assert found.server_url == "https://data.acme.com:8443/"

    @pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
    def test_that_are_unset_mean_not_given(self, installation, environ):
        installation.write('instance: {name: "${NAME}"}')

        found = installation.load(**environ)

        assert found.config.instance_name == "Agnes"
        assert found.origins["instance_name"] == "default"

    def test_that_are_unset_in_the_overlay_leave_the_file_in_force(self, installation):
        installation.write("instance: {name: Acme}")
        installation.write_overlay('instance: {name: "${NAME}"}')

        assert installation.load().config.instance_name == "Acme"

    def test_in_lists_are_filled_one_by_one(self, installation):
        installation.write('server: {allowed_hosts: ["${HOST}", "${OTHER}", localhost]}')

        found = installation.load(HOST="data.acme.com").config

        assert found.allowed_hosts == ("data.acme.com", "localhost")

    @pytest.mark.parametrize("text", ["$HOME", "${}", "{NAME}", "a $ b", "100 %"])
    def test_are_told_from_texts_that_look_alike(self, installation, text):
        installation.write(f"instance: {{name: {json.dumps(text)}}}")

        assert installation.load(NAME="x").config.instance_name == text


class TestKeys:
    @pytest.mark.parametrize(
        ("text", "key", "nearest"),
        [
            ("instance: {nane: Acme}", "instance.nane", "instance.name"),
            ("servr: {url: x}", "servr.url", "server.url"),
            ("runs: {lease_second: 3}", "runs.lease_second", "runs.lease_seconds"),
            ("telegram: {bot_tokn: x}", "telegram.bot_tokn", "telegram.bot_token"),
        ],
    )
    @pytest.mark.parametrize("is_overlay", [False, True])
    def test_that_are_unknown_name_the_nearest(self, installation, text, key, nearest, is_overlay):
        (installation.write_overlay if is_overlay else installation.write)(text)

        with pytest.raises(ConfigurationError) as caught:
            installation.load()

        assert f"no setting {key}" in caught.value.message
        assert f"nearest one is {nearest}" in caught.value.message

    def test_of_other_releases_are_accepted_with_a_note(self, installation):
        installation.write("config_version: 1\ntelegram: {bot_token: x}\nai: {provider: y, z: 1}")

        found = installation.load()

        assert len(found.notes) == 2
        assert "telegram.bot_token is accepted and has no effect" in found.notes[0]
        assert found.config == installation.load().config


class TestFiles:
    @pytest.mark.parametrize(
        "text", ["instance: {name: [", "\tinstance: x", "- a\n- b", "just a text", "a: *nowhere"]
    )
    @pytest.mark.parametrize("is_overlay", [False, True])
    def test_that_cannot_be_read_stop_the_server_and_stay_as_they_are(
        self, installation, text, is_overlay
    ):
        (installation.write_overlay if is_overlay else installation.write)(text)

        with pytest.raises(ConfigurationError, match=r"instance\.yaml"):
            installation.load()

        folder = installation.data_dir / "state" if is_overlay else installation.config_dir
        assert (folder / "instance.yaml").read_text(encoding="utf-8") == text

    def test_that_are_no_text_stop_the_server(self, installation):
        (installation.config_dir / "instance.yaml").write_bytes(b"\xff\xfe\x00")

        with pytest.raises(ConfigurationError, match="cannot be read"):
            installation.load()

    @pytest.mark.parametrize("text", ["", "# nothing yet", "---", "instance:"])
    def test_that_are_empty_are_fine(self, installation, text):
        installation.write(text)

        assert installation.load().config.instance_name == "Agnes"

    def test_never_make_objects(self, installation):
        installation.write("instance: {name: !!python/object/apply:os.getcwd []}")

        with pytest.raises(ConfigurationError):
            installation.load()


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("AGNES_WEB_THREADS", "many"), ("AGNES_WEB_THREADS", "0"),
            ("AGNES_WEB_THREADS", "9999"), ("AGNES_HTTPS", "perhaps"), ("LOG_LEVEL", "LOUD"),
            ("AGNES_X_ACCEL_PREFIX", "store"), ("AGNES_KEPT_VERSIONS", "-1"),
        ],
    )  # fmt: skip
    def test_that_cannot_be_name_their_variable(self, installation, variable, value):
        with pytest.raises(ConfigurationError, match=variable):
            installation.load(**{variable: value})

    def test_in_a_file_name_their_key(self, installation):
        installation.write("runs: {lease_seconds: soon}")

        with pytest.raises(ConfigurationError, match=r"runs\.lease_seconds"):
            installation.load()

    @pytest.mark.parametrize(
        ("text", "hosts"),
        [
            ("a.example, b.example", ("a.example", "b.example")),
            ("a.example", ("a.example",)),
            (" , ", ()),
        ],
    )
    def test_that_are_lists_are_split_at_commas(self, installation, text, hosts):
        assert installation.load(AGNES_ALLOWED_HOSTS=text).config.allowed_hosts == hosts

    def test_that_are_secret_are_not_in_errors(self, installation):
        installation.write("auth: {webapp_secret_key: {hidden: s3cr3t}}")

        with pytest.raises(ConfigurationError) as caught:
            installation.load()

        assert "s3cr3t" not in caught.value.message


class TestCommand:
    """`manage.py config`."""

    def _run(self, installation, *arguments, **environ) -> subprocess.CompletedProcess[str]:
        clean = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return subprocess.run(
            [sys.executable, "manage.py", "config", *arguments], cwd=ROOT, text=True,
            capture_output=True, check=False,
            env={**clean, **measured.ENVIRONMENT, **installation.environment(**environ)},
        )  # fmt: skip

    def test_shows_values_with_their_origin_and_masks_secrets(self, installation):
        installation.write("instance: {name: Acme}\ntelegram: {bot_token: t0k3n}")

        shown = self._run(
            installation, "--json", SESSION_SECRET="s3cr3t",
            DATABASE_URL="postgres://agnes:s3cr3t@localhost/agnes",
        )  # fmt: skip

        assert shown.returncode == 0, shown.stderr
        document = json.loads(shown.stdout)
        rows = {row["setting"]: row for row in document["settings"]}
        assert rows["instance_name"]["value"] == "Acme"
        assert rows["instance_name"]["origin"].endswith("instance.yaml: instance.name")
        assert rows["secret_key"]["value"] == rows["database_url"]["value"] == "***"
        assert rows["redis_url"]["value"] == "<empty>"
        assert rows["secret_key"]["origin"] == "environment: SESSION_SECRET"
        assert len(document["notes"]) == 1
        for secret in ("s3cr3t", "t0k3n"):
            assert secret not in shown.stdout + shown.stderr

    def test_says_in_a_line_what_is_wrong(self, installation):
        installation.write("instance: {nane: Acme}")

        shown = self._run(installation)

        assert shown.returncode == 1
        assert "no setting instance.nane" in shown.stderr
        assert "Traceback" not in shown.stderr


class TestReadableRoots:
    def test_are_the_usual_places_until_some_are_named(self, installation, monkeypatch):
        monkeypatch.setenv("HOME", "/people/ada")

        usual = installation.load().config.readable_roots
        named = installation.load(AGNES_FILES_ROOTS="/exports, /share").config.readable_roots

        assert usual[0] == installation.data_dir / "files"
        assert Path("/people/ada") in usual
        assert named == (Path("/exports"), Path("/share"))

    def test_are_whole_paths(self, installation):
        with pytest.raises(ConfigurationError, match="AGNES_FILES_ROOTS"):
            installation.load(AGNES_FILES_ROOTS="exports")
