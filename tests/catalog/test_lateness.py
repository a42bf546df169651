from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from catalog.models import Table
from catalog.services import lateness
from catalog.services.lateness import Keeping
from tests.factories import SourceFactory, TableFactory

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def keeping(*, hours: float | None, now: datetime = NOON, **fields) -> Keeping:
    """How a table keeps up that last succeeded so many hours ago."""
    table = TableFactory(**fields)
    succeeded = None if hours is None else now - timedelta(hours=hours)
    Table.objects.filter(pk=table.pk).update(last_success_at=succeeded)
    ((found, count),) = (+Counter(lateness.keeping(now).counts)).items()
    assert count == 1
    return found


@pytest.mark.django_db
class TestKeeping:
    @pytest.mark.parametrize(
        ("schedule", "hours", "expected"),
        [
            ("every 6h", 7, Keeping.ON_TIME),
            ("every 6h", 10, Keeping.BEHIND),
            ("every 6h", 16, Keeping.FAR_BEHIND),
            ("daily 07:00", 4, Keeping.ON_TIME),
            ("daily 07:00", 6, Keeping.BEHIND),
            ("daily 07:00", 30, Keeping.FAR_BEHIND),
            ("daily 11:45", 20, Keeping.ON_TIME),
            ("cron 0 7 * * 1-5 Europe/Prague", 5.5, Keeping.ON_TIME),
            ("cron 0 7 * * 1-5 Europe/Prague", 7, Keeping.BEHIND),
            ("", 1000, Keeping.UNSCHEDULED),
            ("every 6h", None, Keeping.NEVER),
        ],
    )
    def test_follows_from_the_schedule(self, schedule, hours, expected):
        assert keeping(hours=hours, sync_schedule=schedule) == expected

    def test_follows_from_the_schedule_of_the_source(self):
        source = SourceFactory(schedule="every 1h")

        assert keeping(hours=2, source=source) == Keeping.BEHIND

    def test_asks_nothing_of_what_is_paused(self):
        fields = {"sync_schedule": "every 1h", "is_paused": True}

        assert keeping(hours=50, **fields) == Keeping.UNSCHEDULED

    def test_asks_nothing_of_what_other_producers_write(self):
        source = SourceFactory(source_type="external", schedule="every 1h")

        assert keeping(hours=50, source=source) == Keeping.UNSCHEDULED

    def test_forgives_a_schedule_that_nobody_understands(self):
        assert keeping(hours=50, sync_schedule="now and then") == Keeping.UNSCHEDULED
