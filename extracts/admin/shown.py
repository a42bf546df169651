"""Runs as pages show them: in a table, as a badge, while they work."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from agnes_site.core import human, markup
from agnes_site.core.markup import Tone
from extracts.models import Run, RunOutcome, RunState

TONES = {
    RunState.QUEUED: Tone.PLAIN,
    RunState.RUNNING: Tone.BUSY,
    RunState.SUCCEEDED: Tone.GOOD,
    RunState.FAILED: Tone.BAD,
    RunState.CANCELLED: Tone.WARN,
    RunState.SKIPPED: Tone.PLAIN,
}


def page_of(run: Run) -> str:
    """Return the address of the page of a run."""
    return reverse("admin:extracts_run_change", args=[run.pk])


def state_badge(run: Run) -> SafeString:
    """Return the state of a run in one word."""
    return markup.badge(run.get_state_display().lower(), TONES[RunState(run.state)])


def runs_grid(
    found: Iterable[Run], *, empty: str, with_subject: bool = False, with_reason: bool = False
) -> SafeString:
    """Return runs as a table of when, state, duration, rows and what went wrong."""
    rows = [
        [
            markup.link(page_of(run), markup.when(run.queued_at)),
            *([run.subject] if with_subject else []),
            run.get_kind_display(),
            *([_reason(run)] if with_reason else []),
            state_badge(run),
            took(run),
            human.number(run.rows),
            _told(run),
        ]
        for run in found
    ]
    subject = ["Of"] if with_subject else []
    reason = ["Why"] if with_reason else []
    headers = ["Asked for", *subject, "Kind", *reason, "State", "Took", "Rows", "What happened"]
    return markup.grid(headers, rows, empty=empty)


def _reason(run: Run) -> SafeString:
    return markup.lines(run.get_trigger_display(), run.requested_by)


def _told(run: Run) -> SafeString | str:
    text = run.error_message[:160] or (run.phase if run.is_open else "") or brought(run)
    return markup.faint(text) if text else ""


def brought(run: Run) -> str:
    """Return what there is to say of what a run has brought, if it was not just a new version."""
    if run.outcome in ("", RunOutcome.NEW):
        return set_aside(run)
    return ", ".join(part for part in (run.get_outcome_display(), set_aside(run)) if part)


def set_aside(run: Run) -> str:
    """Return how many rows a run could not read, if there were any."""
    return f"{human.plural(run.rejected_rows, 'row')} set aside" if run.rejected_rows else ""


def took(run: Run) -> str:
    """Return how long a run took."""
    if run.started_at is None or run.finished_at is None:
        return "—"
    return human.duration((run.finished_at - run.started_at).total_seconds())


def live(request: HttpRequest, run: Run, *, aside: object = "") -> SafeString:
    """Return what follows an open run while it works: phase, bar, count."""
    label = run.phase or ("waiting for a worker" if run.started_at is None else "working")
    return format_html(
        '<div class="ag-live" data-url="/api/runs/{}/progress">'
        '<div class="ag-live-line"><span data-run="phase">{}</span>'
        '<span data-run="message" class="ag-faint">{}</span>'
        '<span data-run="count" class="ag-faint" role="status"></span>{}</div>{}</div>'
        '<script src="{}" defer></script>',
        run.pk,
        label,
        run.message,
        aside,
        markup.progress(run.done, run.total, label="Progress of the run"),
        static("extracts/run.js"),
    )
