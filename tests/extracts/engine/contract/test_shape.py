from __future__ import annotations

import pytest

from extracts.engine.contract import ExtractTable, data_file_name
from tests.extracts.engine.contract.folders import NOON, table


class TestDataFileName:
    def test_is_the_table_for_its_only_file(self):
        assert data_file_name(table="orders") == "orders.parquet"

    def test_has_ordinal_and_key_for_one_of_several(self):
        name = data_file_name(table="orders", ordinal=3, key="2026-05", alone=False)

        assert name == "orders/3-2026-05.parquet"

    def test_makes_a_key_harmless(self):
        name = data_file_name(table="orders", key="../é/x", alone=False)

        assert name == "orders/0-..___x.parquet"


@pytest.mark.hostile(16)
class TestExtractTable:
    @pytest.mark.parametrize("name", ["../orders", "", "a b", "con"])
    def test_refuses_a_name_that_is_no_slug(self, name, tmp_path):
        with pytest.raises(ValueError, match="name of a table"):
            ExtractTable(name=name, rows=0, size_bytes=0, extracted_at=NOON)

    @pytest.mark.parametrize(
        "file_name", ["other.parquet", "orders/../../x.parquet", "/orders.parquet", "orders/x.csv"]
    )
    def test_refuses_a_file_outside_of_its_own_place(self, file_name, tmp_path):
        with pytest.raises(ValueError, match="cannot be a file"):
            table("orders", files=((file_name, tmp_path / "x"),))
