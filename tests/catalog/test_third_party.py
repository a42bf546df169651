from __future__ import annotations

import sys

import pytest
from django.urls import reverse

import extracts.connectors  # noqa: F401  registers what is built in
from catalog import connectors
from catalog.connectors import ConnectorBrokenError, UnknownSourceTypeError
from extracts.connectors.files.connector import FilesConnector
from extracts.management import reading
from tests.third_party import describe

GOOD = """
from catalog.connectors import Connector, Health, Settings

class Empty(Settings):
    pass

class Good(Connector):
    source_type = "{source_type}"
    display_name = "Good"
    config_schema = Empty
    table_schema = Empty

    def test(self, config, secrets):
        return Health(message="Good.")
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with one connector, by the text of its module."""
    monkeypatch.syspath_prepend(tmp_path)

    def leave(name: str, text: str, *, cls: str = "Good") -> None:
        (tmp_path / f"agnes_{name}.py").write_text(text, encoding="utf-8")
        describe(tmp_path, f"agnes-{name}", {name: f"agnes_{name}:{cls}"})
        connectors.forget()

    yield leave
    connectors.forget()
    for name in [name for name in sys.modules if name.startswith("agnes_") and "." not in name]:
        if getattr(sys.modules[name], "__file__", "").startswith(str(tmp_path)):
            del sys.modules[name]


class TestPackageWithAConnector:
    def test_is_found(self, install):
        install("good", GOOD.format(source_type="good"))

        assert connectors.get("good").display_name == "Good"
        assert connectors.broken() == {}

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
            ("this is no Python", "invalid syntax"),
            ("raise SystemExit(3)", "SystemExit"),
            ("Bad = 1", "is no class of a connector"),
            ("class Bad:\n    pass", "is no class of a connector"),
            (GOOD.replace("Good(", "Bad(").replace("def test", "def tess"), "method test"),
            (GOOD.replace("Good(", "Bad(").replace("display_name =", "name ="), "display_name"),
            (GOOD.replace("Good(", "Bad(").replace("{source_type}", "Bad"), "lower case"),
            ("", "Bad"),
        ],
    )
    def test_harms_no_other_one_when_it_is_broken(self, install, text, why):
        install("good", GOOD.format(source_type="good"))
        install("bad", text, cls="Bad")

        assert connectors.get("good").display_name == "Good"
        assert isinstance(connectors.get("files"), FilesConnector)
        with pytest.raises(ConnectorBrokenError, match=why) as raised:
            connectors.get("bad")
        assert "agnes-bad" in raised.value.message
        assert raised.value.message == connectors.broken()["bad"]

    def test_takes_no_type_that_another_one_serves(self, install):
        install("thief", GOOD.format(source_type="files"))

        assert isinstance(connectors.get("files"), FilesConnector)
        assert "files" in connectors.broken()["thief"]

    def test_is_unknown_once_it_is_gone(self):
        with pytest.raises(UnknownSourceTypeError):
            connectors.get("good")

    @pytest.mark.django_db
    def test_is_named_where_types_are_listed_when_it_is_broken(self, install, client, admin):
        install("bad", "import nothing_of_this_name", cls="Bad")
        client.force_login(admin)

        page = client.get(reverse("admin:catalog_source_add")).content.decode()

        assert "agnes-bad is broken" in page
        assert any("agnes-bad is broken" in line for line in reading.types())
