"""The page between a list and what is done to many of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from agnes_site.core import human, markup
from agnes_site.core.admin import bulk
from agnes_site.core.admin.addresses import AddressedAdmin
from agnes_site.core.admin.bulk import BulkAction, Step, Values
from agnes_site.core.admin.refusals import said
from agnes_site.core.errors import AgnesError


class BulkAdmin(AddressedAdmin):
    """Offers what is declared to be done to many, with a page in between that shows it first."""

    bulk: Sequence[BulkAction] = ()

    def bulk_actions(self) -> Sequence[BulkAction]:
        """Return what can be done to several rows at once."""
        return self.bulk

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions of the list: those of the framework, and the declared ones."""
        found: dict[str, Any] = super().get_actions(request)
        declared = self.bulk_actions()
        if declared:
            found.pop("delete_selected", None)  # what removes is declared, and shown before
        return found | {
            action.key: (_first_page(action), action.key, f"{action.label} …")
            for action in declared
        }

    def get_urls(self) -> list[URLPattern]:
        """Return the pages of this model, with the one in between."""
        view = self.admin_site.admin_view(self.bulk_view)
        page = path("bulk/<slug:key>/", view, name=self.path_name("bulk"))
        found: list[URLPattern] = super().get_urls()
        return [page, *found]

    def bulk_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Show again what will happen, for what was filled in; or do it."""
        action = next((each for each in self.bulk_actions() if each.key == key), None)
        if action is None or not self.has_view_permission(request):
            raise Http404
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return self.bulk_page(request, action, bulk.chosen_ids(request))

    def bulk_page(
        self, request: HttpRequest, action: BulkAction, ids: Sequence[UUID]
    ) -> HttpResponse:
        """Show what will happen to the chosen ones, or do it when that is asked for."""
        rows = list(self.get_queryset(request).filter(pk__in=ids))
        form = _form(request, action)
        is_ready = form is None or form.is_valid()
        values = form.cleaned_data if form is not None and is_ready else {}
        try:
            if is_ready and "apply" in request.POST:
                return self._carry_out(request, action, rows, values)
            plan = list(action.plan(rows, values)) if is_ready else []
            effect = action.effect(rows, values) if is_ready else ""
        except AgnesError as error:
            plan, effect = [Step(row="", text=said(error), is_possible=False)], ""
        return self._shown(request, action, rows, form, plan, effect)

    def _carry_out(
        self, request: HttpRequest, action: BulkAction, rows: Sequence[Any], values: Values
    ) -> HttpResponse:
        outcome = bulk.carry_out(action, rows, values, by=request.user)
        if outcome.done:
            self.message_user(request, f"{action.done}: {self._counted(outcome.done)}.")
        if outcome.refused:
            reasons = "; ".join(f"{each}: {each.text}" for each in outcome.refused[:5])
            more = f"; and {len(outcome.refused) - 5:,} more" if len(outcome.refused) > 5 else ""
            told = f"{self._counted(len(outcome.refused))} left as before. {reasons}{more}"
            self.message_user(request, told, messages.WARNING)
        return Redirect(self._back(request))

    def _shown(
        self,
        request: HttpRequest,
        action: BulkAction,
        rows: Sequence[Any],
        form: forms.Form | None,
        plan: Sequence[Step],
        effect: str,
    ) -> HttpResponse:
        possible = [step for step in plan if step.is_possible]
        left_out = [step for step in plan if not step.is_possible]
        context = {
            **self.admin_site.each_context(request),
            "title": action.label,
            "opts": self.opts,
            "action": action,
            "form": form,
            "media": self.media + form.media if form else self.media,
            "chosen": ",".join(row.pk.hex for row in rows),
            "chosen_count": self._counted(len(rows)),
            "back": self._back(request),
            "url": reverse(self.url_name("bulk"), args=[action.key]),
            "effect": effect,
            "will": _listed(possible),
            "will_title": f"{self._counted(len(possible))}: what will happen",
            "will_not": _listed(left_out),
            "will_not_title": f"{self._counted(len(left_out))} left as before",
            "button": _button(action, self._counted(len(possible)) if possible else ""),
            "is_possible": bool(possible),
        }
        return render(request, "web/bulk.html", context)

    def _counted(self, count: int) -> str:
        meta = self.opts
        return human.plural(count, str(meta.verbose_name), str(meta.verbose_name_plural))

    def _back(self, request: HttpRequest) -> str:
        back = request.POST.get("back") or request.get_full_path()
        listed = reverse(self.url_name("changelist"))
        return back if back.partition("?")[0] == listed else listed


def _button(action: BulkAction, counted: str) -> str:
    return f"{action.confirm} {counted}".strip()


def _first_page(action: BulkAction) -> Callable[[Any, HttpRequest, Any], HttpResponse]:
    def show(admin: BulkAdmin, request: HttpRequest, chosen: Any) -> HttpResponse:
        ids = list(chosen.order_by().values_list("pk", flat=True)[: bulk.MOST_AT_ONCE + 1])
        return admin.bulk_page(request, action, bulk.checked(ids))

    return show


def _form(request: HttpRequest, action: BulkAction) -> forms.Form | None:
    if action.form is None:
        return None
    if "chosen" in request.POST:
        return action.form(request.POST)
    empty = action.form()
    # Where nothing has to be filled in, what an empty form would do is shown at once.
    return empty if any(each.required for each in empty.fields.values()) else action.form({})


def _listed(steps: Sequence[Step]) -> Any:
    if not steps:
        return ""
    rows = [[str(step), step.text] for step in steps[: bulk.SHOWN]]
    more = len(steps) - len(rows)
    listed = markup.grid(["Which", "What"], rows)
    return markup.stack(listed, markup.faint(f"and {more:,} more") if more else "")
