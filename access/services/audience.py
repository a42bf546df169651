"""Who reads something, and who would after a grant is given or taken away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
