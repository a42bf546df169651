"""What is no longer wanted ends at the database too."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agnes_site.core.progress import silent
from extracts.engine import process
from tests.extracts.connectors.postgres_server import PASSWORD
from tests.journeys.installation import wait_until


@pytest.fixture
def asked(server):
    """Ask for rows that never come; a function counts the queries that still look for them."""
    server.execute(
        "CREATE OR REPLACE VIEW never AS SELECT pg_sleep(600)::text AS slept;"
        "GRANT SELECT ON never TO reader"
    )
    table = {
        "name": "never", "bucket": "public", "source_table": "never", "source_query": "",
        "primary_key": [], "incremental_column": "", "incremental_window_days": None,
        "max_history_days": None, "options": {}, "known_columns": [],
    }  # fmt: skip
    config = {"host": "127.0.0.1", "port": server.port, "database": "shop", "user": "reader"}
    arguments = {"source_type": "postgres", "config": config, "table": table, "rows": 1}
    job = process.Job(
        function="extracts.connectors.work:preview", arguments=arguments,
        secrets={"password": SecretStr(PASSWORD)},
    )  # fmt: skip
    return job, lambda: server.is_asked("%never%")


def test_a_cancelled_query_does_not_go_on(asked):
    job, looking = asked

    with pytest.raises(process.ChildStoppedError):
        process.run(job, progress=silent, should_stop=looking)

    wait_until(lambda: not looking(), seconds=60)
