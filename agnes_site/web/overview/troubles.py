"""What needs a person: failures that nothing has mended, and open incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, Max, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agnes_site.core import markup
from catalog.models import Incident
from extracts.admin.shown import page_of, state_badge
from extracts.models import Run, RunState

_DAY = timedelta(days=1)
_SHOWN = 6
_MOST = 1000


def failing() -> Any:
    """Return what failed in the last day without a later success, the newest first."""
    newest = (
        Run.objects.filter(
            queued_at__gte=timezone.now() - _DAY, state__in=(RunState.FAILED, RunState.SUCCEEDED)
        )
        .order_by()
        .values("source", "table", "kind")
        .annotate(
            failed_at=Max("queued_at", filter=Q(state=RunState.FAILED)),
            succeeded_at=Max("queued_at", filter=Q(state=RunState.SUCCEEDED)),
        )
    )
    unmended = newest.filter(failed_at__isnull=False).filter(
        Q(succeeded_at=None) | Q(succeeded_at__lt=F("failed_at"))
    )
    return unmended.order_by("-failed_at")[:_MOST]


def failures_card(request: HttpRequest, unmended: Sequence[dict[str, Any]]) -> SafeString | str:
    """Return what failed and was not mended, each with a way to try it again."""
    listed = unmended[:_SHOWN]
    if not listed:
        return ""
    failed = [_same(each, queued_at=each["failed_at"], state=RunState.FAILED) for each in listed]
    again = [_same(each, state__in=(RunState.QUEUED, RunState.RUNNING)) for each in listed]
    found = Run.objects.filter(_any(failed)).select_related("table", "source")
    under_way = {_key(run): run for run in Run.objects.filter(_any(again))}
    rows = [
        [
            markup.link(page_of(run), run.subject),
            markup.lines(run.error_message or "It did not say why.", run.error_hint),
            markup.when(run.queued_at),
            _again(request, run, under_way.get(_key(run))),
        ]
        for run in found
    ]
    aside = markup.link(
        f"{reverse('admin:extracts_run_changelist')}?state__exact=failed", "All failures"
    )
    grid = markup.grid(["Of", "What happened", "When", ""], rows)
    return markup.card("Failed in the last day and not mended since", grid, aside=aside)


def incidents_card() -> SafeString | str:
    """Return the incidents that wait for somebody."""
    waiting = Incident.objects.filter(closed_at=None).select_related("table", "source")
    rows = [
        [
            markup.link(
                reverse("admin:catalog_incident_change", args=[each.pk]), each.table or each.source
            ),
            markup.lines(each.message, each.hint),
            markup.when(each.opened_at),
        ]
        for each in waiting[:_SHOWN]
    ]
    if not rows:
        return ""
    aside = markup.link(
        f"{reverse('admin:catalog_incident_changelist')}?state=open", "All open incidents"
    )
    grid = markup.grid(["About", "What happened", "Since"], rows)
    return markup.card("Open incidents", grid, aside=aside)


def _again(request: HttpRequest, failed: Run, under_way: Run | None) -> SafeString:
    """Return how the next try is going, or the button that asks for one."""
    if under_way is not None:
        return markup.link(page_of(under_way), state_badge(under_way))
    shown: Any = admin.site._registry[Run]
    return format_html(
        '<span data-in-place id="again-{}">{}</span>',
        failed.pk,
        shown.do_button(request, failed, "run_again", is_small=True),
    )


def _same(each: dict[str, Any], **wanted: Any) -> Q:
    return Q(source=each["source"], table=each["table"], kind=each["kind"], **wanted)


def _any(conditions: Sequence[Q]) -> Q:
    combined = Q(pk__in=[])
    for condition in conditions:
        combined |= condition
    return combined


def _key(run: Run) -> tuple[Any, ...]:
    return run.source_id, run.table_id, run.kind
