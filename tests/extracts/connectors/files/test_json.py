"""JSON in its usual shapes becomes rows, exactly, or an error says where it is wrong."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.connectors import ColumnSpec
from extracts.connectors.files.errors import FileUnusableError, RowError
from extracts.connectors.files.json_document import PIECE_LETTERS
from extracts.connectors.files.json_records import NotJsonError

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=8),
)  # fmt: skip


class TestShapes:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("t.json", '[{"id": 1}, {"id": 2}]'),
            ("t.json", '\ufeff [\n {"id": 1},\n {"id": 2}\n]\n'),
            ("t.json", '{"meta": {"n": 2}, "tags": ["a"], "data": [{"id": 1}, {"id": 2}]}'),
            ("t.json", '{"id": 1}\n{"id": 2}\n'),
            ("t.ndjson", '{"id": 1}\r\n\r\n{"id": 2}'),
            ("t.jsonl", '{"id": 1}\n{"id": 2}\n'),
        ],
    )
    def test_give_their_rows(self, folder, extracted, name, content):
        (folder / name).write_text(content, newline="")

        assert extracted(name).rows == [{"id": 1}, {"id": 2}]

    def test_may_be_compressed_and_in_another_encoding(self, folder, extracted):
        text = '[{"t": "žába"}]'
        (folder / "t.json.gz").write_bytes(gzip.compress(text.encode("utf-16")))

        assert extracted("t.json.gz").rows == [{"t": "žába"}]

    def test_are_found_at_a_path(self, folder, extracted):
        (folder / "t.json").write_text('{"a": {"b": [{"id": 1}], "c": [{"id": 9}]}, "d": [{}]}')

        assert extracted("t.json", records_path="a.b").rows == [{"id": 1}]

    @pytest.mark.parametrize("number", ["1.25", "-1.5e+10", "12", "1E5"])
    @pytest.mark.parametrize("read_first", range(1, 9))
    def test_may_be_cut_anywhere_while_they_are_read(self, folder, extracted, number, read_first):
        blanks = " " * (PIECE_LETTERS - len('{"n": ') - read_first)
        (folder / "t.json").write_text(f'{{"n": {blanks}{number}, "rows": [{{"id": 1}}]}}')

        assert extracted("t.json").rows == [{"id": 1}]

    @pytest.mark.parametrize(
        ("content", "path", "said"),
        [
            ('{"a": [{"x": 1}], "b": [{"x": 2}]}', "", "several lists of rows, 'b' among them"),
            ('{"a": [{"x": 1}]}', "c", "nothing at 'c'"),
            ('{"id": 1, "l": [{"a": 1}]}\n{"id": 2, "l": [{"a": 1}]}', "", "follows the end"),
        ],
    )
    def test_that_are_ambiguous_are_refused(self, folder, extracted, content, path, said):
        (folder / "t.json").write_text(content)

        with pytest.raises(NotJsonError, match=said):
            extracted("t.json", records_path=path)


class TestColumns:
    def test_have_the_types_of_their_values(self, folder, extracted):
        rows = [
            {"i": 1, "l": 9007199254740993, "f": 1.5, "b": True, "d": "2026-01-31", "s": "007",
             "t": "2026-01-31T08:00:00Z", "n": {"a": [1, 2.50]}, "m": 1, "e": ""},
            {"i": None, "l": 2, "f": 2, "b": None, "d": None, "s": "1", "t": None, "n": [],
             "m": "x", "late": 5, "e": None},
        ]  # fmt: skip
        (folder / "t.json").write_text(json.dumps(rows))

        found = extracted("t.json")

        assert found.types == {
            "i": "BIGINT", "l": "BIGINT", "f": "DOUBLE", "b": "BOOLEAN", "d": "DATE",
            "s": "VARCHAR", "t": "TIMESTAMP WITH TIME ZONE", "n": "JSON", "m": "VARCHAR",
            "e": "VARCHAR", "late": "BIGINT",
        }  # fmt: skip
        assert found.rows[0] == {
            "i": 1, "l": 9007199254740993, "f": 1.5, "b": True, "d": date(2026, 1, 31),
            "s": "007", "t": datetime(2026, 1, 31, 8, tzinfo=UTC), "n": '{"a":[1,2.5]}',
            "m": "1", "e": "", "late": None,
        }  # fmt: skip

    def test_of_days_that_no_month_has_stay_texts(self, folder, extracted):
        (folder / "t.ndjson").write_text('{"d": "2024-02-28"}\n{"d": "2024-02-30"}\n')

        found = extracted("t.ndjson")

        assert found.types == {"d": "VARCHAR"}
        assert [row["d"] for row in found.rows] == ["2024-02-28", "2024-02-30"]

    def test_keep_every_digit_for_a_given_type(self, folder, extracted):
        (folder / "t.json").write_text('[{"x": 12345678901234567.89}]')

        found = extracted("t.json", types={"x": "DECIMAL(20,2)"})

        assert str(found.rows[0]["x"]) == "12345678901234567.89"

    def test_keep_names_that_were_made_for_them(self, folder, extracted):
        (folder / "t.json").write_text('[{"": 1, "a\\u0000b": 2, "C": 3, "c": 4}]')
        first = extracted("t.json")

        (folder / "t.json").write_text('[{"": 1, "a\\u0000b": 2, "c": 4, "C": 3}]')
        again = extracted("t.json", known=first.columns)

        assert first.rows == again.rows == [{"column_1": 1, "ab": 2, "C": 3, "c_2": 4}]

    def test_of_numbers_and_times_are_not_read_by_the_notation_of_texts(self, folder, extracted):
        (folder / "t.json").write_text('[{"n": 1.234, "d": "2026-01-31", "o": "31.1.2026"}]')
        options = {
            "decimal_mark": ",", "thousands_mark": ".", "date_formats": ["%d.%m.%Y"],
            "types": {"o": "DATE"},
        }  # fmt: skip

        first = extracted("t.json", **options)
        again = extracted("t.json", **options, known=first.columns)

        day = date(2026, 1, 31)
        assert first.rows == again.rows == [{"n": 1.234, "d": day, "o": day}]

    def test_that_no_row_has_any_more_stay(self, folder, extracted):
        (folder / "t.json").write_text('[{"b": 1, "a": 2}]')
        known = (ColumnSpec(name="a", type="BIGINT"), ColumnSpec(name="gone", type="DATE"))

        found = extracted("t.json", known=known)

        assert found.types == {"a": "BIGINT", "gone": "DATE", "b": "BIGINT"}

    def test_must_be_shown_by_something(self, folder, extracted):
        (folder / "t.json").write_text("[]")

        with pytest.raises(FileUnusableError, match="no rows"):
            extracted("t.json")

    @settings(
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        rows=st.lists(st.dictionaries(st.sampled_from("abc"), SCALARS, min_size=1), min_size=1),
        indent=st.sampled_from([None, 2]),
    )
    def test_of_text_say_what_the_json_module_says(self, folder, extracted, rows, indent):
        (folder / "t.json").write_text(json.dumps(rows, indent=indent))
        names = sorted({name for row in rows for name in row})

        found = extracted("t.json", types=dict.fromkeys(names, "VARCHAR"))

        for given_row, row in zip(rows, found.rows, strict=True):
            for name in names:
                value = given_row.get(name)
                text = value if value is None or isinstance(value, str) else json.dumps(value)
                assert row[name] == text


class TestHostile:
    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("t.json", b"", "t.json is empty"),
            ("t.json", b"  \n", "nothing but blanks"),
            ("t.json", b"42", r"begins with \[ or {"),
            ("t.json", b"[" * 100_000, "nested too deeply"),
            ("t.json", b'[{"a":' * 50_000, "nested too deeply"),
            ("t.json", b'[{"a": 1},', "row 2: this is no JSON"),
            ("t.json", b'[{"a": 1} {"a": 2}]', "row 2: this is no JSON: ']' is missing"),
            ("t.json", b'[{"a": NaN}]', "NaN"),
            ("t.json", b'[{"a": ' + b"9" * 5000 + b"}]", "a number is too long"),
            ("t.json", b'[{"a": "' + b"x" * 17_000_000, "has no end"),
            ("t.json", b'[{"a": tru},' + b" " * 17_000_000, "row 1: .*: expecting value"),
            ("t.json", b'[{"a": "\xe8"}]', "row 1: this is no JSON: the text is not in"),
            ("t.json", b'[{"a": 1}] x', "something follows the end"),
            ("t.json", b"PK\x03\x04", "a ZIP archive"),
            ("t.json", b"<!doctype html>", "an HTML page"),
        ],
    )
    def test_documents_are_refused_with_a_reason(self, folder, extracted, name, content, said):
        (folder / name).write_bytes(content)

        with pytest.raises(NotJsonError, match=said):
            extracted(name)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (b'{"a": 1', "row 2: this is no JSON: expecting"),
            (b"[1]", "row 2: this is no object"),
            (b"{" * 100_000, "row 2: this is no JSON"),
            (b'{"a": "\xe8"}', "row 2: the text is not in the encoding"),
            (b'{"a": "' + b"x" * 2_100_000 + b'"}', "row 2: the line is longer"),
            (b'{"a": "\\ud800"}', "row 2, column 'a': the text holds half of a letter"),
        ],
    )
    def test_lines_are_refused_or_set_aside(self, folder, extracted, line, said):
        (folder / "t.ndjson").write_bytes(b'{"a": "x"}\n' + line + b'\n{"a": "y"}\n')

        with pytest.raises(RowError, match=said):
            extracted("t.ndjson")
        found = extracted("t.ndjson", bad_rows="quarantine")

        assert [row["a"] for row in found.rows] == ["x", "y"]
        assert found.rejected.rows == 1

    @pytest.mark.hostile(15)
    def test_names_become_usable(self, folder, extracted):
        (folder / "t.json").write_text('[{"": 1, "x\\") OR 1=1 --": 2, "a\\u0000b": 3, "A": 4}]')

        found = extracted("t.json")

        assert list(found.rows[0]) == ["column_1", 'x") OR 1=1 --', "ab", "A"]

    def test_millions_of_names_are_refused(self, folder, extracted):
        lines = (json.dumps({f"c{i}": 1}) for i in range(5_001))
        (folder / "t.ndjson").write_text("\n".join(lines))

        with pytest.raises(FileUnusableError, match="5,001 columns"):
            extracted("t.ndjson")
