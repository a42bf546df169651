"""Roll-backs, publishes and pulls by several processes at once: each sees one whole version."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.journeys.installation import ROOT

# Four starts of the program on a busy machine take their time.
pytestmark = [pytest.mark.hostile(55), pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = 30

PREPARE = """
from access.models import ADMIN, Group
from access.services import groups
from tests.factories import TableFactory, UserFactory, publish, stored_part
ana = UserFactory(email="ana@example.com")
groups.add_member(group=Group.objects.get(name=ADMIN), user=ana, by=None)
publish(TableFactory(name="orders"), stored_part(1))
"""

_BEGIN = """
import json
from django.db import transaction
from agnes_site.core.errors import ConflictError
from access.models import User
from catalog.connectors import ColumnSpec
from catalog.models import Table
from catalog.services import manifest, versions
from catalog.services.versions import Draft
from tests.factories import stored_part
orders = Table.objects.get(name="orders")
told = []
"""

# A run takes its right to publish first, and uses it when it is done.
PUBLISH = f"""{_BEGIN}
for number in range(FIRST, FIRST + {ROUNDS}):
    draft = Draft(
        parts=[stored_part(number)], columns=[ColumnSpec(name="id", type="BIGINT")],
        schema_hash="0" * 64,
    )
    with transaction.atomic():
        fencing = versions.take_fencings([orders.pk])[orders.pk]
    try:
        version, _ = versions.commit(table=orders, draft=draft, fencing=fencing)
    except ConflictError as error:
        assert error.code in ("table_pinned", "fenced_off"), error.code
    else:
        told.append([version.number, number])
print(json.dumps(told))
"""

ROLL_BACK = f"""{_BEGIN}
for at in range({ROUNDS}):
    told.append([versions.roll_back(table=orders, number=1, by=None).number, 1])
    if at < {ROUNDS} - 1:
        versions.release(table=orders, by=None)
print(json.dumps(told))
"""

PULL = f"""{_BEGIN}
ana = User.objects.get(email="ana@example.com")
for _ in range(3 * {ROUNDS}):
    entry = json.loads(manifest.render(ana, frozenset(["parts"])))["tables"]["orders"]
    told.append([entry["version"], int(entry["parts"][0]["sha256"], 16)])
print(json.dumps(told))
"""

LOOK = """
import json
from catalog.models import Table
orders = Table.objects.get(name="orders")
made = {v.number: int(v.parts.get().sha256, 16) for v in orders.versions.all()}
print(json.dumps([sorted(made.items()), orders.current_version.number, orders.is_pinned]))
"""


def test_are_seen_whole_and_published_over_by_nobody(installation):
    installation.manage("shell", "-v", "0", "-c", PREPARE)
    programs = [
        PUBLISH.replace("FIRST", "1_000"), PUBLISH.replace("FIRST", "2_000"), ROLL_BACK, PULL
    ]  # fmt: skip

    working = [
        subprocess.Popen(
            [installation.python, "manage.py", "shell", "-v", "0", "-c", program],
            cwd=ROOT, env=installation.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for program in programs
    ]  # fmt: skip
    said = [process.communicate(timeout=240)[0] for process in working]
    assert [process.returncode for process in working] == [0] * 4, said
    *published, rolled_back, pulled = [json.loads(text) for text in said]
    made, current, is_pinned = json.loads(installation.manage("shell", "-v", "0", "-c", LOOK))

    # Each change is there once, under a number of its own.
    assert [number for number, _ in made] == list(range(1, len(made) + 1))
    assert made == sorted([[1, 1], *published[0], *published[1], *rolled_back])
    # What is pulled is what its version holds, and never an older one than before.
    assert [pull for pull in pulled if pull not in made] == []
    assert pulled == sorted(pulled)
    # Nobody publishes over the last roll-back.
    assert (current, is_pinned) == (rolled_back[-1][0], True)
    assert current == len(made)
