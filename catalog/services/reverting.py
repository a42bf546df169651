"""How what was done to sources, folders, tables and columns is taken back.

The audit tells what was there in the same plain values as an exported document, so the same code
sets them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from access.models import AuditEvent, User
from access.services.history import (
    NotRevertibleError,
    Reverter,
    before,
    register,
    register_naming,
    register_reading,
)
from catalog.models import Column, Folder, Table
from catalog.services import descriptions
from catalog.services.exchange.kinds import BY_NAME, Kind

# Where the audit says it in the words of the model, and a document in its own.
_IN_DOCUMENTS = {"source_type": "type", "config": "settings"}
_FILES_STAY_AWAY = "Its versions are gone: it has no data until it is extracted again."


def register_all() -> None:
    """Tell the history about them."""
    for action in ("source.create", "folder.create", "register_table"):
        register_naming(action)
    register_reading("data.download")
    for action, kind in (
        ("source.change", "sources"), ("folder.change", "folders"), ("update_table", "tables"),
    ):  # fmt: skip
        register(action, _change(BY_NAME[kind]))
    for action, kind, loses in (
        ("source.delete", "sources", "Its secrets and grants do not come back."),
        ("unregister_table", "tables", f"{_FILES_STAY_AWAY} Its aliases and grants do not return."),
    ):
        register(action, _removal(BY_NAME[kind], loses=loses))
    register(
        "folder.delete",
        Reverter(
            label="Restore", now=lambda event: {}, do=_restore_folder, names=_names_of_folder,
            loses="Tables that are in another folder by now stay there; grants do not return.",
        ),
    )  # fmt: skip
    register(
        "column.describe", Reverter(label="Put back", now=_described_now, do=_describe_as_before)
    )


def _change(kind: Kind) -> Reverter:
    def now(event: AuditEvent) -> Mapping[str, Any] | None:
        found = kind.current_of(_key(event))
        return _in_audit(found, event.after) if found is not None else None

    def do(event: AuditEvent, by: User | None) -> None:
        if kind.current_of(_key(event)) is None:
            raise NotRevertibleError(f"There is no {kind.name[:-1]} {event.resource_id} any more.")
        kind.change(_key(event), _in_document(event.before), by)

    return Reverter(label="Put back", now=now, do=do)


def _removal(kind: Kind, *, loses: str) -> Reverter:
    def do(event: AuditEvent, by: User | None) -> None:
        kind.add(_key(event), _in_document(before(event)), by)

    return Reverter(label="Restore", now=lambda event: {}, do=do, loses=loses)


def _names_of_folder(event: AuditEvent) -> list[str]:
    return [event.resource, *(f"table/{name}" for name in (event.before or {}).get("tables", []))]


def _restore_folder(event: AuditEvent, by: User | None) -> None:
    told = dict(event.before or {})
    tables = told.pop("tables", [])
    BY_NAME["folders"].add(_key(event), told, by)
    folder = Folder.objects.get(slug=event.resource_id)
    for name in Table.objects.filter(name__in=tables, folder=None).values_list("name", flat=True):
        BY_NAME["tables"].change((name,), {"folder": folder.slug}, by)


def _described_now(event: AuditEvent) -> Mapping[str, Any] | None:
    columns = Column.objects.filter(table__name=event.resource_id, name__in=list(event.after or {}))
    return dict(columns.values_list("name", "description"))


def _describe_as_before(event: AuditEvent, by: User | None) -> None:
    for name, description in (event.before or {}).items():
        column = Column.objects.filter(table__name=event.resource_id, name=name).first()
        if column is None:
            raise NotRevertibleError(f"The table has no column {name!r} any more.")
        descriptions.describe_column(column=column, description=description, by=by)


def _key(event: AuditEvent) -> tuple[str, ...]:
    return (event.resource_id,)


def _in_document(told: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_IN_DOCUMENTS.get(name, name): value for name, value in (told or {}).items()}


def _in_audit(found: Mapping[str, Any], asked: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        name: found[_IN_DOCUMENTS.get(name, name)]
        for name in asked or {}
        if _IN_DOCUMENTS.get(name, name) in found
    }
