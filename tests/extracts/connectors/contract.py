"""What every connector promises. A connector's test subclasses this and says what to extract."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import extracts.connectors  # noqa: F401  registers what is built in
from agnes_site.core import slugs
from catalog import connectors
from catalog.connectors import (
    Capability,
    Connector,
    CurrentPart,
    ExtractMode,
    ExtractRequest,
    ExtractResult,
    Reach,
    Settings,
    SyncStrategy,
    TableRequest,
)
from extracts.engine.candidate import Candidate
from extracts.engine.publish import ValidatedPart, common_columns, validate

REPOSITORY = Path(__file__).parents[3]
# Folders of tests may be read, and no host may be reached.
TEST_REACH = Reach(roots=(Path(tempfile.gettempdir()),))

_METHODS = {
    Capability.DISCOVER: "discover",
    Capability.PREVIEW: "preview",
    Capability.EXTRACT: "extract",
    Capability.RUN_SQL: "run_sql",
    Capability.CHECK_QUERY: "check_query",
    Capability.REMOTE_ATTACH: "remote_attach",
    Capability.ESTIMATE: "estimate",
    Capability.RECEIVE: "receive",
    Capability.COLUMN_DOCS: "column_docs",
}


class ConnectorContract:
    """Subclass it and define the fixtures ``connector``, ``config`` and ``table``."""

    @pytest.fixture
    def connector(self) -> Connector:
        raise NotImplementedError

    @pytest.fixture
    def config(self) -> Settings:
        """Settings of a source that works."""
        raise NotImplementedError

    @pytest.fixture
    def secrets(self) -> Mapping[str, str]:
        return {}

    @pytest.fixture
    def table(self) -> TableRequest:
        """A table of that source which has at least three rows."""
        raise NotImplementedError

    def extracted(
        self, connector, config, secrets, table, folder: Path
    ) -> tuple[ExtractResult, list[ValidatedPart]]:
        out = Candidate(folder)
        result = connector.extract(config, secrets, ExtractRequest(table=table), out)
        parts = [
            validate(part.path, expected_rows=part.rows, key=part.key) for part in result.parts
        ]
        return result, parts

    def test_is_found_by_its_type_and_aliases(self, connector):
        for name in {connector.source_type, *connector.aliases}:
            assert type(connectors.get(name)) is type(connector)

    def test_describes_its_settings(self, connector):
        for schema in (connector.config_schema, connector.table_schema):
            described = schema.model_json_schema().get("properties", {})
            assert all(field.get("description") for field in described.values())
            assert schema.model_config["extra"] == "forbid"

    def test_declares_exactly_what_it_can_do(self, connector):
        implemented = {
            capability
            for capability, method in _METHODS.items()
            if getattr(type(connector), method) is not getattr(Connector, method)
        }

        assert implemented == set(connector.capabilities)

    def test_tries_its_connection(self, connector, config, secrets):
        health = connector.test(config, secrets)

        assert health.message
        json.dumps(dict(health.details))

    def test_discovers_tables_that_can_be_registered(self, connector, config, secrets):
        self.skip_without(connector, Capability.DISCOVER)

        specs = list(connector.discover(config, secrets))

        assert specs
        assert all(slugs.is_slug(spec.name) for spec in specs)
        assert len({spec.name.lower() for spec in specs}) == len(specs)
        assert all(spec.upstream_id and spec.source_table for spec in specs)

    def test_discovers_the_columns_that_it_extracts(
        self, connector, config, secrets, table, tmp_path
    ):
        self.skip_without(connector, Capability.DISCOVER)
        specs = {spec.source_table: spec for spec in connector.discover(config, secrets)}

        _, parts = self.extracted(connector, config, secrets, table, tmp_path / "run")

        found = [column.name for column in common_columns(parts)]
        assert [column.name for column in specs[table.source_table].columns] == found

    def test_previews_what_it_extracts(self, connector, config, secrets, table, tmp_path):
        self.skip_without(connector, Capability.PREVIEW)

        preview = connector.preview(config, secrets, table, 2)

        _, parts = self.extracted(connector, config, secrets, table, tmp_path / "run")
        assert preview.num_rows == 2
        assert preview.schema.names == [column.name for column in common_columns(parts)]

    def test_extracts_the_same_bytes_twice(self, connector, config, secrets, table, tmp_path):
        self.skip_without(connector, Capability.EXTRACT)

        _, first = self.extracted(connector, config, secrets, table, tmp_path / "1")
        _, second = self.extracted(connector, config, secrets, table, tmp_path / "2")

        assert first
        assert sum(part.rows for part in first) >= 3
        assert [part.sha256 for part in first] == [part.sha256 for part in second]

    def test_brings_the_same_table_where_only_changes_are_read(
        self, connector, config, secrets, table, tmp_path
    ):
        needed = [getattr(table, name) for name in connector.incremental_needs]
        if SyncStrategy.INCREMENTAL not in connector.sync_strategies or not all(needed):
            pytest.skip(f"{connector.source_type} does not read changes of this table")
        whole, parts = self.extracted(connector, config, secrets, table, tmp_path / "whole")
        request = ExtractRequest(
            table=replace(table, known_columns=common_columns(parts)),
            mode=ExtractMode.INCREMENTAL,
            state=json.loads(json.dumps(dict(whole.state))),
            current=tuple(CurrentPart(key=part.key, path=part.path) for part in whole.parts),
        )

        result = connector.extract(config, secrets, request, Candidate(tmp_path / "changes"))

        again = [validate(part.path, expected_rows=part.rows) for part in result.parts]
        assert result.is_unchanged or [part.sha256 for part in again] == [
            part.sha256 for part in parts
        ]
        assert dict(result.state) == dict(whole.state)

    def test_leaves_a_result_that_travels(self, connector, config, secrets, table, tmp_path):
        self.skip_without(connector, Capability.EXTRACT)

        result, _ = self.extracted(connector, config, secrets, table, tmp_path / "run")

        told = json.dumps([dict(result.state), result.notes])
        assert not any(secret in told for secret in secrets.values())
        assert all(part.path.is_relative_to(tmp_path / "run") for part in result.parts)

    def test_writes_nothing_outside_of_its_run(self, connector, config, secrets, table, tmp_path):
        self.skip_without(connector, Capability.EXTRACT)
        before = tree(tmp_path)

        self.extracted(connector, config, secrets, table, tmp_path / "run")

        after = {name: kind for name, kind in tree(tmp_path).items() if not name.startswith("run")}
        assert after == before

    def test_works_without_django(self, connector):
        module = type(connector).__module__
        program = f"import sys, {module}\nassert 'django' not in sys.modules"

        path = {"PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, env=path, check=True)

    def skip_without(self, connector: Connector, capability: Capability) -> None:
        if capability not in connector.capabilities:
            pytest.skip(f"{connector.source_type} does not {capability}")


def tree(folder: Path) -> dict[str, str]:
    """Return every file below ``folder`` with the hash of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
