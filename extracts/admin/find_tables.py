"""Finding tables: the page on which they are chosen, and what is tried before a source is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from access.models import ADMIN, EVERYONE, Group, User
from catalog import connectors
from catalog.admin.source_steps import steps
from catalog.connectors import Capability, QueryMode
from catalog.models import Folder, Source
from catalog.services.secrets import NewSecret
from extracts.models import Question
from extracts.services import asking

_NOBODY = "00000000-0000-0000-0000-000000000000"
_SCHEDULES = ("every 1h", "every 6h", "daily 07:00", "cron 0 7 * * 1-5 Europe/Prague")


def can_discover(source: Source) -> bool:
    """Say whether a source can list its tables."""
    connector = connectors.installed().get(source.source_type)
    return (
        connector is not None
        and Capability.DISCOVER in connector.capabilities
        and not connector.is_foreign
    )


def find_tables(request: HttpRequest, source: Source) -> HttpResponse:
    """Show the page that asks a source for its tables, and registers what is chosen."""
    connector = connectors.get(source.source_type)
    here = reverse("admin:catalog_source_change", args=[source.pk])
    context = {
        **admin.site.each_context(request),
        "title": f"Tables of {source}",
        "steps": steps(1),
        "source": source,
        "source_url": here,
        "table_url": reverse("admin:catalog_table_change", args=[_NOBODY]),
        "run_url": reverse("admin:extracts_run_change", args=[_NOBODY]),
        "tables_url": f"{reverse('admin:catalog_table_changelist')}?source__id__exact={source.pk}",
        "can_stay": QueryMode.REMOTE in connector.query_modes,
        "can_preview": Capability.PREVIEW in connector.capabilities,
        "groups": _groups(),
        "folders": Folder.objects.values_list("slug", flat=True)[:200],
        "schedules": _SCHEDULES,
    }
    return render(request, "extracts/choose_tables.html", context)


def try_connection(
    request: HttpRequest, source: Source, given: Mapping[str, NewSecret]
) -> HttpResponse:
    """Ask a source that was typed whether it can be reached."""
    by: Any = request.user
    return _told(asking.ask_test(source=source, given=given, by=by))


def try_impact(
    request: HttpRequest, source: Source, given: Mapping[str, NewSecret]
) -> HttpResponse:
    """Ask a source that was changed which of its tables it would still have."""
    by: Any = request.user
    return _told(asking.ask_impact(source=source, config=source.config, given=given, by=by))


def _told(question: Question) -> HttpResponse:
    return JsonResponse(
        {
            "id": str(question.pk), "state": question.state, "message": question.message,
            "answer": question.answer, "error": question.error,
        }
    )  # fmt: skip


def _groups() -> list[dict[str, Any]]:
    """Return the groups that can be granted, each with the number of its people."""
    everybody = User.objects.filter(is_active=True).count()
    active = Count("memberships__user", filter=Q(memberships__user__is_active=True), distinct=True)
    counted = Group.objects.exclude(name=ADMIN).annotate(people=active).order_by("name")
    return [
        {"name": name, "people": everybody if name == EVERYONE else people}
        for name, people in counted.values_list("name", "people")
    ]
