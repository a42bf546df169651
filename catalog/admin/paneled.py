"""A page that higher apps add to: their panels, actions and columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from access.admin.history import HistoriedAdmin
from agnes_site.core import markup
from agnes_site.core.admin import Done
from agnes_site.core.admin.bulk import BulkAction
from agnes_site.core.admin.parts import LOADING, joined
from catalog.panels import Action, ListColumn, Panel, Registry


class PaneledAdmin(HistoriedAdmin):
    """Shows what a registry of :mod:`catalog.panels` holds, beside what is its own."""

    registry: ClassVar[Registry[Any]]

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        """Return the own columns and those of higher apps."""
        own: Sequence[Any] = super().get_list_display(request)
        return [*own, *(_shown(column) for column in self.registry.columns.values())]

    def complete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Look up what the columns of higher apps show, each for all rows at once."""
        for column in self.registry.columns.values():
            values = column.values(rows)
            for row in rows:
                row.__dict__[f"panel_{column.key}"] = values.get(row.pk, markup.NOTHING)

    def button_bar(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the actions of higher apps, then the own ones."""
        added = (
            self._action_button(request, obj, action)
            for action in self.registry.actions.values()
            if action.fits(obj)
        )
        return mark_safe("".join([*added, super().button_bar(request, obj)]))  # safe already

    def panels(
        self, request: HttpRequest, obj: Any, *, section: str = ""
    ) -> list[SafeString | str]:
        """Return the panels of higher apps, all or those of one section."""
        found = self.registry.panels.values()
        return [
            self._panel(request, obj, panel) for panel in found if section in ("", panel.section)
        ]

    def _panel(self, request: HttpRequest, obj: Any, panel: Panel[Any]) -> SafeString | str:
        if panel.section == "state":
            return panel.render(request, obj)  # stands in a part already
        body = LOADING if panel.waits_to_be_seen else self.part_body(request, obj, panel.key)
        return self.part(
            request, obj, panel.key, body=body, is_completed_when_seen=panel.waits_to_be_seen
        )

    def part_names(self) -> Sequence[str]:
        """Return the names of the parts of the page, those of higher apps too."""
        return [*super().part_names(), *self.registry.panels]

    def render_part(self, request: HttpRequest, obj: Any, name: str) -> SafeString:
        """Return what stands in a part, here or in a higher app."""
        panel = self.registry.panels.get(name)
        return joined([panel.render(request, obj)]) if panel else super().render_part(
            request, obj, name
        )  # fmt: skip

    def bulk_actions(self) -> Sequence[BulkAction]:
        """Return what can be done to several at once, also by higher apps."""
        return [*self.registry.bulk.values(), *super().bulk_actions()]

    def callable_names(self) -> Sequence[str]:
        """Return the names under which something can be done, those of higher apps too."""
        return [*super().callable_names(), *self.registry.actions]

    def call(self, request: HttpRequest, obj: Any, name: str) -> Done:
        """Do what ``name`` stands for, here or in a higher app."""
        action = self.registry.actions.get(name)
        return action.do(request, obj) if action else super().call(request, obj, name)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Go on to the next step with what was added, or to its page: the next step is there."""
        following = self.next_action(obj)
        url = self.do_url(obj, following.key) if following else self.page_url(obj)
        return HttpResponseRedirect(url)

    def next_action(self, obj: Any) -> Action[Any] | None:
        """Return what a person is led to after adding ``obj``, if there is such a thing."""
        actions = self.registry.actions.values()
        return next((each for each in actions if each.is_next and each.fits(obj)), None)

    def do_view(self, request: HttpRequest, object_id: UUID, name: str) -> HttpResponse:
        """Show the page of an action that has one; anything else is done by POST."""
        action = self.registry.actions.get(name)
        if request.method != "GET" or action is None or not action.is_page:
            return super().do_view(request, object_id, name)
        obj = self.get_object(request, str(object_id))
        if obj is None:
            raise Http404
        return self.answer(request, obj, name)

    def _action_button(self, request: HttpRequest, obj: Any, action: Action[Any]) -> SafeString:
        url = self.do_url(obj, action.key)
        if action.is_page:
            return markup.go_button(url, action.label, icon=action.icon, is_main=action.is_main)
        return markup.post_button(
            request, url, action.label, icon=action.icon, is_main=action.is_main,
            confirm=action.confirm, part=action.part,
        )  # fmt: skip


def _shown(column: ListColumn[Any]) -> Callable[[Any], SafeString | str]:
    def show(row: Any) -> SafeString | str:
        value: SafeString | str = row.__dict__[f"panel_{column.key}"]
        return value

    show.short_description = column.title  # type: ignore[attr-defined]  # read by the framework
    show.__name__ = column.key
    return show


def page_of(app: str, model: str, pk: UUID | None) -> str:
    """Return the address of the page of a row."""
    return reverse(f"admin:{app}_{model}_change", args=[pk])
