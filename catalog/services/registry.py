"""The registry: tables registered, changed, unregistered."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models.functions import Lower

from access.models import User
from access.services import audit, grants
from agnes_site.core import slugs
from agnes_site.core.errors import ConflictError, InvalidInputError, NotFoundError
from catalog import connectors, schedules
from catalog.connectors import QueryMode, SyncStrategy
from catalog.models import Folder, Source, Table, TableName
from catalog.services import folders, showing
from catalog.services.sources import checked_settings

EDITABLE = (
    "display_name", "folder", "bucket", "source_table", "query_mode", "source_query", "options",
    "sync_schedule", "is_paused", "sync_strategy", "primary_key", "incremental_column",
    "incremental_window_days", "max_history_days", "initial_load_chunk_days", "partition_by",
    "partition_granularity", "where_filters", "drift_policy", "server_only", "description", "owner",
)  # fmt: skip

# Who sees a table, how it is called, and when it runs; all else decides which rows a run brings.
_ABOUT_READERS_OR_TIME = frozenset([
    "display_name", "folder", "sync_schedule", "is_paused", "server_only", "description", "owner",
])  # fmt: skip


class TableExistsError(ConflictError):
    """There is a table with this name already."""

    code = "table_exists"
    hint = "Choose another name, or update the existing table."


class TableNotFoundError(NotFoundError):
    """There is no such table, or none that the caller may read."""

    code = "table_not_found"
    hint = "Run `agnes catalog` to list the tables you may read."


class QueryModeUnsupportedError(InvalidInputError):
    """The connector cannot serve a table in this way."""

    code = "query_mode_unsupported"


class SyncStrategyUnsupportedError(InvalidInputError):
    """The connector cannot bring a table up to date in this way, or not with what is set."""

    code = "sync_strategy_unsupported"


class TableInvalidError(InvalidInputError):
    """The table cannot be registered like this."""

    code = "table_invalid"


@transaction.atomic
def register_table(
    *, source: Source, name: str, by: User | None, folder: str = "", **fields: Any
) -> Table:
    """Add a table to the registry and record who added it.

    ``name`` is kept where it can be a slug; otherwise it becomes the display name and an
    alias, and the slug is made from it. ``fields`` are those of :data:`EDITABLE`.

    Raises:
        TableExistsError: the name is taken.
        QueryModeUnsupportedError: the connector cannot serve the query mode.
        SyncStrategyUnsupportedError: the connector cannot keep it up in this way.
        SettingsInvalidError: the connector refuses the options of the table.
        ScheduleInvalidError: the schedule is not understood.
        TableInvalidError: a rule of the registry is broken; the message says which.
    """
    table = precheck_table(source=source, name=name, **fields)
    table.registered_by, table.folder = by, _folder(folder, by=by)
    try:
        table.save()
        _add_names(table, original=name.strip())
    except IntegrityError:
        # Somebody else took it since it was looked for.
        raise TableExistsError(f"There is a table named {name!r} by now.", table=name) from None
    showing.changed(table)
    audit.record(
        action="register_table", resource=f"table/{table.name}", actor=by,
        after=_told(table),
    )  # fmt: skip
    return table


def precheck_table(*, source: Source, name: str, folder: str = "", **fields: Any) -> Table:
    """Return the table that :func:`register_table` would add, without adding it.

    Raises:
        As :func:`register_table`.
    """
    name = name.strip()
    if not name:
        raise TableInvalidError("A table needs a name.")
    if find_name(name) is not None:
        raise TableExistsError(f"There is a table named {name!r} already.", table=name)
    if not slugs.is_slug(name):
        fields.setdefault("display_name", name[:200])
    table = Table(name=_free_slug(name), source=source, **fields)
    _check(table)
    return table


@transaction.atomic
def update_table(*, table: Table, by: User | None, **fields: Any) -> list[str]:
    """Change what ``fields`` name and nothing else; return the names of what was changed.

    A run that is under way loses its right to publish if it would bring other rows now.

    Raises:
        QueryModeUnsupportedError, SettingsInvalidError, ScheduleInvalidError,
        TableInvalidError: as for :func:`register_table`, for the table as it would be.
    """
    table = Table.objects.select_for_update(of=("self",)).select_related("source").get(pk=table.pk)
    before = _told(table)
    if isinstance(fields.get("folder"), str):
        fields["folder"] = _folder(fields["folder"], by=by)
    leaves_materialized = fields.get("query_mode", table.query_mode) != QueryMode.MATERIALIZED
    if leaves_materialized and "source_query" not in fields:
        fields["source_query"] = ""
    changed = [name for name, value in fields.items() if getattr(table, name) != value]
    if not changed:
        return []
    showing.changed(table)  # the groups that lose it with its old folder
    for name in changed:
        setattr(table, name, fields[name])
    _check(table)
    if not _ABOUT_READERS_OR_TIME.issuperset(changed):
        table.fencing += 1
    table.save(update_fields=[*changed, "fencing"])
    showing.changed(table)
    after = _told(table)
    audit.record(
        action="update_table", resource=f"table/{table.name}", actor=by,
        before={name: before[name] for name in changed if name in before},
        after={name: after[name] for name in changed if name in after},
    )  # fmt: skip
    return changed


@transaction.atomic
def unregister_table(*, table: Table, by: User | None) -> None:
    """Remove a table with its versions, grants and names; its files go later."""
    showing.changed(table)
    grants.revoke_all(resource_type="table", resource_id=table.name, by=by)
    audit.record(
        action="unregister_table", resource=f"table/{table.name}", actor=by,
        before=_told(table),
    )  # fmt: skip
    Table.objects.filter(pk=table.pk).update(current_version=None)
    table.delete()


def find_table(name: str, *, among: Any = None) -> Table:
    """Return the table with this name or alias, written in any case.

    ``among`` limits the search, for example to what a caller may read.

    Raises:
        TableNotFoundError: there is none.
    """
    tables = Table.objects.all() if among is None else among
    tables = tables.select_related("source", "current_version")
    found: Table | None
    if name.isascii():
        found = tables.filter(names__name__lower=name.lower()).first()
    else:
        alias = find_name(name)
        found = tables.filter(pk=alias.table_id).first() if alias else None
    if found is None:
        raise not_found(name)
    return found


def not_found(name: str) -> TableNotFoundError:
    """Return the one answer for what does not exist and for what is not to be read."""
    return TableNotFoundError(f"There is no table named {name!r}.", table=name)


def find_name(name: str) -> TableName | None:
    """Return the name or alias of a table that is ``name``, written in any case."""
    found = TableName.objects.filter(name__lower=name.lower()).first()
    if found is None and not name.isascii():
        # SQLite ignores the case of ASCII letters only. All spellings of a name have one slug.
        near = TableName.objects.filter(
            is_alias=True, table__name__istartswith=slugs.slug(name).lower()[:60]
        )
        spelled = (alias for alias in near if alias.name.casefold() == name.casefold())
        found = next(spelled, None)
    return found


def sole_source(source_type: str) -> Source:
    """Return the only source of a type.

    Raises:
        TableInvalidError: there is none, or there are several; they are named.
    """
    connector = connectors.get(source_type)
    found = list(Source.objects.filter(source_type=connector.source_type)[:20])
    if len(found) == 1:
        return found[0]
    names = ", ".join(source.slug for source in found) or "none"
    raise TableInvalidError(
        f"Say which source of type {connector.source_type} the table comes from; there are: "
        f"{names}.",
        hint="Give `source`.",
        sources=[source.slug for source in found],
    )


def _told(table: Table) -> dict[str, Any]:
    """Return what the audit keeps of a table: others are named, so that it can be set again."""
    return {
        "source": table.source.slug,
        **audit.snapshot(table, EDITABLE),
        "folder": table.folder.slug if table.folder else "",
        "owner": table.owner.email if table.owner else "",
    }


def _check(table: Table) -> None:
    connector = connectors.get(table.source.source_type)
    if table.query_mode not in connector.query_modes:
        modes = ", ".join(sorted(connector.query_modes))
        raise QueryModeUnsupportedError(
            f"A source of type {connector.source_type} serves {modes} tables, not "
            f"{table.query_mode} ones.",
            hint=f"Choose one of: {modes}.",
        )
    if table.query_mode == QueryMode.REMOTE and not table.source_table:
        raise TableInvalidError(
            "A remote table is looked up under the name that it has at its source.",
            hint="Give `source_table`, and `bucket` if it is in a schema of its own.",
            fields=["source_table"],
        )
    table.options = checked_settings(connector.table_schema, table.options)
    schedules.checked(table.sync_schedule)
    try:
        table.full_clean(exclude=["registered_by", "current_version"])
    except ValidationError as error:
        messages = [message for found in error.message_dict.values() for message in found]
        raise TableInvalidError(" ".join(messages), fields=sorted(error.message_dict)) from None
    _check_strategy(table, connector)


def _check_strategy(table: Table, connector: connectors.Connector) -> None:
    if table.sync_strategy not in connector.sync_strategies:
        known = ", ".join(sorted(connector.sync_strategies))
        raise SyncStrategyUnsupportedError(
            f"A source of type {connector.source_type} brings tables by {known}, not "
            f"{table.sync_strategy}.",
            hint=f"Choose one of: {known}.",
        )
    if table.sync_strategy != SyncStrategy.INCREMENTAL:
        return
    missing = [name for name in connector.incremental_needs if not getattr(table, name)]
    if missing:
        raise SyncStrategyUnsupportedError(
            f"An incremental table needs {' and '.join(missing)}.",
            hint="The incremental column says what is new, such as updated_at; by the primary "
            "key changed rows replace the old ones. Set them, or choose full_refresh.",
            missing=missing,
        )


def _folder(name: str, *, by: User | None) -> Folder | None:
    if not name.strip():
        return None
    found = Folder.objects.filter(slug__iexact=name.strip()).first()
    if found is None:
        taken = set(Folder.objects.values_list(Lower("slug"), flat=True))
        found = folders.add_folder(
            slug=slugs.slug(name.strip(), taken=taken), display_name=name.strip()[:200], by=by
        )
    return found


def _free_slug(name: str) -> str:
    stem = slugs.slug(name).lower()
    taken = set(
        TableName.objects.filter(name__istartswith=stem[:60]).values_list(Lower("name"), flat=True)
    )
    return slugs.slug(name, taken=taken)


def _add_names(table: Table, *, original: str) -> None:
    TableName.objects.create(table=table, name=table.name, is_alias=False)
    if original != table.name and len(original) <= 255:
        TableName.objects.create(table=table, name=original, is_alias=True)
