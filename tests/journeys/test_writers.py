"""Ten processes that write at once: each change is there once, and nobody gives up."""

from __future__ import annotations

import subprocess

import pytest

from tests.journeys.installation import ROOT

# Ten starts of the program on a busy machine take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WRITERS = 10
ROUNDS = 8

# Two tables of one source, in either order, with a grant and its end between them.
WRITER = f"""
from access.models import Group
from access.services import grants
from catalog.connectors import ColumnSpec
from catalog.models import Table
from catalog.services import versions
from catalog.services.versions import Draft, Proposal
from tests.factories import stored_part

number = {{number}}
group = Group.objects.get(name=f"Readers {{{{number}}}}")
tables = list(Table.objects.order_by("name"))
if number % 2:
    tables.reverse()
for at in range({ROUNDS}):
    drafts = [
        Draft(
            parts=[stored_part(1 + at + number * 1000 + table.pk.int % 997 * 10**6)],
            columns=[ColumnSpec(name="id", type="BIGINT")], schema_hash="0" * 64,
        )
        for table in tables
    ]
    if at % 2:
        done = versions.commit_all(
            [Proposal(table=t, draft=d, fencing=0) for t, d in zip(tables, drafts)]
        )
        assert all(each.is_new for each in done), done
    else:
        for table, draft in zip(tables, drafts):
            assert versions.commit(table=table, draft=draft, fencing=0)[1]
    made = grants.grant(group=group, resource_type="table", resource_id="b", by=None)
    if at < {ROUNDS} - 1:
        grants.revoke(given=made, by=None)
"""

PREPARE = f"""
from access.services import groups
from tests.factories import SourceFactory, TableFactory
shop = SourceFactory(slug="shop")
for name in ("a", "b"):
    TableFactory(name=name, source=shop)
for number in range({WRITERS}):
    groups.create_group(name=f"Readers {{number}}", by=None)
"""

LOOK = """
from django.db import connection
from access.models import AuditEvent, Grant
from catalog.models import Table
for table in Table.objects.order_by("name"):
    numbers = sorted(table.versions.values_list("number", flat=True))
    print(table.name, numbers == list(range(1, len(numbers) + 1)), len(numbers))
print(AuditEvent.objects.filter(action="publish").count(), Grant.objects.count())
if connection.vendor == "sqlite":
    with connection.cursor() as cursor:
        print(cursor.execute("PRAGMA integrity_check").fetchone()[0])
        assert not cursor.execute("PRAGMA foreign_key_check").fetchall()
else:
    print("ok")
"""


def test_publish_and_grant_without_loss(installation):
    installation.manage("shell", "-v", "0", "-c", PREPARE)

    writers = [
        subprocess.Popen(
            [installation.python, "manage.py", "shell", "-v", "0", "-c",
             WRITER.format(number=number)],
            cwd=ROOT, env=installation.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for number in range(WRITERS)
    ]  # fmt: skip
    said = [writer.communicate(timeout=240)[0] for writer in writers]
    seen = installation.manage("shell", "-v", "0", "-c", LOOK).split("\n")

    assert [writer.returncode for writer in writers] == [0] * WRITERS, said
    versions = WRITERS * ROUNDS
    assert seen[:4] == [
        f"a True {versions}", f"b True {versions}", f"{2 * versions} {WRITERS}", "ok",
    ]  # fmt: skip
