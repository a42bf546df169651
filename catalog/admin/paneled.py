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
from catalog.panels import Action, ListColumn, Registry


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

    def panels(self, request: HttpRequest, obj: Any) -> list[SafeString | str]:
        """Return the panels of higher apps."""
        return [panel.render(request, obj) for panel in self.registry.panels.values()]

    def callable_names(self) -> Sequence[str]:
        """Return the names under which something can be done, those of higher apps too."""
        return [*super().callable_names(), *self.registry.actions]

    def call(self, request: HttpRequest, obj: Any, name: str) -> Done:
        """Do what ``name`` stands for, here or in a higher app."""
        action = self.registry.actions.get(name)
        return action.do(request, obj) if action else super().call(request, obj, name)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Go on to the page of what was added: the next step is there."""
        return HttpResponseRedirect(
            reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[obj.pk])
        )

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
            confirm=action.confirm,
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
