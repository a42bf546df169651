"""The page itself: what is shown in which order."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from agnes_site.web.overview import disk, freshness, happened, reading, troubles, work
from agnes_site.web.overview.state import figures, first_steps, look, verdict
from catalog.services import lateness
from catalog.services.lateness import Kept
from extracts.services import scrub


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add to ``context`` what the overview shows."""
    now = timezone.now()
    state, space, kept = look(), disk.look(now), lateness.keeping(now)
    steps = first_steps(state)
    sentence, tone = verdict(state, space, kept)
    has_data = bool(state.tables or state.runs_today)
    return {
        **context,
        "title": "Overview",
        "steps": [] if all(step.is_done for step in steps) else steps,
        "sentence": sentence,
        "tone": tone,
        "figures": figures(state) if state.sources else [],
        "is_live": state.under_way > 0,
        "troubles": _shown(
            [
                troubles.failures_card(request, state.failing),
                troubles.incidents_card() if state.incidents else "",
            ]
        ),
        "cards": _cards(now, space, kept) if has_data else [],
    }


def _cards(now: datetime, space: disk.Disk, kept: Kept) -> list[SafeString | str]:
    days = work.days(now)
    return _shown(
        [
            freshness.card(kept),
            work.runs_card(days),
            work.volume_card(days),
            happened.card(),
            work.slowest_card(now),
            reading.card(now),
            disk.card(space, last_read=scrub.last_finished()),
        ]
    )


def _shown(cards: list[SafeString | str]) -> list[SafeString | str]:
    return [card for card in cards if card]
