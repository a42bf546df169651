"""The steps from nothing to tables, taken without leaving the page.

The form is saved by a script, which asks for JSON: errors go to their fields, and what was typed,
secrets too, stays where it is. What a higher app can find out about settings before they are
saved (a :class:`~catalog.panels.Trial`) is asked for in the same way.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from agnes_site.core.admin import said
from agnes_site.core.database import as_uuid
from agnes_site.core.errors import AgnesError
from catalog.admin import secret_fields, source_form
from catalog.admin.paneled import PaneledAdmin
from catalog.models import Source

STEPS = ("Connect", "Choose tables", "First rows")


class Steps(PaneledAdmin):
    """What a source's form does in the browser, and the trials that it offers."""

    change_form_after_template = "catalog/source_trials.html"

    class Media:
        js = ("web/ask.js", "catalog/source_form.js")

    def get_urls(self) -> list[URLPattern]:
        """Return the place where what was typed is tried, too."""
        found: list[URLPattern] = super().get_urls()
        trial = self.admin_site.admin_view(self.try_view)
        return [path("try/<slug:key>/", trial, name="catalog_source_try"), *found]

    def try_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """Find out something about a source as it was typed."""
        trial = self.registry.trials.get(key)
        if trial is None:
            raise Http404
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self._tried(request)
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        form = self.get_form(request, obj, change=obj is not None)(request.POST, instance=obj)
        if problems := source_form.problems(form):
            return JsonResponse({"errors": problems}, status=422)
        try:
            return trial.do(request, form.draft(), secret_fields.given(form, form.connector))
        except AgnesError as error:
            return refusal(error)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or save the form; a script is told in JSON what came of it."""
        answer = super().changeform_view(request, *args, **kwargs)
        wants_json = request.headers.get("Accept") == "application/json"
        return as_json(answer) if wants_json and request.method == "POST" else answer

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form with the steps, and with what can be tried."""
        obj = context.get("original")
        subject = f"source={obj.pk}" if obj else f"source_type={request.GET.get('source_type')}"
        context["trials"] = [
            {
                "trial": each,
                "url": f"{reverse('admin:catalog_source_try', args=[each.key])}?{subject}",
            }
            for each in self.registry.trials.values()
        ]
        if obj is None:
            draft = Source(source_type=source_form.connector_of(request, None).source_type)
            context["leads_on"] = self.next_action(draft) is not None
            context["above"] = steps(0) if context["leads_on"] else ""
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def _tried(self, request: HttpRequest) -> Source | None:
        wanted = request.GET.get("source")
        if not wanted:
            return None
        return get_object_or_404(Source, pk=as_uuid(wanted))


def as_json(answer: HttpResponse) -> HttpResponse:
    """Return what a form answered: where to go on, or what is wrong at which field."""
    if answer.status_code in (301, 302):
        return JsonResponse({"next": answer.headers["Location"]})
    if isinstance(answer, TemplateResponse) and answer.context_data:
        form = answer.context_data["adminform"].form
        found = {name: [str(each) for each in errors] for name, errors in form.errors.items()}
        return JsonResponse({"errors": found}, status=422)
    return answer


def refusal(error: AgnesError) -> HttpResponse:
    """Return what a service refused, as a script shows it."""
    told = {"code": error.code, "message": error.message, "hint": error.hint, "said": said(error)}
    return JsonResponse({"error": told}, status=error.status)


def steps(now: int) -> SafeString:
    """Return the steps on the way to a source's tables, with the present one marked."""
    shown = format_html_join(
        "",
        '<li aria-current="{}">{}</li>',
        (("step" if number == now else "false", name) for number, name in enumerate(STEPS)),
    )
    return format_html('<ol class="ag-way" aria-label="Steps">{}</ol>', shown)
