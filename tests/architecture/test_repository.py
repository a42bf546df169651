"""What is true of every file in the repository."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from agnes_site.core.version import VERSION
from analyst_cli import VERSION as CLIENT_VERSION
from tests.architecture.conftest import ROOT

# Written in pieces, so that this file does not hold them.
REGISTRIES = ["pypi." + "org", "python" + "hosted.org", "registry." + "npmjs", "crates" + ".io"]
PLACES = ["/" + "home/", "/" + "root/", "/" + "tmp/", "/" + "work/", "/" + "Users/"]
REMINDERS = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """The text of every file that git knows, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            found[name] = content.decode("utf-8")
    return found


def holding(texts: dict[str, str], pattern: str) -> list[str]:
    expression = re.compile(pattern)
    return [name for name, text in texts.items() if expression.search(text)]


class TestRepository:
    def test_is_looked_at_as_a_whole(self, texts):
        assert {"manage.py", "pyproject.toml", "Makefile", "docs/README.md"} <= set(texts)

    @pytest.mark.parametrize("registry", REGISTRIES)
    def test_names_no_registry_of_packages(self, texts, registry):
        assert holding(texts, re.escape(registry)) == []

    @pytest.mark.parametrize("place", PLACES)
    def test_names_no_place_of_a_machine(self, texts, place):
        assert holding(texts, rf"(?<![\w./}}-]){re.escape(place)}") == []

    @pytest.mark.parametrize("reminder", REMINDERS)
    def test_leaves_no_reminders(self, texts, reminder):
        assert holding(texts, rf"\b{reminder}\b") == []

    def test_holds_no_conflict_of_a_merge(self, texts):
        assert holding(texts, r"(?m)^(<{7}|>{7}) ") == []


class TestExceptionsFromTheRules:
    def test_name_their_rule_and_their_reason(self, texts):
        sound = r"# (?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[a-z-]+\])\W+\w.{3}"
        bare = [
            f"{name}: {comment}"
            for name, text in texts.items()
            if name.endswith(".py") and name != "tests/architecture/test_repository.py"
            for comment in re.findall(r"# (?:noqa|type: ignore).*", text)
            if not re.match(sound, comment)
        ]

        assert bare == []


class TestVersion:
    def test_is_the_same_everywhere(self):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

        assert project["project"]["version"] == VERSION == CLIENT_VERSION

    def test_has_a_section_in_the_changelog(self):
        changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

        assert f"\n## [{VERSION}]" in changelog


class TestLinks:
    def test_of_the_documents_lead_somewhere(self, texts):
        broken = []
        for name, text in texts.items():
            if name.endswith(".md"):
                for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
                    if not ((ROOT / name).parent / target).exists():
                        broken.append((name, target))

        assert broken == []

    def test_of_the_documents_name_files_that_exist(self, texts):
        inside = r"`((?:agnes_site|access|catalog|extracts|analyst_cli|tests|deploy)/[\w./-]+)"
        missing = [
            (name, path)
            for name, text in texts.items()
            if re.fullmatch(r"(docs/)?[\w-]+\.md", name)
            for path in re.findall(inside, text)
            if not (ROOT / path).exists()
        ]

        assert missing == []

    def test_within_the_generated_pages_name_a_heading(self, texts):
        for name, text in texts.items():
            if name.startswith("docs/") and name.endswith(".md"):
                headings = {
                    re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                    for heading in re.findall(r"(?m)^#+ (.+)$", text)
                }
                assert set(re.findall(r"\]\(#([^)]+)\)", text)) - headings == set(), name
