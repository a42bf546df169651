"""Secrets of sources over HTTP: written, never read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field, SecretStr, model_validator

from access.auth import AuthedRequest
from catalog import connectors
from catalog.models import Source, SourceSecret
from catalog.services import secrets
from catalog.services.secrets import NewSecret
from catalog.services.sources import find_source

admin_router = Router(tags=["sources"])


class SecretIn(Schema):
    """A secret: its value, which is kept encrypted, or the variable that it is read from."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"environment": "AGNES_SOURCE_SHOP"}}
    )

    value: SecretStr | None = Field(None, description="Never part of any answer.")
    environment: str | None = Field(
        None, description="Name of an environment variable that the operator allows."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> SecretIn:
        if (self.value is None) == (self.environment is None):
            raise ValueError("give either a value or the name of an environment variable")
        return self

    def new(self) -> NewSecret:
        """Return it as the services take it."""
        return NewSecret(value=self.value, variable=self.environment or "")


class SecretOut(Schema):
    """What is known of a secret: where it comes from, and never what it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "key": "password", "label": "Password", "required": True, "origin": "stored",
                "environment": None, "changed": "2026-01-01T00:00:00Z",
            }
        }
    )  # fmt: skip

    key: str
    label: str
    required: bool = Field(description="Whether nothing works without it.")
    origin: Literal["stored", "environment", "missing"]
    environment: str | None = Field(description="Name of the variable it is read from.")
    changed: datetime | None


class SecretsOut(Schema):
    """The secrets of a source."""

    secrets: list[SecretOut]


@admin_router.get(
    "/sources/{name}/secrets", response=SecretsOut, operation_id="list_source_secrets"
)
def list_source_secrets(request: HttpRequest, name: str) -> SecretsOut:
    """List the secrets that the connector of a source needs, and where each comes from."""
    return SecretsOut(secrets=shown(find_source(name)))


@admin_router.put(
    "/sources/{name}/secrets/{key}", response=SecretOut, operation_id="set_source_secret"
)
def set_source_secret(request: AuthedRequest, name: str, key: str, data: SecretIn) -> SecretOut:
    """Set a secret of a source; what it had before is gone."""
    source = find_source(name)
    secrets.change_secrets(source=source, secrets={key: data.new()}, by=request.user)
    return next(found for found in shown(source) if found.key == key)


@admin_router.delete(
    "/sources/{name}/secrets/{key}", response={204: None}, operation_id="forget_source_secret"
)
def forget_source_secret(request: AuthedRequest, name: str, key: str) -> HttpResponse:
    """Forget a secret of a source."""
    secrets.forget_secret(source=find_source(name), key=key, by=request.user)
    return HttpResponse(status=204)


def shown(source: Source, found: Mapping[str, SourceSecret] | None = None) -> list[SecretOut]:
    """Return what is known of the secrets of a source; ``found`` are its rows, if at hand."""
    kept = secrets.kept_secrets(source) if found is None else found
    # One whose connector is no longer installed is listed like the others.
    connector = connectors.installed().get(source.source_type)
    wanted = connector.secret_fields if connector is not None else {}
    return [
        _shown(key, field.label, field.is_required, kept.get(key)) for key, field in wanted.items()
    ]


def _shown(key: str, label: str, is_required: bool, kept: SourceSecret | None) -> SecretOut:
    origin: Literal["stored", "environment", "missing"] = "missing"
    if kept is not None:
        origin = "environment" if kept.env_name else "stored"
    return SecretOut(
        key=key, label=label, required=is_required, origin=origin,
        environment=kept.env_name or None if kept else None,
        changed=kept.changed_at if kept else None,
    )  # fmt: skip
