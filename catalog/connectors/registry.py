"""The installed connectors: those of Agnes, and those of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from agnes_site.core.errors import NotFoundError
from catalog.connectors import third_party
from catalog.connectors.contract import Connector
from catalog.connectors.third_party import ConnectorBrokenError

ENTRY_POINT_GROUP = "agnes.connectors"


class UnknownSourceTypeError(NotFoundError):
    """No installed connector serves this type of source."""

    code = "source_type_unknown"
    status = 422
    hint = "Install the package of that connector, or choose one of the listed types."


# Connectors that are part of Agnes, by the place of their class.
_BUILT_IN: list[str] = []


def register(path: str) -> None:
    """Add a connector that is part of Agnes: ``"package.module:Class"``."""
    if path not in _BUILT_IN:
        _BUILT_IN.append(path)
        forget()


def forget() -> None:
    """Look for connectors anew the next time that one is wanted."""
    _found.cache_clear()


def installed() -> Mapping[str, Connector]:
    """Return every connector that can be used, by its source type."""
    return _found()[0]


def broken() -> Mapping[str, str]:
    """Return why connectors of installed packages cannot be used, by their entry points' names."""
    return _found()[1]


@cache
def _found() -> tuple[dict[str, Connector], dict[str, str]]:
    known = {cls.source_type: cls() for cls in map(_load, _BUILT_IN)}
    found, unusable = third_party.load(ENTRY_POINT_GROUP, known)
    return known | found, unusable


def get(source_type: str) -> Connector:
    """Return the connector of a source type or of one of its aliases.

    Raises:
        ConnectorBrokenError: the package that serves it is installed and broken.
        UnknownSourceTypeError: no installed connector serves it.
    """
    wanted = source_type.strip().lower()
    for connector in installed().values():
        if wanted == connector.source_type or wanted in connector.aliases:
            return connector
    if wanted in broken():
        raise ConnectorBrokenError(broken()[wanted], source_type=source_type)
    raise UnknownSourceTypeError(
        f"There is no connector for sources of type {source_type!r}.",
        source_type=source_type,
        known=sorted(installed()),
    )


def is_foreign(source_type: str) -> bool:
    """Say whether somebody else writes the extract folders of a type; not of an unknown one."""
    connector = installed().get(source_type)
    return connector is not None and connector.is_foreign


def _load(path: str) -> type[Connector]:
    module, _, name = path.partition(":")
    loaded: type[Connector] = getattr(import_module(module), name)
    return loaded
