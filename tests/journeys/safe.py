"""A connector package of somebody else: a service behind a password, which it repeats in errors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

import pyarrow as pa
import requests

from agnes_site.core.errors import UpstreamError
from catalog.connectors import (
    Capability,
    Connector,
    ExtractRequest,
    ExtractResult,
    Health,
    Output,
    SecretField,
    Settings,
    TableSpec,
)
from tests.third_party import describe


class SafeConfig(Settings):
    url: str


class SafeTable(Settings):
    pass


class SafeConnector(Connector):
    """Tables of a service that wants a password."""

    source_type = "safe"
    display_name = "Safe"
    capabilities = frozenset({Capability.DISCOVER, Capability.EXTRACT})
    config_schema = SafeConfig
    table_schema = SafeTable
    secret_fields: ClassVar[Mapping[str, SecretField]] = {
        "password": SecretField(label="Password", description="That of the service.")
    }

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        return Health(message=_asked(config, secrets, "refused"))

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        _asked(config, secrets, "rows")
        yield TableSpec(name="other", upstream_id="other", source_table="rows")

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        table = request.table.source_table
        out.progress("extract", message=f"Opening {table} with {secrets['password']}.")
        answer = _asked(config, secrets, table)
        if table == "stumbling":
            password = secrets["password"]
            raise RuntimeError(f"unexpected: safe://me:{password}@host")
        # Long enough to be looked at while it works.
        time.sleep(1)
        rows = pa.table({"answer": [answer]})
        note = f"The password {secrets['password']} was good."
        return ExtractResult(parts=(out.write(rows.to_reader()),), notes=(note,))


def _asked(config: Settings, secrets: Mapping[str, str], table: str) -> str:
    url = f"{cast(SafeConfig, config).url}/{table}"
    login = ("root", secrets["password"].encode())
    answer = requests.get(url, auth=cast(Any, login), timeout=10)
    if not answer.ok:
        raise UpstreamError(f"The safe said: {answer.text}", hint=f"Look at {answer.text}.")
    return answer.text


def install(site_packages: Path) -> None:
    """Leave in ``site_packages`` what installing the package would."""
    point = f"{__name__}:{SafeConnector.__name__}"
    describe(site_packages, "agnes-safe", {"safe": point})
