"""Who reads something, and who would after a grant is given or taken away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from access.models import ADMIN, EVERYONE, Grant, Group, Membership, User
from access.resources import known_type

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a change of grants means for people; some of those it concerns are named."""

    members: int
    concerned: int
    names: Sequence[str]

    @property
    def others(self) -> int:
        """How many of the members it does not concern."""
        return self.members - self.concerned


def covering(resource_type: str, resource_id: str) -> QuerySet[Grant]:
    """Return the grants by which people use a thing, those on what it is part of too."""
    condition = Q(pk__in=[])
    for kind, found in known_type(resource_type).covering(resource_id):
        condition |= Q(resource_type=kind, resource_id=found)
    return Grant.objects.filter(condition).select_related("group")


def members(groups: Iterable[Group]) -> QuerySet[User]:
    """Return the active users who are in any of ``groups``."""
    chosen = list(groups)
    active = User.objects.filter(is_active=True)
    if any(group.name == EVERYONE for group in chosen):
        return active
    held = Membership.objects.filter(user=OuterRef("pk"), group__in=chosen)
    return active.filter(Exists(held))


def readers(held: Iterable[Grant]) -> QuerySet[User]:
    """Return the active users whom any of these grants, of those in force, lets read."""
    return members(grant.group for grant in held if grant.is_in_force)


def of_giving(*, group: Group, resource_type: str, resource_id: str) -> Effect:
    """Return who could use a thing if ``group`` got a grant on it, and whom that concerns."""
    would = members([group])
    allowed = _allowed(covering(resource_type, resource_id))
    return _effect(would, would.exclude(pk__in=allowed.values("pk")))


def of_giving_all(*, group: Group, coverings: Iterable[Sequence[tuple[str, str]]]) -> Effect:
    """Return who could use several things if ``group`` got a grant on each of them.

    It concerns those who cannot use all of them yet. ``coverings`` hold, for each thing, type and
    id of all whose grants are grants on it.
    """
    would = list(members([group]).order_by("email"))
    in_groups = defaultdict(set)
    held = Membership.objects.filter(user__in=members([group]))
    for user, found in held.values_list("user_id", "group_id"):
        in_groups[user].add(found)
    allowing = _allowing(coverings)
    new = [
        user for user in would
        if not all(groups is None or groups & in_groups[user.pk] for groups in allowing)
    ]  # fmt: skip
    return Effect(
        members=len(would), concerned=len(new), names=[str(user) for user in new[:_NAMED]]
    )


def _allowing(coverings: Iterable[Sequence[tuple[str, str]]]) -> set[frozenset[UUID] | None]:
    """Return the groups that can use each thing, each combination once; ``None`` for everyone."""
    chosen = {tuple(each) for each in coverings}
    ids: dict[str, set[str]] = defaultdict(set)
    for kind, found in chain.from_iterable(chosen):
        ids[kind].add(found)
    condition = Q(pk__in=[])
    for kind, wanted in ids.items():
        condition |= Q(resource_type=kind, resource_id__in=wanted)
    by: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    granted = Grant.objects.in_force().filter(condition)
    for kind, found, group in granted.values_list("resource_type", "resource_id", "group_id"):
        by[kind, found].add(group)
    always = dict(Group.objects.filter(name__in=(ADMIN, EVERYONE)).values_list("name", "pk"))
    combined = (set().union(*(by[each] for each in covering)) for covering in chosen)
    return {
        None if always[EVERYONE] in groups else frozenset({*groups, always[ADMIN]})
        for groups in combined
    }


def of_taking(given: Grant) -> Effect:
    """Return who uses a thing by a grant, and who would lose it with that grant."""
    now = readers([given])
    others = covering(given.resource_type, given.resource_id).exclude(pk=given.pk)
    return _effect(now, now.exclude(pk__in=_allowed(others).values("pk")))


def _allowed(held: Iterable[Grant]) -> QuerySet[User]:
    groups = [grant.group for grant in held if grant.is_in_force]
    return members([*groups, *Group.objects.filter(name=ADMIN)])


def _effect(all_of_them: QuerySet[User], concerned: QuerySet[User]) -> Effect:
    count = concerned.count()
    return Effect(
        members=all_of_them.count(),
        concerned=count,
        names=[str(user) for user in concerned.order_by("email")[:_NAMED]] if count else [],
    )
