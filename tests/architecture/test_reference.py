"""The generated pages are those of the code, and `make docs` writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.architecture.conftest import ROOT

FOLDER = ROOT / "docs" / "reference"
PAGES = ["api.md", "cli.md", "errors.md", "openapi.json", "settings.md"]


class TestReference:
    @pytest.mark.parametrize("name", PAGES)
    def test_is_current(self, pages, name):
        written = (FOLDER / name).read_text(encoding="utf-8")

        assert written == pages[name], "Run `make docs` and commit what it writes."

    def test_has_these_pages(self, pages):
        assert sorted(pages) == PAGES

    def test_names_no_place_of_this_machine(self, pages):
        assert [name for name, text in pages.items() if str(ROOT) in text] == []


class TestWriteReference:
    def test_writes_every_page(self, tmp_path: Path):
        call_command("write_reference", folder=tmp_path, verbosity=0)

        assert sorted(path.name for path in tmp_path.iterdir()) == PAGES

    def test_checks_that_pages_are_current(self, tmp_path: Path):
        call_command("write_reference", folder=tmp_path, verbosity=0)
        (tmp_path / "errors.md").write_text("# Errors\n", encoding="utf-8")

        with pytest.raises(CommandError, match=r"Not current: errors\.md\."):
            call_command("write_reference", "--check", folder=tmp_path)

        assert (tmp_path / "errors.md").read_text(encoding="utf-8") == "# Errors\n"
