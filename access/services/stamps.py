"""Stamps: what moves when an answer of the manifest may change.

Called inside the transaction of the change itself, so that an answer and its stamp are never
seen apart.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Q

from access.models import ADMIN, Grant, Group, User


def move_groups(groups: Iterable[Group]) -> None:
    """Say that the answers for these groups may have changed."""
    _move(Q(pk__in=[group.pk for group in groups]))


def move_user(user: User) -> None:
    """Say that the answers for this user may have changed."""
    User.objects.filter(pk=user.pk).update(manifest_stamp=uuid.uuid4())


def move_members(group: Group) -> None:
    """Say that the answers for the members of a group may have changed."""
    User.objects.filter(memberships__group=group).update(manifest_stamp=uuid.uuid4())


def move_holders(resources: Iterable[tuple[str, str]]) -> None:
    """Move the stamps of all groups that hold a grant on any of ``(type, id)``, and of Admin."""
    ids = defaultdict(list)
    for resource_type, resource_id in resources:
        ids[resource_type].append(resource_id)
    covered = Q(pk__in=[])
    for resource_type, found in ids.items():
        covered |= Q(resource_type=resource_type, resource_id__in=found)
    holders = Grant.objects.filter(covered).values("group_id")
    _move(Q(name=ADMIN) | Q(pk__in=holders))


def _move(condition: Q) -> None:
    # Locked in one order: two changes at once wait for each other instead of for ever.
    found = Group.objects.select_for_update().filter(condition).order_by("pk")
    ids = list(found.values_list("pk", flat=True))
    Group.objects.filter(pk__in=ids).update(stamp=uuid.uuid4())
