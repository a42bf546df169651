"""What can be granted: a registry that higher apps fill in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agnes_site.core.errors import InvalidInputError, NotFoundError


class UnknownResourceTypeError(InvalidInputError):
    """Nothing of this type can be granted."""

    code = "resource_type_unknown"
    status = 400


class ResourceNotFoundError(NotFoundError):
    """There is nothing with this name to be granted."""

    code = "resource_not_found"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One thing that can be granted."""

    id: str
    name: str
    category: str = ""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A class of things that can be granted.

    ``find`` returns the canonical id of a thing by any of its names, or ``None``; ``search``
    returns those in whose names a text occurs, at most as many as are wanted. ``covering`` returns
    type and id of all whose grants are grants on this thing too, itself first; ``extent`` says
    how much it is, if it is more than one thing.
    """

    key: str
    display_name: str
    description: str
    id_format: str
    find: Callable[[str], str | None]
    search: Callable[[str, int], Iterable[Resource]]
    covering: Callable[[str], Sequence[tuple[str, str]]]
    extent: Callable[[str], str] = lambda resource_id: ""


_types: dict[str, ResourceType] = {}


def register(resource_type: ResourceType) -> None:
    """Make things of this type grantable."""
    _types[resource_type.key] = resource_type


def registered() -> Mapping[str, ResourceType]:
    """Return all types of things that can be granted."""
    return _types


def known_type(key: str) -> ResourceType:
    """Return the type with this key.

    Raises:
        UnknownResourceTypeError: nothing of this type can be granted.
    """
    if key not in _types:
        raise UnknownResourceTypeError(
            f"There is no resource type {key!r}.",
            hint=f"Choose one of: {', '.join(sorted(_types))}.",
        )
    return _types[key]


def canonical_id(resource_type: str, resource_id: str) -> str:
    """Return the id under which a thing is granted.

    Raises:
        UnknownResourceTypeError: nothing of this type can be granted.
        ResourceNotFoundError: there is no such thing.
    """
    found = known_type(resource_type).find(resource_id)
    if found is None:
        raise ResourceNotFoundError(f"There is no {resource_type} named {resource_id!r}.")
    return found
