"""Is all well: the numbers of this moment, the sentence they make, the first steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, Max, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from access.models import AccessToken, Grant
from agnes_site.core import human
from agnes_site.core.markup import Tone
from agnes_site.web.overview import troubles
from agnes_site.web.overview.disk import Disk
from catalog.connectors import QueryMode
from catalog.models import Incident, Source, Table
from catalog.services.lateness import Keeping, Kept
from extracts.models import OPEN_STATES, Run

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
    failing: list[dict[str, Any]]
    runs_today: int
    under_way: int
    is_granted: bool
    has_token: bool

    @property
    def failed(self) -> int:
        """How many tables or sources have failed and were not mended."""
        return len(self.failing)


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
    runs = Run.objects.filter(Q(queued_at__gte=since) | Q(state__in=OPEN_STATES)).aggregate(
        n=Count("pk", filter=Q(queued_at__gte=since)),
        under_way=Count("pk", filter=Q(state__in=OPEN_STATES)),
    )
    # Nothing without a grant, so that one question answers both.
    has_token = (
        Grant.objects.order_by("pk")
        .annotate(has_token=Exists(AccessToken.objects.all()))
        .values_list("has_token", flat=True)
        .first()
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
        failing=list(troubles.failing()),
        runs_today=runs["n"],
        under_way=runs["under_way"],
        is_granted=has_token is not None,
        has_token=bool(has_token),
    )


def verdict(state: State, disk: Disk, kept: Kept) -> tuple[str, Tone]:
    """Return whether all is well, in one sentence and one colour."""
    if not state.sources:
        return "Nothing here yet: this server waits for its first source.", Tone.BUSY
    troubles = []
    if state.incidents:
        troubles.append(f"{human.plural(state.incidents, 'incident')} open")
    if state.failed:
        troubles.append(f"the last run of {_failing(state)} failed")
    if troubles:
        served = f" {human.plural(state.served, 'table')} served meanwhile." if state.served else ""
        return f"Needs a look: {', '.join(troubles)}.{served}", Tone.BAD
    if not state.tables:
        return "The source is there; now register its tables.", Tone.BUSY
    if disk.is_scarce:
        return f"The disk is nearly full: {human.size(disk.free)} are free.", Tone.WARN
    late = kept.counts.get(Keeping.FAR_BEHIND, 0)
    if late:
        count = human.plural(late, "table is", "tables are")
        return f"{count} more than one run behind schedule.", Tone.WARN
    if state.never_extracted:
        count = human.plural(state.never_extracted, "table")
        return f"{count} waiting for a first extract.", Tone.WARN
    served = human.plural(state.served, "table is", "tables are")
    return f"All is well: {served} served, and nothing failed.", Tone.GOOD


def _failing(state: State) -> str:
    if all(each["table"] for each in state.failing):
        return human.plural(state.failed, "table")
    return human.plural(state.failed, "table or source", "tables or sources")


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
        _let_in(state),
    ]


def _let_in(state: State) -> Step:
    if not state.is_granted:
        return Step(
            title="Let an analyst in",
            text="Nobody but administrators reads a table before it is granted to a group, of "
            "which Everyone is one. Then a token lets the analyst's laptop in.",
            label="Add a grant",
            url=reverse("admin:access_grant_add"),
            is_done=False,
        )
    return Step(
        title="Let an analyst in",
        text="Granted. Add the analyst as a user, then a token for them: the commands that lead "
        "to a first answer on their laptop are shown with it.",
        label="Add a token",
        url=reverse("admin:access_accesstoken_add"),
        is_done=state.has_token,
    )


def open_incidents_badge(request: HttpRequest) -> str:
    """Return the number of open incidents for the sidebar; empty for none."""
    count = Incident.objects.filter(closed_at=None).count()
    return str(count) if count else ""


def _list(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
