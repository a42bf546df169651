"""Each hostile case has a test or a reason, and the page says the same."""

from __future__ import annotations

from tests.hostile import page
from tests.hostile.cases import CASES, Marked, marked


class TestEachCase:
    def test_has_a_test_or_a_reason_to_have_none(self):
        tested = {mark.number for mark in marked()}

        assert [n for n, case in CASES.items() if n not in tested and not case.open] == []

    def test_is_on_the_page_with_its_tests(self):
        written = page.PATH.read_text(encoding="utf-8")

        assert written == page.text(), "Run `make docs` and commit what it writes."


class TestMarks:
    def test_name_cases_that_exist(self):
        assert {mark.number for mark in marked()} - CASES.keys() == set()

    def test_are_found_wherever_they_may_stand(self, tmp_path):
        folder = tmp_path / "tests"
        folder.mkdir()
        (folder / "test_it.py").write_text(
            "pytestmark = pytest.mark.hostile(15)\n"
            "@pytest.mark.hostile(16, 17)\n"
            "class TestIt:\n"
            "    @pytest.mark.hostile(18)\n"
            "    def test_is(self): ...\n"
            "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.hostile(19))])\n"
            "def test_too(x): ...\n"
        )

        assert marked(folder) == tuple(
            Marked(path="tests/test_it.py", name=name, number=number)
            for name, number in [
                ("", 15), ("TestIt", 16), ("TestIt", 17), ("TestIt.test_is", 18), ("test_too", 19),
            ]
        )  # fmt: skip
