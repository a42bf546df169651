"""What a time in a row says, where the clock of the machine may have been put right."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Q

# No time in a row is ahead by more than this and a few leases, unless the clock was.
_AHEAD = timedelta(hours=2)


def is_over(field: str, now: datetime) -> Q:
    """Limit to rows whose time has passed, or was given by a clock that was ahead."""
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": now + _AHEAD})
