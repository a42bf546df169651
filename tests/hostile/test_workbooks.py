"""Workbooks that point elsewhere or want to do something: their cells are read, and no more."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from socket import create_server

import pytest

from extracts.models import RunState
from tests.extracts.connectors.workbooks import write_workbook
from tests.factories import SourceFactory

pytestmark = pytest.mark.hostile(19)

_SHEET = "xl/worksheets/sheet1.xml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


@pytest.fixture
def rewritten(source_folder) -> Callable[..., Path]:
    """Write a workbook of one row, with other parts than it would have."""

    def write(ending: str = "xlsx", **parts: Callable[[str], str]) -> Path:
        path = write_workbook(
            source_folder / f"t.{ending}", {"Orders": [["id", "word"], [1, "plain"]]}
        )
        with zipfile.ZipFile(path) as archive:
            found = {name: archive.read(name).decode() for name in archive.namelist()}
        for name, change in parts.items():
            found[name] = change(found.get(name, ""))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in found.items():
                archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def bait(tmp_path) -> Path:
    """A file that nobody may read."""
    path = tmp_path / "secret.txt"
    path.write_text("s3cret")
    return path


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, Callable[[], bool]]]:
    """An address, and whether somebody has knocked at it."""
    with closing(create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)

        def was_asked() -> bool:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x", was_asked


def linked(target: str) -> dict[str, Callable[[str], str]]:
    """Return parts that take a cell, a link and a connection from elsewhere."""
    formula = "<f>[1]Sheet1!A1+WEBSERVICE(&quot;" + target + "&quot;)</f>"
    return {
        _SHEET: lambda text: text.replace("<v>1</v>", f"{formula}<v>1</v>"),
        "xl/worksheets/_rels/sheet1.xml.rels": lambda _: (
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId9" Type="{_RELATION}/hyperlink" Target="{target}"'
            ' TargetMode="External"/></Relationships>'
        ),
        "xl/externalLinks/externalLink1.xml": lambda _: (
            '<externalLink xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            '<externalBook r:id="rId1"/></externalLink>'
        ),
        "xl/externalLinks/_rels/externalLink1.xml.rels": lambda _: (
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="rId1" Type="{_RELATION}/externalLinkPath" Target="{target}"'
            ' TargetMode="External"/></Relationships>'
        ),
        "xl/connections.xml": lambda _: (
            '<connections xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            f'<connection id="1" name="c" type="4" refreshOnLoad="1"><webPr url="{target}"/>'
            "</connection></connections>"
        ),
    }


class TestLinksOfAWorkbook:
    def test_lead_nowhere(self, rewritten, run_of, served, elsewhere):
        target, was_asked = elsewhere
        path = rewritten(**linked(target))

        run = run_of(SourceFactory(config={"folder": str(path.parent)}), "t.xlsx")

        assert run.state == RunState.SUCCEEDED, run.error_message
        assert served(run) == [{"id": 1, "word": "plain"}]
        assert not was_asked()

    def test_to_a_file_bring_nothing_of_it(self, rewritten, run_of, served, bait):
        path = rewritten(**linked(bait.as_uri()))

        run = run_of(SourceFactory(config={"folder": str(path.parent)}), "t.xlsx")

        assert served(run) == [{"id": 1, "word": "plain"}]
        assert "s3cret" not in run.log


class TestMacrosOfAWorkbook:
    def test_are_not_run(self, rewritten, run_of, served, tmp_path):
        macro = f'Sub Auto_Open()\nShell "touch {tmp_path / "ran"}"\nEnd Sub\n'
        path = rewritten(
            "xlsm",
            **{
                "xl/vbaProject.bin": lambda _: macro,
                "xl/workbook.xml": lambda text: text.replace(
                    "</sheets>",
                    "</sheets><definedNames><definedName name="
                    '"_xlnm.Auto_Open">Orders!$A$1</definedName></definedNames>',
                ),
            },
        )

        run = run_of(SourceFactory(config={"folder": str(path.parent)}), "t.xlsm")

        assert run.state == RunState.SUCCEEDED, run.error_message
        assert served(run) == [{"id": 1, "word": "plain"}]
        assert not (tmp_path / "ran").exists()


class TestEntitiesOfAWorkbook:
    @pytest.mark.parametrize("kind", ["of a file", "a bomb"])
    def test_are_refused(self, rewritten, run_of, bait, is_up, kind):
        laughs = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 12))
        inside = (
            f'<!ENTITY e SYSTEM "{bait.as_uri()}">'
            if kind == "of a file"
            else f'<!ENTITY l0 "lol">{laughs}<!ENTITY e "&l11;">'
        )
        path = rewritten(
            **{_SHEET: lambda text: f"<!DOCTYPE x [{inside}]>" + text.replace("plain", "&e;")}
        )

        run = run_of(SourceFactory(config={"folder": str(path.parent)}), "t.xlsx")

        assert (run.state, run.error_code) == (RunState.FAILED, "workbook_unusable")
        assert "s3cret" not in run.error_message + run.log
        assert is_up()
