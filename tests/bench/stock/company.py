"""A whole company as rows of the database: what lists, the overview and the search read.

No files are made, and nothing is checked by services: it takes seconds for ten thousand tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from access.models import AccessToken, AuditEvent, Grant, Group, Membership, User
from catalog.models import (
    Column,
    Folder,
    Incident,
    IncidentKind,
    Source,
    Table,
    TableName,
    TablePart,
    TableVersion,
)
from extracts.models import Run, RunState, RunTrigger
from tests.bench.stock.people import add_reader, grant_each

_DAYS = 30
_BATCH = 1000
_SUBJECTS = ("orders", "invoices", "customers", "payments", "visits", "stock", "returns", "prices")
_COLUMNS = ("id", "customer_id", "created_at", "amount", "currency", "country", "status", "note")
_SCHEDULES = ("every 6h", "daily 07:00", "", "every 1h")


def fill(
    *,
    tables: int,
    columns: int,
    users: int,
    runs: int,
    events: int,
    groups: int,
    grants: int | None = None,
) -> None:
    """Add a company of that size; it has as many sources and folders as groups.

    Each table is granted to one group, or to as many as make that number of ``grants``.
    """
    chance = Random(7)
    now = timezone.now()
    with transaction.atomic():
        made = _tables(tables, columns, groups, now)
        employees = _people(users, groups, now)
        _save(_grants(made, groups_each=(grants or tables) // tables))
        _save(_runs(made, runs, now, chance))
        _save(_incidents(made, now))
        _save(_events(made, employees, events, now, chance))


def add_reader_of_all() -> str:
    """Add somebody who may read each table and return a token of theirs."""
    token = add_reader("ana")
    grant_each("ana", list(Table.objects.values_list("name", flat=True)))
    return token


def _save(rows: Iterator[Model]) -> None:
    batch: list[Model] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            type(row)._default_manager.bulk_create(batch)
            batch = []
    if batch:
        type(batch[0])._default_manager.bulk_create(batch)


def _tables(count: int, columns: int, groups: int, now: datetime) -> list[Table]:
    sources = [
        Source(
            slug=f"shop_{number:03}", display_name=f"Shop {number}", source_type="files",
            config={"folder": "/data"}, schedule=_SCHEDULES[number % len(_SCHEDULES)],
        )
        for number in range(groups)
    ]  # fmt: skip
    folders = [Folder(slug=f"team_{number:03}") for number in range(groups)]
    made = [
        Table(
            name=f"{_SUBJECTS[number % len(_SUBJECTS)]}_{number:05}",
            display_name=f"{_SUBJECTS[number % len(_SUBJECTS)].title()} {number}",
            description="One row for each of them.",
            source=sources[number % len(sources)],
            folder=folders[number % len(folders)],
            source_table=f"{number}.csv",
        )
        for number in range(count)
    ]
    _save(iter(sources))
    _save(iter(folders))
    _save(iter(made))
    _save(TableName(table=table, name=table.name, is_alias=False) for table in made)
    _publish(made, columns, now)
    return made


def _publish(tables: list[Table], columns: int, now: datetime) -> None:
    names = [_column_name(ordinal) for ordinal in range(columns)]
    schema = [{"name": name, "type": "VARCHAR", "nullable": True} for name in names]
    versions = [
        TableVersion(
            table=table, number=1, fencing=0, rows=1000 + number, bytes=100_000 + number,
            schema=schema, schema_hash="0" * 64,
        )
        for number, table in enumerate(tables)
    ]  # fmt: skip
    _save(iter(versions))
    for number, (table, version) in enumerate(zip(tables, versions, strict=True)):
        table.current_version = version
        version.created_at = now - timedelta(hours=number % (24 * _DAYS))
        table.last_success_at = now - timedelta(minutes=number % 2000)
    TableVersion.objects.bulk_update(versions, ["created_at"], batch_size=500)
    Table.objects.bulk_update(tables, ["current_version", "last_success_at"], batch_size=500)
    _save(
        TablePart(
            version=version, ordinal=0, rows=version.rows, bytes=version.bytes,
            sha256=version.pk.hex.rjust(64, "0"), md5=version.pk.hex,
        )
        for version in versions
    )  # fmt: skip
    _save(
        Column(table=table, ordinal=ordinal, name=name, type="VARCHAR")
        for table in tables
        for ordinal, name in enumerate(names)
    )


def _column_name(ordinal: int) -> str:
    first = _COLUMNS[ordinal % len(_COLUMNS)]
    return first if ordinal < len(_COLUMNS) else f"{first}_{ordinal}"


def _people(count: int, groups: int, now: datetime) -> list[User]:
    people = [
        User(email=f"person{number:05}@example.com", name=f"Person {number}", password="!")
        for number in range(count)
    ]
    teams = [Group(name=f"Team {number:04}") for number in range(groups)]
    _save(iter(people))
    _save(iter(teams))
    _save(
        Membership(user=user, group=teams[number % len(teams)])
        for number, user in enumerate(people)
    )
    _save(
        AccessToken(
            user=user, name="laptop", hash=f"{number:064x}", prefix="agn_pat_abc", last4="wxyz",
            last_used_at=now - timedelta(minutes=number),
        )
        for number, user in enumerate(people)
    )  # fmt: skip
    return people


def _grants(tables: list[Table], *, groups_each: int) -> Iterator[Grant]:
    groups = list(Group.objects.filter(name__startswith="Team "))
    for number, table in enumerate(tables):
        for place in range(number, number + groups_each):
            yield Grant(
                group=groups[place % len(groups)], resource_type="table", resource_id=table.name
            )


def _runs(tables: list[Table], count: int, now: datetime, chance: Random) -> Iterator[Run]:
    step = timedelta(days=_DAYS) / max(count, 1)
    queued_at = Run._meta.get_field("queued_at")
    queued_at.auto_now_add = False
    try:
        for number in range(count):
            table = tables[number % len(tables)]
            asked = now - step * number
            started = asked + timedelta(seconds=1)
            has_failed = number % 50 == 7
            yield Run(
                table=table, source=table.source, trigger=RunTrigger.SCHEDULE, queued_at=asked,
                state=RunState.FAILED if has_failed else RunState.SUCCEEDED,
                started_at=started, finished_at=started + timedelta(seconds=chance.random() * 90),
                rows=None if has_failed else 1000 + number % 100,
                bytes=None if has_failed else 100_000 + number % 1000,
                version_number=None if number % 3 else 1,
                error_code="data_invalid" if has_failed else "",
                error_message="Line 7 has too many values." if has_failed else "",
                log="extract\nvalidate\npublish\n" * 5,
            )  # fmt: skip
    finally:
        queued_at.auto_now_add = True


def _incidents(tables: list[Table], now: datetime) -> Iterator[Incident]:
    for number, table in enumerate(tables):
        yield Incident(
            table=table, kind=IncidentKind.HELD, code="data_invalid",
            message="The new version has no rows.", hint="Look at the file.",
            closed_at=None if number < 25 else now,
        )  # fmt: skip


def _events(
    tables: list[Table], people: list[User], count: int, now: datetime, chance: Random
) -> Iterator[AuditEvent]:
    step = timedelta(days=_DAYS) / max(count, 1)
    for number in range(count):
        # A few tables are asked for far more often than the others.
        table = tables[int(len(tables) * chance.random() ** 4)]
        yield AuditEvent(
            at=now - step * number, actor=people[number % len(people)], client_kind="cli",
            ip="192.0.2.7", request_id=f"{number:032x}",
            action="update_table" if number % 20 == 0 else "data.download",
            resource=f"table/{table.name}",
        )  # fmt: skip
