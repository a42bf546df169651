"""Loads the connectors of installed packages; one that is broken harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from agnes_site.core.errors import ConfigurationError
from catalog.connectors.contract import Connector

_NEEDED = ("source_type", "display_name", "config_schema", "table_schema")
logger = logging.getLogger(__name__)


class ConnectorBrokenError(ConfigurationError):
    """The package of this connector is installed, and its connector cannot be used."""

    code = "connector_broken"
    hint = "Mend or uninstall that package and restart the server. All other sources work."


def load(group: str, taken: Collection[str]) -> tuple[dict[str, Connector], dict[str, str]]:
    """Return the connectors of ``group`` by source type, and why others cannot be used.

    The latter by the name of their entry point. No type that is ``taken`` is served anew.
    """
    found: dict[str, Connector] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=group):
        try:
            connector = _made(point, {*taken, *found})
        except (Exception, SystemExit) as error:
            package = point.dist.name if point.dist else "a package"
            broken[point.name] = f"The connector {point.name!r} of {package} is broken: {error!r}."
            logger.exception("The connector %s of %s cannot be used", point.name, package)
        else:
            found[connector.source_type] = connector
    return found, broken


def _made(point: EntryPoint, taken: Collection[str]) -> Connector:
    cls: type[Connector] = point.load()
    if not (isinstance(cls, type) and issubclass(cls, Connector)):
        raise TypeError(f"{point.value} is no class of a connector")
    missing = [name for name in _NEEDED if not hasattr(cls, name)]
    if missing:
        raise TypeError(f"{point.value} does not say its {', '.join(missing)}")
    if cls.source_type != cls.source_type.strip().lower():
        raise ValueError(f"the source type {cls.source_type!r} is not in lower case")
    if cls.source_type in taken:
        raise ValueError(f"another connector serves sources of type {cls.source_type!r}")
    return cls()
