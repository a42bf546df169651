"""Every error: a code of its own, a meaning, a line in the documents."""

from __future__ import annotations

import re
import sys
from collections import defaultdict

from agnes_site.web.reference import errors
from tests.architecture.conftest import ROOT

CLASSES = errors.found()

# Classes without a code of their own, each with its reason.
CARRIERS = dict.fromkeys(
    ["ChildFailedError", "ChildUpstreamError"],
    "carries the code of the error that the child process raised",
)


class TestEachError:
    def test_states_a_code_of_its_own(self):
        without = {each.__qualname__ for each in CLASSES if "code" not in vars(each)}

        assert without == set(CARRIERS)

    def test_has_a_code_in_lower_case_words(self):
        odd = [each.code for each in CLASSES if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", each.code)]

        assert odd == []

    def test_shares_its_code_with_none_but_its_bases(self):
        sharing = defaultdict(list)
        for each in CLASSES:
            if not any(vars(base).get("code") == each.code for base in each.__mro__[1:]):
                sharing[each.code].append(f"{each.__module__}.{each.__qualname__}")

        assert {code: names for code, names in sharing.items() if len(names) > 1} == {}

    def test_says_in_a_docstring_what_it_means(self):
        silent = [each.__qualname__ for each in CLASSES if not vars(each).get("__doc__")]

        assert silent == []

    def test_has_a_status_of_a_failure(self):
        odd = [each.__qualname__ for each in CLASSES if not 400 <= each.status <= 599]

        assert odd == []

    def test_ends_its_name_with_error(self):
        odd = [each.__qualname__ for each in CLASSES if not each.__name__.endswith("Error")]

        assert odd == []

    def test_has_a_line_in_the_documents(self):
        page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
        missing = [
            each.code for each in CLASSES if f"\n| `{each.code}` | {each.status} " not in page
        ]

        assert missing == []


class TestFound:
    def test_finds_errors_of_every_layer(self):
        modules = {each.__module__.partition(".")[0] for each in CLASSES}

        assert {"agnes_site", "access", "catalog", "extracts"} <= modules

    def test_looks_into_every_module(self):
        modules = {
            ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            for package in errors.PACKAGES
            for path in (ROOT / package).rglob("*.py")
            if "migrations" not in path.parts and path.name != "__main__.py"
        }

        assert modules - set(sys.modules) == set()
