"""A connector with secrets, whose other side repeats them when it complains."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, cast

import pyarrow as pa
from pydantic import Field

from agnes_site.core.errors import UpstreamError
from catalog import connectors
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
from extracts.engine import warm


class VaultConfig(Settings):
    mood: str = Field(default="good", description="`good`, `refusing` or `stumbling`.")
    place: str = Field(default="here", description="Where the vault stands.")


class VaultTable(Settings):
    pass


class VaultConnector(Connector):
    """Tables behind a password."""

    source_type = "vault"
    display_name = "Vault"
    capabilities = frozenset({Capability.DISCOVER, Capability.EXTRACT})
    config_schema = VaultConfig
    table_schema = VaultTable
    secret_fields: ClassVar[Mapping[str, SecretField]] = {
        "password": SecretField(label="Password", description="As the vault's owner gave it."),
        "pin": SecretField(label="PIN", is_required=False),
    }

    def secret_places(self, config: Settings) -> frozenset[str]:
        return frozenset({cast("VaultConfig", config).place})

    def test(self, config: Settings, secrets: Mapping[str, str]) -> Health:
        _behave(config, secrets)
        return Health(message=f"The vault took {secrets['password']}.")

    def discover(self, config: Settings, secrets: Mapping[str, str]) -> Iterator[TableSpec]:
        _behave(config, secrets)
        yield TableSpec(name="lengths", upstream_id="lengths", source_table="lengths")

    def extract(
        self, config: Settings, secrets: Mapping[str, str], request: ExtractRequest, out: Output
    ) -> ExtractResult:
        out.progress("extract", message=f"Signing in with {secrets['password']}.")
        _behave(config, secrets)
        rows = pa.table({"secret": list(secrets), "length": [len(v) for v in secrets.values()]})
        return ExtractResult(
            parts=(out.write(rows.to_reader()),), notes=(f"Took {secrets['password']}.",)
        )


def _behave(config: Settings, secrets: Mapping[str, str]) -> None:
    password = secrets["password"]
    if config.mood == "refusing":
        raise UpstreamError(f"Not {password}!", hint=f"Not {password}.", said=[password])
    if config.mood == "stumbling":
        warnings.warn(f"about to stumble over {password}", stacklevel=1)
        raise KeyError(f"postgres://me:{password}@vault")


@contextmanager
def opened() -> Iterator[None]:
    """Install the connector for this process, and for the children started meanwhile."""
    place = f"{__name__}:{VaultConnector.__name__}"
    preload = warm.PRELOAD
    connectors.register(place)
    warm.PRELOAD = (*preload, "tests.vault_in_children")
    _restart()
    try:
        yield
    finally:
        connectors.registry._BUILT_IN.remove(place)
        connectors.forget()
        warm.PRELOAD = preload
        _restart()


def _restart() -> None:
    """Let the next child come from a zygote of its own."""
    if warm._zygote is not None:
        warm._zygote.end()
        warm._zygote = None
