from __future__ import annotations

import pytest

from catalog.connectors import ColumnSpec
from extracts.connectors.files.csv_records import CsvRowError
from extracts.connectors.files.errors import TableSettingsError
from tests.extracts.connectors.files.extracting import extract, types_of


class TestTypes:
    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            (["1", "-20", ""], "BIGINT"),
            (["9007199254740993", "1"], "BIGINT"),
            (["9223372036854775808"], "VARCHAR"),
            (["00501", "10001"], "VARCHAR"),
            (["+420123456789"], "VARCHAR"),
            (["1", "2.5", "1e3"], "DOUBLE"),
            (["9007199254740993", "2.5"], "VARCHAR"),
            (["true", "FALSE"], "BOOLEAN"),
            (["2025-01-31"], "DATE"),
            (["2025-02-30"], "VARCHAR"),
            (["31/12/2025"], "VARCHAR"),
            (["2025-01-31", "2025-01-31 10:00:00"], "TIMESTAMP"),
            (["2025-01-31T10:00:00.25"], "TIMESTAMP"),
            (["2025-01-31T10:00:00Z", "2025-01-31 10:00:00+01:00"], "TIMESTAMP WITH TIME ZONE"),
            (["2025-01-31T10:00:00Z", "2025-01-31T10:00:00"], "VARCHAR"),
            (["10:00:00"], "TIME"),
            (["", ""], "VARCHAR"),
            (["=cmd|' /C calc'!A0"], "VARCHAR"),
        ],
    )
    def test_are_guessed_without_changing_a_value(self, folder, values, kind):
        (folder / "t.csv").write_text("x,y\n" + "".join(f"{value},1\n" for value in values))

        assert types_of(folder, "t.csv")["x"] == kind

    @pytest.mark.parametrize(
        ("early", "late", "kind"),
        [
            ("1", "1.5", "BIGINT"),
            ("1", "007", "BIGINT"),
            ("1", "1_000", "BIGINT"),
            ("2025-01-01", "2025-01-01 10:00:00", "DATE"),
            ("2025-01-01 10:00:00", "2025-01-01T10:00:00+02:00", "TIMESTAMP"),
            ("2025-01-01T10:00:00Z", "2025-01-01T10:00:00", "TIMESTAMP WITH TIME ZONE"),
            ("true", "yes", "BOOLEAN"),
        ],
    )
    def test_that_were_guessed_hold_for_every_later_row(self, folder, early, late, kind):
        lines = [f"{i},{early}\n" for i in range(25_000)]
        (folder / "t.csv").write_text("id,x\n" + "".join(lines) + f"25000,{late}\n")

        with pytest.raises(CsvRowError) as refusal:
            extract(folder, "t.csv")

        assert refusal.value.message == (
            f"t.csv, row 25002, column 'x': the value is not a {kind}."
        )
        assert 'types = {"x": "VARCHAR"}' in refusal.value.hint
        assert refusal.value.details == {"file": "t.csv", "row": 25_002, "column": "x"}

    def test_of_the_settings_win_over_known_ones_and_those_over_guesses(self, folder):
        (folder / "t.csv").write_text("a,b,c\n1,2,3\n")
        known = (ColumnSpec(name="A", type="DOUBLE"), ColumnSpec(name="b", type="DOUBLE"))

        types = types_of(folder, "t.csv", known=known, types={"a": "decimal(9,2)"})

        assert types == {"a": "DECIMAL(9,2)", "b": "DOUBLE", "c": "BIGINT"}

    @pytest.mark.parametrize(
        ("types", "said"), [({"z": "DATE"}, "no such column"), ({"a": "FOO"}, "does not exist")]
    )
    def test_of_the_settings_must_fit(self, folder, types, said):
        (folder / "t.csv").write_text("a\n1\n")

        with pytest.raises(TableSettingsError, match=said):
            extract(folder, "t.csv", types=types)
