"""What higher apps show on the pages of tables and sources: panels, actions, columns.

An app fills the two registries in its ``AppConfig.ready()``; the admin of the catalog shows
what it finds there and knows nothing of where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from catalog.models import Source, Table

Subject = TypeVar("Subject", Table, Source)


@dataclass(frozen=True, kw_only=True)
class Panel(Generic[Subject]):
    """A block of a page; ``render`` returns its HTML, or nothing to be left out."""

    key: str
    render: Callable[[HttpRequest, Subject], SafeString | str]


@dataclass(frozen=True, kw_only=True)
class Action(Generic[Subject]):
    """Something that can be done from a page.

    ``do`` returns where to go on, or ``None`` to stay. An action that ``is_page`` has a page of
    its own: it is called for GET too, and always answers. ``fits`` says whether it makes sense.
    """

    key: str
    label: str
    do: Callable[[HttpRequest, Subject], HttpResponse | None]
    icon: str = ""
    is_main: bool = False
    is_page: bool = False
    confirm: str = ""
    fits: Callable[[Subject], bool] = lambda subject: True


@dataclass(frozen=True, kw_only=True)
class ListColumn(Generic[Subject]):
    """A column of a list; ``values`` looks up all rows of a page at once, by their id."""

    key: str
    title: str
    values: Callable[[Sequence[Subject]], Mapping[UUID, SafeString | str]]


@dataclass
class Registry(Generic[Subject]):
    """All that higher apps show about one kind of thing."""

    panels: dict[str, Panel[Subject]] = field(default_factory=dict)
    actions: dict[str, Action[Subject]] = field(default_factory=dict)
    columns: dict[str, ListColumn[Subject]] = field(default_factory=dict)

    def add(self, *entries: Panel[Subject] | Action[Subject] | ListColumn[Subject]) -> None:
        """Show these too; one of the same key and kind is replaced."""
        for entry in entries:
            if isinstance(entry, Panel):
                self.panels[entry.key] = entry
            elif isinstance(entry, Action):
                self.actions[entry.key] = entry
            else:
                self.columns[entry.key] = entry


tables: Registry[Table] = Registry()
sources: Registry[Source] = Registry()
