"""A model of who sees what, of plain sets: what the services are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from access.models import ADMIN, EVERYONE


@dataclass
class Held:
    """A grant."""

    tier: str
    expires_at: datetime | None

    def is_in_force(self, now: datetime) -> bool:
        return self.expires_at is None or self.expires_at > now


@dataclass
class Shown:
    """A table, and what of it is served."""

    source: str
    folder: str = ""
    is_server_only: bool = False
    is_remote: bool = False
    # Content of each version, by its number; the last one is in service.
    versions: dict[int, bytes] = field(default_factory=dict)


@dataclass
class World:
    """All that decides who sees what."""

    sources: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    groups: dict[str, set[str]] = field(default_factory=dict)
    grants: dict[tuple[str, str, str], Held] = field(default_factory=dict)
    tables: dict[str, Shown] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)

    def covering(self, person: str, table: str, now: datetime) -> list[Held]:
        """Return the grants in force by which a person reads a table."""
        shown = self.tables[table]
        covers = {("table", table), ("source", shown.source), ("folder", shown.folder)}
        return [
            held
            for (group, *resource), held in self.grants.items()
            if tuple(resource) in covers
            and held.is_in_force(now)
            and (group == EVERYONE or person in self.groups[group])
        ]

    def tier(self, person: str, table: str, now: datetime) -> str:
        """Return how a table reaches a person, empty if it does not."""
        if person in self.groups[ADMIN]:
            return "required"
        tiers = {held.tier for held in self.covering(person, table, now)}
        return "required" if "required" in tiers else "available" if tiers else ""

    def forget(self, kind: str, name: str) -> None:
        """Take away the grants on a thing that is going."""
        self.grants = {key: held for key, held in self.grants.items() if key[1:] != (kind, name)}
