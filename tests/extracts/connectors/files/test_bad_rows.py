"""Rows that cannot be read fail the run, or are set aside with their place, up to a limit."""

from __future__ import annotations

import orjson
import pytest

from extracts.connectors.files.csv_records import CsvRowError
from extracts.connectors.files.errors import TooManyBadRowsError
from extracts.connectors.files.rejects import TEXT_LIMIT

BAD = b'id,t\n1,a\n2\n3,b,c\n4,"d\n5,x"y\nsix,e\n7,\xe8\n8,f\0\n9,g\n'


def set_aside(found) -> list[dict]:
    return [orjson.loads(line) for line in found.rejected.path.read_bytes().splitlines()]


class TestQuarantine:
    def test_leaves_out_every_kind_of_bad_row_and_no_other(self, folder, extracted):
        (folder / "t.csv").write_bytes(BAD)

        found = extracted("t.csv", bad_rows="quarantine", types={"id": "BIGINT"})

        assert found.rows == [{"id": 1, "t": "a"}, {"id": 5, "t": 'x"y'}, {"id": 9, "t": "g"}]
        assert [(line["row"], line["column"], line["reason"]) for line in set_aside(found)] == [
            (3, "", "there are fewer values than columns"),
            (4, "", "there are more values than columns"),
            (5, "", "a quoted value is not closed, or text follows its closing quote"),
            (8, "t", "the text is not in UTF-8"),
            (9, "", "the row holds a NUL byte"),
            (7, "id", "the value is not a BIGINT"),
        ]
        assert {line["file"] for line in set_aside(found)} == {"t.csv"}
        assert found.rejected.rows == 6

    def test_says_which_file_of_several(self, folder, extracted):
        (folder / "in").mkdir()
        (folder / "in" / "1.csv").write_text("id,t\n1,a\n")
        (folder / "in" / "2.csv").write_text("t;id\nb;2\nc\n")

        found = extracted("in", bad_rows="quarantine")

        assert found.rows == [{"id": 1, "t": "a"}, {"id": 2, "t": "b"}]
        assert [(line["file"], line["row"]) for line in set_aside(found)] == [("in/2.csv", 3)]

    def test_keeps_the_first_row_of_a_file_without_a_header(self, folder, extracted):
        (folder / "t.csv").write_text("1,a\n2,b\n3\n")

        found = extracted("t.csv", bad_rows="quarantine", has_header=False)

        assert [tuple(row.values()) for row in found.rows] == [(1, "a"), (2, "b")]
        assert [line["row"] for line in set_aside(found)] == [3]

    @pytest.mark.parametrize(
        ("content", "values"),
        [(b"t\na\n\nc\nd,e\n", ["a", None, "c"]), (b"t,u\na,1\n\nc,1\nd\n", ["a", "c"])],
    )
    def test_takes_a_blank_line_for_an_empty_value_only_where_there_is_one_column(
        self, folder, extracted, content, values
    ):
        (folder / "t.csv").write_bytes(content)

        found = extracted("t.csv", bad_rows="quarantine", delimiter=",")

        assert [row["t"] for row in found.rows] == values
        assert found.rejected.rows == 1

    def test_takes_no_blank_line_for_one_of_the_last_rows(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1,a\n2\n3,c\n\nTotal,2\n\n")

        found = extracted("t.csv", bad_rows="quarantine", skip_footer=1)

        assert [row["id"] for row in found.rows] == [1, 3]
        assert [line["row"] for line in set_aside(found)] == [3]

    def test_keeps_no_more_of_a_long_row_than_people_read(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1," + "x" * 100_000 + ",z\n2,b\n")

        (line,) = set_aside(extracted("t.csv", bad_rows="quarantine"))

        assert line["text"] == "1," + "x" * (TEXT_LIMIT - 2) + "…"

    def test_passes_over_a_line_that_is_too_long(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1," + "x" * 5_000_000 + "\n2,b\n")

        found = extracted("t.csv", bad_rows="quarantine")

        assert found.rows == [{"id": 2, "t": "b"}]
        assert "longer than" in set_aside(found)[0]["reason"]

    def test_has_a_limit(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1,a\n2\n3\n4\n")

        assert extracted("t.csv", bad_rows="quarantine", max_bad_rows=3).rejected.rows == 3
        with pytest.raises(TooManyBadRowsError) as refusal:
            extracted("t.csv", bad_rows="quarantine", max_bad_rows=2)

        assert "More than 2 rows" in refusal.value.message
        assert "t.csv, row 5" in refusal.value.message

    def test_counts_each_row_once_though_rows_are_read_twice_to_be_sorted(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n3,a\nx\n1,b\n")

        found = extracted("t.csv", bad_rows="quarantine", key=("id",))

        assert [row["id"] for row in found.rows] == [1, 3]
        assert found.rejected.rows == len(set_aside(found)) == 1

    def test_sets_nothing_aside_where_all_is_well(self, folder, extracted):
        (folder / "t.csv").write_text("id,t\n1,a\n")

        assert extracted("t.csv", bad_rows="quarantine").rejected is None


class TestFail:
    def test_is_what_happens_otherwise_and_says_how_to_go_on(self, folder, extracted):
        (folder / "t.csv").write_bytes(BAD)

        with pytest.raises(CsvRowError, match=r"t\.csv, row 3") as refusal:
            extracted("t.csv")

        assert refusal.value.hint
