"""The page that shows what a source offers and registers what is chosen."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import render
from django.urls import reverse

from agnes_site.core import human
from agnes_site.core.admin import said
from catalog.models import Source
from extracts.services import probing, runs


def find_tables(request: HttpRequest, source: Source) -> HttpResponse:
    """Show what a source offers; by POST, register what was chosen and go to the source."""
    here = reverse("admin:catalog_source_change", args=[source.pk])
    if request.method == "POST":
        _register(request, source)
        return Redirect(here)
    found = probing.offers(source)
    context = {
        **admin.site.each_context(request),
        "title": f"Tables that {source} offers",
        "source": source,
        "source_url": here,
        "offers": [_shown(offer) for offer in found],
        "free": sum(not offer.registered_as for offer in found),
    }
    return render(request, "extracts/find_tables.html", context)


def _register(request: HttpRequest, source: Source) -> None:
    by: Any = request.user
    made, refused = probing.register_offers(
        source=source, wanted=request.POST.getlist("table"), by=by
    )
    for each in refused:
        messages.error(request, f"{each.name}: {said(each.error)}")
    if request.POST.get("extract"):
        for table in made:
            runs.request_run(table=table, by=by)
    if made:
        asked = " and asked for their extract" if request.POST.get("extract") else ""
        messages.success(
            request,
            f"Registered {human.plural(len(made), 'table')}{asked}. Nobody but administrators "
            "reads them until they are granted.",
        )
    elif not refused:
        messages.info(request, "No table was chosen.")


def _shown(offer: probing.Offer) -> dict[str, Any]:
    spec = offer.spec
    return {
        "upstream_id": spec["upstream_id"],
        "name": spec["name"],
        "columns": len(spec["columns"]),
        "column_names": ", ".join(column["name"] for column in spec["columns"][:40]),
        "rows": human.number(spec["rows"]),
        "size": human.size(spec["bytes"]),
        "description": spec["description"],
        "registered_as": offer.registered_as,
        "is_taken": offer.name_is_taken and not offer.registered_as,
    }
