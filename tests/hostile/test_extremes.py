"""Values at the edges of their types arrive as they are."""

from __future__ import annotations

import duckdb
import pytest

from catalog.models import Table
from extracts.models import RunState

pytestmark = pytest.mark.hostile(21)

VALUES = """
    SELECT * FROM (VALUES
        (DATE '0000-01-01', TIMESTAMP '0001-01-01 00:00:00', 9223372036854775807, 'nan'::DOUBLE,
         99999999999999999999999999999999999.999::DECIMAL(38, 3)),
        (DATE '9999-12-31', TIMESTAMP '9999-12-31 23:59:59.999999', -9223372036854775808,
         'infinity'::DOUBLE, -0.001::DECIMAL(38, 3)),
        (DATE '2000-01-01', NULL, 9007199254740993, '-infinity'::DOUBLE, NULL)
    ) t(day, moment, id, ratio, price)
"""


@pytest.mark.parametrize("kind", ["VIEW", "TABLE"])
def test_extremes_are_served_as_they_are(tmp_path, layout, foreign, run_of, kind):
    (tmp_path / "foreign").mkdir()
    place = tmp_path / "foreign" / "t.parquet"
    duckdb.sql(f"COPY ({VALUES}) TO '{place}' (FORMAT parquet)")

    run = run_of(foreign("t", f"CREATE {kind} t AS SELECT * FROM read_parquet('{place}')"), "t")

    assert run.state == RunState.SUCCEEDED, run.error_message
    (part,) = Table.objects.get(pk=run.table_id).current_version.parts.all()
    served = f"SELECT t::VARCHAR FROM '{layout.stored(part.sha256)}' t ORDER BY 1"
    expected = f"SELECT t::VARCHAR FROM ({VALUES}) t ORDER BY 1"
    assert duckdb.sql(served).fetchall() == duckdb.sql(expected).fetchall()
