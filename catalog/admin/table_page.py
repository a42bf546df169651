"""The page of a table: how it is, what is in it, who reads it, what it was, how it is kept up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.contrib.messages import WARNING
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from access.admin.granted import GrantedAdmin
from agnes_site.core import markup
from agnes_site.core.admin import button
from agnes_site.core.admin.parts import Section, joined, sectioned
from catalog.admin.column import columns_card, describe_from
from catalog.admin.paneled import page_of
from catalog.admin.rows import incidents_card, waive_from
from catalog.admin.table_list import TableList
from catalog.admin.timing import facts_of_table
from catalog.admin.version import rows_drawn, versions_card
from catalog.connectors import QueryMode
from catalog.models import Table
from catalog.services import registry, versions


class TablePage(GrantedAdmin, TableList):
    """Sections for what is in a table, above the form of its settings."""

    parts = ("facts", "incidents", "columns", "versions")
    buttons = ("release", "pause", "resume", "roll_back", "waive", "describe")
    granted_type = "table"

    def granted_id(self, obj: Table) -> str:
        """Return the name of the table, under which it is granted."""
        return obj.name

    # What can be done ---------------------------------------------------------------------

    def offered(self, request: HttpRequest, obj: Table) -> Sequence[str]:
        """Offer to pause or resume, and to release what is pinned."""
        found = ["release"] if obj.is_pinned else []
        if obj.query_mode == QueryMode.REMOTE:
            return found
        return [*found, "resume" if obj.is_paused else "pause"]

    @button("Pause", icon="pause", part="facts")
    def pause(self, request: HttpRequest, table: Table) -> None:
        """Let the schedule leave the table alone."""
        by: Any = request.user
        registry.update_table(table=table, by=by, is_paused=True)
        self.say(request, f"{table.name} is paused: it is brought anew only when asked for.")

    @button("Resume", icon="play_arrow", part="facts")
    def resume(self, request: HttpRequest, table: Table) -> None:
        """Put the schedule of the table in force again."""
        by: Any = request.user
        registry.update_table(table=table, by=by, is_paused=False)
        self.say(request, f"{table.name} keeps to its schedule again.")

    @button("Release", icon="lock_open", part="facts")
    def release(self, request: HttpRequest, table: Table) -> None:
        """Let new versions in again."""
        by: Any = request.user
        versions.release(table=table, by=by)
        self.say(request, f"{table.name} is released: the next run may publish.")

    @button("Roll back to this")
    def roll_back(self, request: HttpRequest, table: Table) -> None:
        """Serve an older version again."""
        number = request.POST.get("number", "")
        if not number.isdecimal():
            raise versions.VersionNotFoundError("Say which version to roll back to.")
        by: Any = request.user
        made = versions.roll_back(table=table, number=int(number), by=by)
        self.say(
            request,
            f"{table.name} serves version {number} again, as version {made.number}. It stays so "
            "until it is released.",
            level=WARNING,
        )

    @button("Waive", confirm="Close this incident without it being mended?")
    def waive(self, request: HttpRequest, table: Table) -> None:
        """Close an incident that does not matter."""
        waive_from(request, table)
        self.say(request, "The incident is closed.")

    @button("Describe")
    def describe(self, request: HttpRequest, table: Table) -> HttpResponse:
        """Write what a column holds."""
        return HttpResponse(describe_from(request, table))

    # What is seen -------------------------------------------------------------------------

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the state of the table and its incidents, then what is in it, by sections."""
        return markup.stack(
            self.part(request, obj, "facts"),
            self.part(request, obj, "incidents"),
            sectioned(self._sections(request, obj), label="Of this table"),
        )

    def facts(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return how the table is, how it went, and what can be done."""
        source = markup.link(page_of("catalog", "source", obj.source_id), obj.source)
        facts = markup.facts(
            [
                ("State", self.state(obj)),
                ("Rows", self.rows(obj)),
                ("Size", self.size(obj)),
                ("Last new data", self.freshness(obj)),
                ("Version", self.version(obj)),
                ("Source", source),
                ("Folder", obj.folder or markup.NOTHING),
                ("Query mode", obj.get_query_mode_display()),
                *facts_of_table(obj),
            ]
        )
        shown = [facts, markup.aside(rows_drawn(obj), *self.panels(request, obj, section="state"))]
        title = markup.lines(str(obj), obj.name if obj.display_name else "", obj.description)
        return markup.card(title, joined(shown), aside=self.button_bar(request, obj))

    def incidents(self, request: HttpRequest, table: Table) -> SafeString:
        """Return what needs a person."""
        return incidents_card(self, request, table, part="incidents")

    def columns(
        self, request: HttpRequest, table: Table, *, with_details: bool = True
    ) -> SafeString:
        """Return the columns with what is known and said of them."""
        return columns_card(
            self, request, table, details=self.registry.details, with_details=with_details
        )

    def versions(self, request: HttpRequest, table: Table) -> SafeString:
        """Return what the table was, and the way back to it."""
        return versions_card(self, request, table)

    def _sections(self, request: HttpRequest, obj: Table) -> list[Section]:
        columns = self.part(
            request, obj, "columns", is_completed_when_seen=True,
            body=self.columns(request, obj, with_details=False),
        )  # fmt: skip
        part = partial(self.part, request, obj)
        return [
            self._section(request, obj, "data", "Data"),
            self._section(request, obj, "columns", "Columns", columns),
            self._section(request, obj, "readers", "Readers", part("readers")),
            self._section(request, obj, "versions", "Versions", part("versions")),
            self._section(request, obj, "runs", "Runs"),
            Section(key="settings", title="Settings"),
        ]

    def _section(
        self, request: HttpRequest, obj: Table, key: str, title: str, *own: SafeString
    ) -> Section:
        return Section(
            key=key, title=title, body=markup.stack(*own, *self.panels(request, obj, section=key))
        )
