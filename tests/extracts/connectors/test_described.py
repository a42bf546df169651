"""What a source says of columns travels with the parts, though no file holds it."""

from __future__ import annotations

from agnes_site.core.progress import silent
from catalog import connectors
from extracts.connectors import work


def test_a_part_has_the_comments_of_its_columns(server, tmp_path):
    server.execute(
        "DROP TABLE IF EXISTS boxes; CREATE TABLE boxes (n int);"
        "COMMENT ON COLUMN boxes.n IS 'How many.'; INSERT INTO boxes VALUES (1)"
    )
    config = {"host": server.socket, "port": server.port, "database": "shop", "user": "postgres"}
    table = {
        "name": "boxes", "bucket": "public", "source_table": "boxes", "source_query": "",
        "primary_key": [], "incremental_column": "", "incremental_window_days": None,
        "max_history_days": None, "options": {}, "known_columns": [],
    }  # fmt: skip
    assert connectors.get("postgres")

    answer = work.extract(
        {
            "source_type": "postgres", "config": config, "secrets": {}, "table": table,
            "mode": "full", "state": {}, "current_parts": [], "runs_sql": False,
            "drift_policy": "evolve", "combined_max_bytes": 0, "folder": str(tmp_path / "run"),
        },
        silent,
    )  # fmt: skip

    assert [column["description"] for column in answer["parts"][0]["columns"]] == ["How many."]
