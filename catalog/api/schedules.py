"""What a schedule means, before it is saved."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from catalog import schedules

admin_router = Router(tags=["registry"])


class ScheduleIn(Schema):
    """A schedule as it is written."""

    text: str = Field(
        max_length=100, description="Such as `every 6h` or `cron 0 7 * * 1-5 Europe/Prague`."
    )


class ScheduleOut(Schema):
    """What a schedule means."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "schedule": "daily 07:00", "sentence": "Every day at 07:00 UTC.", "zone": "UTC",
                "next_runs": ["2026-01-01T07:00:00Z", "2026-01-02T07:00:00Z"],
            }
        }
    )  # fmt: skip

    schedule: str
    sentence: str
    zone: str = Field(description="Time zone in which it is written.")
    next_runs: list[datetime] = Field(description="The next three, if the last one were now.")


@admin_router.get("/schedule", response=ScheduleOut, operation_id="explain_schedule")
def explain_schedule(request: HttpRequest, wanted: Query[ScheduleIn]) -> ScheduleOut:
    """Say what a schedule means and when it would run next; nothing is kept."""
    text = wanted.text.strip()
    schedule = schedules.parse(text)
    return ScheduleOut(
        schedule=text,
        sentence=f"{schedule.describe()}.",
        zone=schedule.zone,
        next_runs=schedules.upcoming(schedule, now=timezone.now()),
    )
