"""The registry: tables registered, changed, unregistered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
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
    given = {"name": name, "folder": folder, **fields}
    (table,) = register_tables(source=source, tables=[given], by=by)
    return table


@transaction.atomic
def register_tables(
    *, source: Source, tables: Sequence[Mapping[str, Any]], by: User | None
) -> list[Table]:
    """Add tables of a source to the registry, all or none, and record who added them.

    Each is given by what :func:`register_table` takes.

    Raises:
        As :func:`register_table`, for one of them.
    """
    if not tables:
        return []
    names = [_name_of(given) for given in tables]
    taken = _taken(names)
    made = []
    for name, given in zip(names, tables, strict=True):
        table = _table(source, name, given, taken=taken)
        # Of many, what the database would refuse is asked for only if it does.
        _check(table, asks_database=len(tables) == 1)
        taken |= {slugs.folded(name), slugs.folded(table.name)}
        table.registered_by, table.folder = by, _folder(str(given.get("folder", "")), by=by)
        made.append(table)
    try:
        with transaction.atomic():
            Table.objects.bulk_create(made)
            TableName.objects.bulk_create(_names(zip(made, names, strict=True)))
    except IntegrityError:
        for given in tables:
            precheck_table(source=source, **given)
        # Somebody else took it since it was looked for.
        listed = ", ".join(repr(name) for name in names)
        raise TableExistsError(f"There is a table named {listed} by now.", table=names[0]) from None
    showing.changed(*made)
    audit.record_each(
        action="register_table", actor=by,
        after={f"table/{table.name}": _told(table) for table in made},
    )  # fmt: skip
    return made


def precheck_table(*, source: Source, name: str, folder: str = "", **fields: Any) -> Table:
    """Return the table that :func:`register_table` would add, without adding it.

    Raises:
        As :func:`register_table`.
    """
    given = {"name": name, **fields}
    name = _name_of(given)
    table = _table(source, name, given, taken=_taken([name]))
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
    # This locks it before its source and its readers' groups, as a publish does.
    Table.objects.filter(pk=table.pk).update(current_version=None)
    showing.changed(table)
    grants.revoke_all(resource_type="table", resource_id=table.name, by=by)
    audit.record(
        action="unregister_table", resource=f"table/{table.name}", actor=by,
        before=_told(table),
    )  # fmt: skip
    table.delete()


def find_table(name: str, *, among: Any = None) -> Table:
    """Return the table with this name or alias, in any spelling.

    ``among`` limits the search, for example to what a caller may read.

    Raises:
        TableNotFoundError: there is none.
    """
    tables = Table.objects.all() if among is None else among
    tables = tables.select_related("source", "current_version")
    found = tables.filter(names__folded=slugs.folded(name)).first()
    if found is None:
        raise not_found(name)
    return found


def not_found(name: str) -> TableNotFoundError:
    """Return the one answer for what does not exist and for what is not to be read."""
    return TableNotFoundError(f"There is no table named {name!r}.", table=name)


def find_name(name: str) -> TableName | None:
    """Return the name or alias of a table that is ``name``, in any spelling."""
    return find_names([name]).get(name)


def find_names(names: Collection[str]) -> dict[str, TableName]:
    """Return those names or aliases of tables that are one of ``names``, in any spelling."""
    folded = {name: slugs.folded(name) for name in names}
    found = TableName.objects.filter(folded__in=set(folded.values())).select_related("table")
    known = {each.folded: each for each in found}
    return {name: known[each] for name, each in folded.items() if each in known}


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


def _check(table: Table, *, asks_database: bool = True) -> None:
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
        table.full_clean(
            exclude=["source", "registered_by", "current_version"],
            validate_unique=asks_database, validate_constraints=asks_database,
        )  # fmt: skip
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
    name = slugs.kept(name.strip())
    if not name:
        return None
    stem = slugs.slug(name).lower()[:60]
    near = Folder.objects.filter(Q(slug__iexact=name) | Q(slug__istartswith=stem)).order_by("slug")
    wanted = slugs.folded(name)
    for folder in near:
        if wanted in (slugs.folded(folder.slug), slugs.folded(folder.display_name)):
            return folder
    taken = set(Folder.objects.values_list(Lower("slug"), flat=True))
    return folders.add_folder(slug=slugs.slug(name, taken=taken), display_name=name[:200], by=by)


def _name_of(given: Mapping[str, Any]) -> str:
    name = slugs.kept(str(given["name"]).strip())
    if not name:
        raise TableInvalidError("A table needs a name.")
    return name


def _table(source: Source, name: str, given: Mapping[str, Any], *, taken: Collection[str]) -> Table:
    """Return a new table with a slug of its own; ``taken`` are the folded names of others."""
    if slugs.folded(name) in taken:
        raise TableExistsError(f"There is a table named {name!r} already.", table=name)
    fields = {field: value for field, value in given.items() if field not in ("name", "folder")}
    if not slugs.is_slug(name):
        fields.setdefault("display_name", name[:200])
    return Table(name=slugs.slug(name, taken=taken), source=source, **fields)


def _taken(names: Iterable[str]) -> set[str]:
    """Return those names, in their folded form, that new tables of these names cannot have."""
    wanted = {slugs.folded(each) for name in names for each in (name, slugs.slug(name))}
    known = TableName.objects.filter(folded__in=wanted).values_list("folded", flat=True)
    taken = set(known)
    for name in names:
        stem = slugs.folded(slugs.slug(name))
        if stem in taken:
            numbered = TableName.objects.filter(folded__startswith=stem[:60])
            taken |= set(numbered.values_list("folded", flat=True))
    return taken


def _names(tables: Iterable[tuple[Table, str]]) -> Iterator[TableName]:
    """Yield the names of new tables: the slug, and as an alias what it was made from."""
    for table, original in tables:
        yield TableName(table=table, name=table.name, is_alias=False)
        if original != table.name and max(len(original), len(slugs.folded(original))) <= 255:
            yield TableName(table=table, name=original, is_alias=True)
