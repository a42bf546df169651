"""What a grant means for people, in a sentence that is read before it is given or taken."""

from __future__ import annotations

from collections.abc import Sequence

from access.models import Grant, Group
from access.resources import known_type
from access.services import audience
from agnes_site.core import human


def of_giving(group: Group, resource_type: str, resource_id: str) -> str:
    """Say who will be able to read a thing when ``group`` gets a grant on it."""
    held = Grant.objects.filter(group=group, resource_type=resource_type, resource_id=resource_id)
    if held.exists():
        return f"{group} holds this grant already."
    effect = audience.of_giving(group=group, resource_type=resource_type, resource_id=resource_id)
    extent = known_type(resource_type).extent(resource_id)
    return " ".join(part for part in (_giving(group, effect), _extent(extent)) if part)


def of_taking(given: Grant) -> str:
    """Say who loses a thing when this grant is taken away, and ask."""
    effect = audience.of_taking(given)
    what = f"{given.resource_type} {given.resource_id}"
    if not effect.concerned:
        told = "Nobody loses it: the group has no members."
        if effect.members:
            who = f"all {_people(effect.members)} have" if effect.members > 1 else "its member has"
            told = f"Nobody loses it: {who} it in another way too."
        return f"Take the grant on {what} away from {given.group}? {told}"
    keep = (
        f" {_people(effect.others)} of the group keep it in another way." if effect.others else ""
    )
    return (
        f"Take the grant on {what} away from {given.group}? {_people(effect.concerned)} "
        f"will no longer be able to read it: {named(effect.names, effect.concerned)}.{keep}"
    )


def named(names: Sequence[str], count: int) -> str:
    """Return some names, and how many more there are."""
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _giving(group: Group, effect: audience.Effect) -> str:
    if not effect.members:
        return f"Nobody is in {group} yet; whoever is added will be able to read it."
    if not effect.concerned:
        who = f"All {_people(effect.members)}" if effect.members > 1 else "The one person"
        return f"{who} in {group} can read it already."
    already = f"; {effect.others:,} can already" if effect.others else ""
    return (
        f"{_people(effect.members)} in {group} will be able to read it{already}. "
        f"New: {named(effect.names, effect.concerned)}."
    )


def _extent(extent: str) -> str:
    return f"It is {extent}." if extent else ""


def _people(count: int) -> str:
    return human.plural(count, "person", "people")
