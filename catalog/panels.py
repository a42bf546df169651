"""What higher apps show on the pages of tables and sources: panels, actions, columns, bulk work.

An app fills the two registries in its ``AppConfig.ready()``; the admin of the catalog shows
what it finds there and knows nothing of where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from agnes_site.core.admin.bulk import BulkAction
from catalog.models import Source, Table
from catalog.services.secrets import NewSecret

Subject = TypeVar("Subject", Table, Source)


@dataclass(frozen=True, kw_only=True)
class Panel(Generic[Subject]):
    """A block of a page; ``render`` returns its HTML, or nothing to be left out.

    ``section`` says where on the page of a table it stands: ``state`` is the card at the top,
    the others are its sections. One that is slow ``waits_to_be_seen`` and is fetched then.
    """

    key: str
    render: Callable[[HttpRequest, Subject], SafeString | str]
    section: str = "runs"
    waits_to_be_seen: bool = False


@dataclass(frozen=True, kw_only=True)
class Action(Generic[Subject]):
    """Something that can be done from a page.

    ``do`` returns where to go on, or ``None`` to stay. An action that ``is_page`` has a page of
    its own: it is called for GET too, and always answers. ``fits`` says whether it makes sense.
    After one with a ``part``, that part of the page is renewed and the page stays. One that
    ``is_next`` is where a person is led after adding the thing.
    """

    key: str
    label: str
    do: Callable[[HttpRequest, Subject], HttpResponse | None]
    icon: str = ""
    is_main: bool = False
    is_page: bool = False
    is_next: bool = False
    confirm: str = ""
    part: str = ""
    fits: Callable[[Subject], bool] = lambda subject: True


@dataclass(frozen=True, kw_only=True)
class ListColumn(Generic[Subject]):
    """A column of a list; ``values`` looks up all rows of a page at once, by their id."""

    key: str
    title: str
    values: Callable[[Sequence[Subject]], Mapping[UUID, SafeString | str]]


@dataclass(frozen=True, kw_only=True)
class ColumnDetail:
    """Something about each column of a table, by the column's name; looked up when it is seen."""

    key: str
    title: str
    values: Callable[[Table], Mapping[str, SafeString | str]]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Something that is found out about a source as it is typed, before it is saved.

    ``do`` is given the unsaved source and the secrets that were typed, and answers with a
    question that the page follows. One with a ``label`` is a button; the others are for programs.
    """

    key: str
    do: Callable[[HttpRequest, Source, Mapping[str, NewSecret]], HttpResponse]
    label: str = ""
    icon: str = ""


Entry: TypeAlias = (
    Panel[Subject] | Action[Subject] | ListColumn[Subject] | ColumnDetail | BulkAction | Trial
)


@dataclass
class Registry(Generic[Subject]):
    """All that higher apps show about one kind of thing."""

    panels: dict[str, Panel[Subject]] = field(default_factory=dict)
    actions: dict[str, Action[Subject]] = field(default_factory=dict)
    columns: dict[str, ListColumn[Subject]] = field(default_factory=dict)
    details: dict[str, ColumnDetail] = field(default_factory=dict)
    bulk: dict[str, BulkAction] = field(default_factory=dict)
    trials: dict[str, Trial] = field(default_factory=dict)

    def add(self, *entries: Entry[Subject]) -> None:
        """Show these too; one of the same key and kind is replaced."""
        for entry in entries:
            if isinstance(entry, Panel):
                self.panels[entry.key] = entry
            elif isinstance(entry, Action):
                self.actions[entry.key] = entry
            elif isinstance(entry, ColumnDetail):
                self.details[entry.key] = entry
            elif isinstance(entry, BulkAction):
                self.bulk[entry.key] = entry
            elif isinstance(entry, Trial):
                self.trials[entry.key] = entry
            else:
                self.columns[entry.key] = entry


tables: Registry[Table] = Registry()
sources: Registry[Source] = Registry()
