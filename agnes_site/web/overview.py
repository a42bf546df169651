"""The landing page: is all well, what happened, what is next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, F, Max, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from access.models import Grant
from agnes_site.core import human, markup
from agnes_site.core.markup import Tone
from catalog.connectors import QueryMode
from catalog.models import Incident, Source, Table
from extracts.models import Run, RunState
from extracts.shown import runs_grid

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of the overview, and where it comes from."""

    value: str
    label: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One of the first things to do on a new server."""

    title: str
    text: str
    label: str
    url: str
    is_done: bool


@dataclass(frozen=True, kw_only=True)
class State:
    """The numbers that the page is made of."""

    sources: int
    tables: int
    served: int
    never_extracted: int
    rows: int
    bytes: int
    newest: Any
    incidents: int
    failed: int
    runs_today: int
    running: int
    grants: int


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to ``context`` what the overview shows."""
    state = look()
    steps = first_steps(state)
    is_fresh = not all(step.is_done for step in steps)
    sentence, tone = verdict(state)
    return {
        **context,
        "title": "Overview",
        "steps": steps if is_fresh else [],
        "sentence": sentence,
        "tone": tone,
        "figures": figures(state) if state.sources else [],
        "cards": _cards(state) if state.tables or state.runs_today else [],
    }


def look() -> State:
    """Return the numbers of this moment, in a fixed number of queries."""
    since = timezone.now() - _DAY
    tables = Table.objects.aggregate(
        n=Count("pk"),
        served=Count("current_version"),
        waiting=Count("pk", filter=Q(current_version=None) & ~Q(query_mode=QueryMode.REMOTE)),
        rows=Sum("current_version__rows"),
        bytes=Sum("current_version__bytes"),
        newest=Max("current_version__created_at"),
    )
    runs = Run.objects.filter(Q(queued_at__gte=since) | Q(state=RunState.RUNNING)).aggregate(
        n=Count("pk", filter=Q(queued_at__gte=since)),
        running=Count("pk", filter=Q(state=RunState.RUNNING)),
    )
    return State(
        sources=Source.objects.count(),
        tables=tables["n"],
        served=tables["served"],
        never_extracted=tables["waiting"],
        rows=tables["rows"] or 0,
        bytes=tables["bytes"] or 0,
        newest=tables["newest"],
        incidents=Incident.objects.filter(closed_at=None).count(),
        failed=_failing().count(),
        runs_today=runs["n"],
        running=runs["running"],
        grants=Grant.objects.count(),
    )


def verdict(state: State) -> tuple[str, Tone]:
    """Return whether all is well, in one sentence and one colour."""
    if not state.sources:
        return "Nothing here yet: this server waits for its first source.", Tone.BUSY
    troubles = []
    if state.incidents:
        troubles.append(f"{human.plural(state.incidents, 'incident')} open")
    if state.failed:
        troubles.append(f"the last run of {human.plural(state.failed, 'table')} failed")
    if troubles:
        served = f" {human.plural(state.served, 'table')} served meanwhile." if state.served else ""
        return f"Needs a look: {', '.join(troubles)}.{served}", Tone.BAD
    if not state.tables:
        return "The source is there; now register its tables.", Tone.BUSY
    if state.never_extracted:
        count = human.plural(state.never_extracted, "table")
        return f"{count} waiting for a first extract.", Tone.WARN
    served = human.plural(state.served, "table is", "tables are")
    return f"All is well: {served} served, and nothing failed.", Tone.GOOD


def figures(state: State) -> list[Figure]:
    """Return the numbers at the top."""
    return [
        _counted(state.tables, "table", "catalog_table"),
        _counted(state.rows, "row", "catalog_table"),
        Figure(value=human.size(state.bytes), label="in service", url=_list("catalog_table")),
        _counted(state.sources, "source", "catalog_source"),
        _counted(state.runs_today, "run", "extracts_run", ending=" in a day"),
    ]


def _counted(count: int, noun: str, model: str, *, ending: str = "") -> Figure:
    value, _, label = human.plural(count, noun).partition(" ")
    return Figure(value=value, label=f"{label}{ending}", url=_list(model))


def first_steps(state: State) -> list[Step]:
    """Return what is to be done on a new server, with what has been done."""
    return [
        Step(
            title="Add a source",
            text="Where tables come from: a folder of files, a database. Agnes reads it and never "
            "writes to it.",
            label="Add a source",
            url=reverse("admin:catalog_source_add"),
            is_done=state.sources > 0,
        ),
        Step(
            title="Bring a table in",
            text="Open the source, find its tables, register those that matter and extract them.",
            label="Go to the sources",
            url=_list("catalog_source"),
            is_done=state.served > 0,
        ),
        Step(
            title="Grant it to a group",
            text="Nobody but administrators reads a table before it is granted. Everyone is a "
            "group, too.",
            label="Add a grant",
            url=reverse("admin:access_grant_add"),
            is_done=state.grants > 0,
        ),
    ]


def open_incidents_badge(request: HttpRequest) -> str:
    """Return the number of open incidents for the sidebar; empty for none."""
    count = Incident.objects.filter(closed_at=None).count()
    return str(count) if count else ""


def _cards(state: State) -> list[Any]:
    latest = Run.objects.select_related("table", "source")[:8]
    runs = runs_grid(latest, empty="No run yet.", with_subject=True)
    cards = [_failures(), _incidents() if state.incidents else "", _freshness()]
    aside = markup.link(_list("extracts_run"), "All runs")
    return [*(card for card in cards if card), markup.card("Latest runs", runs, aside=aside)]


def _failing() -> Any:
    """Return the failed runs of the last day after which none of the same kind succeeded."""
    since = timezone.now() - _DAY
    newest = (
        Run.objects.filter(queued_at__gte=since, state__in=(RunState.FAILED, RunState.SUCCEEDED))
        .order_by()
        .values("source", "table", "kind")
        .annotate(
            failed_at=Max("queued_at", filter=Q(state=RunState.FAILED)),
            succeeded_at=Max("queued_at", filter=Q(state=RunState.SUCCEEDED)),
        )
    )
    return newest.filter(failed_at__isnull=False).filter(
        Q(succeeded_at=None) | Q(succeeded_at__lt=F("failed_at"))
    )


def _failures() -> Any:
    failing = list(_failing().order_by("-failed_at")[:8])
    if not failing:
        return ""
    asked = Q(pk__in=[])
    for each in failing:
        asked |= Q(
            source=each["source"], table=each["table"], kind=each["kind"],
            queued_at=each["failed_at"],
        )  # fmt: skip
    found = Run.objects.filter(asked, state=RunState.FAILED).select_related("table", "source")
    aside = markup.link(f"{_list('extracts_run')}?state__exact=failed", "All failures")
    title = "Failed in the last day and not mended since"
    return markup.card(title, runs_grid(found, empty="", with_subject=True), aside=aside)


def _incidents() -> Any:
    waiting = Incident.objects.filter(closed_at=None).select_related("table", "source")
    rows = [
        [
            markup.link(
                reverse("admin:catalog_incident_change", args=[each.pk]), each.table or each.source
            ),
            markup.lines(each.message, each.hint),
            markup.when(each.opened_at),
        ]
        for each in waiting[:8]
    ]
    aside = markup.link(f"{_list('catalog_incident')}?state=open", "All open incidents")
    return markup.card(
        "Open incidents", markup.grid(["About", "What happened", "Since"], rows), aside=aside
    )


def _freshness() -> Any:
    found = Source.objects.annotate(
        tables_total=Count("tables"),
        served=Count("tables__current_version"),
        newest=Max("tables__current_version__created_at"),
    ).order_by(F("newest").asc(nulls_first=True))
    rows = [
        [
            markup.link(reverse("admin:catalog_source_change", args=[each.pk]), each),
            f"{each.served:,} of {each.tables_total:,}",
            markup.when(each.newest),
        ]
        for each in found[:10]
    ]
    aside = markup.link(_list("catalog_source"), "All sources")
    headers = ["Source", "Tables served", "Last new data"]
    return markup.card("Freshness, oldest first", markup.grid(headers, rows), aside=aside)


def _list(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
