"""Sources: added, changed, removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.db.models import F, QuerySet
from pydantic import BaseModel, ValidationError

from access.models import User
from access.services import audit, grants
from agnes_site.core import human
from agnes_site.core.errors import ConflictError, InvalidInputError, NotFoundError
from catalog import connectors, schedules
from catalog.models import Source, Table
from catalog.services.secrets import NewSecret, change_secrets, refuse_elsewhere

EDITABLE = ("display_name", "config", "schedule", "is_paused", "concurrency")
AUDITED = ("source_type", *EDITABLE)


class SourceExistsError(ConflictError):
    """There is a source with this name already."""

    code = "source_exists"
    hint = "Choose another name."


class SourceNotFoundError(NotFoundError):
    """There is no such source."""

    code = "source_not_found"
    hint = "The page of sources lists their names."


class SourceInUseError(ConflictError):
    """Tables still come from this source."""

    code = "source_in_use"
    hint = "Unregister its tables first."


class SettingsInvalidError(InvalidInputError):
    """The settings do not fit what the connector expects."""

    code = "settings_invalid"


class SourceInvalidError(InvalidInputError):
    """What is said of a source besides its settings cannot be kept."""

    code = "source_invalid"


def find_source(name: str, *, among: QuerySet[Source] | None = None) -> Source:
    """Return the source of this name, written in any case.

    Raises:
        SourceNotFoundError: there is none.
    """
    found = (Source.objects.all() if among is None else among).filter(slug__iexact=name).first()
    if found is None:
        raise SourceNotFoundError(f"There is no source named {name!r}.")
    return found


@transaction.atomic
def add_source(
    *,
    slug: str,
    source_type: str,
    config: Mapping[str, Any],
    by: User | None,
    display_name: str = "",
    schedule: str = "",
    is_paused: bool = False,
    concurrency: int = 2,
    secrets: Mapping[str, NewSecret] | None = None,
) -> Source:
    """Add a source whose settings and secrets its connector accepts.

    Raises:
        SourceExistsError: the name is taken.
        SourceInvalidError: the name cannot be one; the message says why.
        UnknownSourceTypeError: no installed connector serves this type.
        SettingsInvalidError: the connector refuses the settings.
        ScheduleInvalidError: the schedule is not understood.
        SecretElsewhereError: a stored secret would go to another place; give it anew.
        AgnesError: a secret is not accepted, as :mod:`catalog.services.secrets` says.
    """
    connector = connectors.get(source_type)
    if Source.objects.filter(slug__iexact=slug).exists():
        raise SourceExistsError(f"There is a source named {slug!r} already.")
    source = Source(
        slug=slug,
        source_type=connector.source_type,
        display_name=display_name,
        config=checked_settings(connector.config_schema, config),
        schedule=schedules.checked(schedule),
        is_paused=is_paused,
        concurrency=concurrency,
    )
    _check(source)
    source.save()
    audit.record(
        action="source.create", resource=f"source/{slug}", actor=by,
        after=audit.snapshot(source, AUDITED),
    )  # fmt: skip
    change_secrets(source=source, secrets=secrets or {}, by=by)
    return source


@transaction.atomic
def change_source(
    *,
    source: Source,
    by: User | None,
    secrets: Mapping[str, NewSecret] | None = None,
    **fields: Any,
) -> list[str]:
    """Change what ``fields`` and ``secrets`` name and nothing else; return what was changed.

    ``fields`` are those of :data:`EDITABLE`; settings are given whole, as for a new source. With
    other settings, runs of its tables that are under way lose their right to publish.

    Raises:
        SettingsInvalidError: the connector refuses the settings.
        SourceInvalidError: another field cannot be kept; the message says why.
        ScheduleInvalidError: the schedule is not understood.
        AgnesError: a secret is not accepted, as :mod:`catalog.services.secrets` says.
    """
    if "config" in fields:
        # The tables are locked before their source, as by whoever claims a run.
        list(Table.objects.select_for_update().filter(source=source).order_by("pk").values("pk"))
    source = Source.objects.select_for_update().get(pk=source.pk)
    before = audit.snapshot(source, EDITABLE)
    if "config" in fields:
        schema = connectors.get(source.source_type).config_schema
        fields["config"] = checked_settings(schema, fields["config"])
        refuse_elsewhere(source, saved=source.config, config=fields["config"], given=secrets or {})
    schedules.checked(fields.get("schedule", ""))
    changed = [name for name, value in fields.items() if getattr(source, name) != value]
    for name in changed:
        setattr(source, name, fields[name])
    _check(source)
    source.save(update_fields=changed)
    if "config" in changed:
        source.tables.update(fencing=F("fencing") + 1)
    if changed:
        after = audit.snapshot(source, EDITABLE)
        audit.record(
            action="source.change", resource=f"source/{source.slug}", actor=by,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )  # fmt: skip
    change_secrets(source=source, secrets=secrets or {}, by=by)
    return changed


@transaction.atomic
def remove_source(*, source: Source, by: User | None) -> None:
    """Remove a source that no table comes from, with the grants on it.

    Raises:
        SourceInUseError: tables still come from it.
    """
    count = source.tables.count()
    if count:
        raise SourceInUseError(f"{source} still has {human.plural(count, 'table')}.", tables=count)
    grants.revoke_all(resource_type="source", resource_id=source.slug, by=by)
    audit.record(
        action="source.delete", resource=f"source/{source.slug}", actor=by,
        before=audit.snapshot(source, AUDITED),
    )  # fmt: skip
    source.delete()


def _check(source: Source) -> None:
    try:
        source.full_clean()
    except DjangoValidationError as error:
        raise SourceInvalidError(
            " ".join(error.messages), fields=sorted(error.message_dict)
        ) from None


def checked_settings(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` as ``schema`` accepts them, ready to be stored as JSON.

    Raises:
        SettingsInvalidError: a value is missing, unknown or of the wrong type; it is named.
    """
    try:
        return schema.model_validate(dict(values)).model_dump(mode="json", exclude_unset=True)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsInvalidError("; ".join(problems), problems=problems) from None
