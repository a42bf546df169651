from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from access.models import AccessToken, AuditEvent
from access.services import audit, grants, tokens
from agnes_site.core.errors import ConflictError
from agnes_site.web.overview import disk, freshness, happened, reading, state, work
from agnes_site.web.overview.disk import Disk
from catalog.models import IncidentKind, Table, TableVersion
from catalog.services import incidents, lateness
from extracts.models import Run, RunOutcome, RunState, ScrubRound
from tests.admin_pages import text_of
from tests.bench.stock import company
from tests.factories import (
    GroupFactory,
    SourceFactory,
    TableFactory,
    UserFactory,
    publish,
    stored_part,
)

HOME = reverse("admin:index")
ROOMY = Disk(total=1000, free=900, store=10, new_a_day=0)


NOBODY = lateness.Kept(counts={}, late=[])


class HeldError(ConflictError):
    code = "held_in_a_test_of_the_overview"
    hint = "Mend the file."


@pytest.fixture(autouse=True)
def _nothing_counted_before():
    cache.clear()


@pytest.fixture
def served(db):
    """A table that is served and granted."""
    table = TableFactory(name="orders")
    publish(table, stored_part(rows=1_234_567, size=323_000_000))
    grants.grant(group=GroupFactory(), resource_type="table", resource_id="orders", by=None)
    tokens.create(user=UserFactory(), name="laptop", by=None)
    return table


def ended(table, state, *, ago=timedelta(minutes=5)) -> Run:
    run = Run.objects.create(
        table=table, source=table.source, state=state,
        error_code="data_invalid" if state == RunState.FAILED else "",
        error_message="Line 7 has too many values." if state == RunState.FAILED else "",
    )  # fmt: skip
    Run.objects.filter(pk=run.pk).update(queued_at=timezone.now() - ago)
    return run


class TestOverview:
    def test_shows_the_three_first_steps_on_a_new_server(self, pages):
        response = pages.get(HOME)

        assert [step.is_done for step in response.context["steps"]] == [False, False, False]
        assert reverse("admin:catalog_source_add") in text_of(response)
        assert response.context["figures"] == []

    def test_ticks_off_what_is_done(self, pages):
        SourceFactory()

        response = pages.get(HOME)

        assert [step.is_done for step in response.context["steps"]] == [True, False, False]

    def test_leads_from_a_grant_on_to_a_token(self, pages, served):
        AccessToken.objects.all().delete()

        response = pages.get(HOME)

        assert [step.is_done for step in response.context["steps"]] == [True, True, False]
        assert response.context["steps"][-1].url == reverse("admin:access_accesstoken_add")

    def test_says_that_all_is_well(self, pages, served, monkeypatch):
        monkeypatch.setattr(disk, "look", lambda now: ROOMY)
        ended(served, RunState.SUCCEEDED)

        response = pages.get(HOME)

        assert response.context["tone"] == "good"
        assert response.context["steps"] == []
        assert "1,234,567" in text_of(response)
        assert "323\u00a0MB" in text_of(response)

    def test_names_a_failure_that_was_not_mended(self, pages, served):
        run = ended(served, RunState.FAILED)

        response = pages.get(HOME)

        assert response.context["tone"] == "bad"
        assert "Line 7 has too many values." in text_of(response)
        assert reverse("admin:extracts_run_change", args=[run.pk]) in text_of(response)

    def test_forgets_a_failure_once_it_is_mended(self, served):
        ended(served, RunState.FAILED, ago=timedelta(hours=2))
        ended(served, RunState.SUCCEEDED, ago=timedelta(hours=1))

        found = state.look()

        assert (found.failed, state.verdict(found, ROOMY, NOBODY)[1]) == (0, "good")

    def test_forgets_failures_of_days_ago(self, served):
        ended(served, RunState.FAILED, ago=timedelta(days=3))

        assert state.look().failed == 0

    def test_shows_open_incidents(self, pages, served):
        error = HeldError("Page 3 is damaged.")
        incidents.open_incident(about=served, kind=IncidentKind.HELD, error=error)

        response = pages.get(HOME)

        assert response.context["tone"] == "bad"
        assert "Page 3 is damaged." in text_of(response)
        assert "Mend the file." in text_of(response)

    def test_says_that_a_table_waits_for_its_first_extract(self, served):
        TableFactory(source=served.source)

        sentence, tone = state.verdict(state.look(), ROOMY, NOBODY)

        assert (sentence, tone) == ("1 table waiting for a first extract.", "warn")

    def test_counts_only_what_is_served(self, served):
        publish(served, stored_part(2, rows=5, size=7))

        found = state.look()

        assert (found.rows, found.bytes) == (5, 7)
        assert TableVersion.objects.count() == 2

    def test_takes_few_queries_however_much_there_is(
        self, pages, served, django_assert_max_num_queries
    ):
        for table in TableFactory.create_batch(60):
            publish(table)
            ended(table, RunState.FAILED)
            error = HeldError("Page 3 is damaged.")
            incidents.open_incident(about=table, kind=IncidentKind.HELD, error=error)

        with django_assert_max_num_queries(28):
            response = pages.get(HOME)

        assert response.status_code == 200


class TestVerdict:
    def test_warns_of_a_full_disk(self, served):
        full = Disk(total=1000, free=50, store=10, new_a_day=0)

        sentence, tone = state.verdict(state.look(), full, NOBODY)

        assert (sentence, tone) == ("The disk is nearly full: 50\u00a0bytes are free.", "warn")

    def test_warns_of_tables_that_miss_their_runs(self, pages, served):
        Table.objects.filter(pk=served.pk).update(
            sync_schedule="every 1h", last_success_at=timezone.now() - timedelta(hours=5)
        )

        response = pages.get(HOME)

        assert response.context["sentence"] == "1 table is more than one run behind schedule."
        assert response.context["tone"] == "warn"


class TestFailures:
    def test_are_run_again_in_place(self, pages, served):
        run = ended(served, RunState.FAILED)
        again = reverse("admin:extracts_run_do", args=[run.pk, "run_again"])
        assert f'action="{again}"' in text_of(pages.get(HOME))

        pages.post(again)
        page = text_of(pages.get(HOME))

        assert again not in page
        assert reverse("admin:extracts_run_change", args=[Run.objects.open().get().pk]) in page
        assert 'id="overview" data-live' in page, "nobody would see that it is over"

    def test_are_watched_while_they_run_again(self, pages, served):
        ended(served, RunState.FAILED)
        Run.objects.create(
            table=served, source=served.source, state=RunState.RUNNING,
            lease_until=timezone.now() + timedelta(hours=1),
        )  # fmt: skip

        assert 'id="overview" data-live' in text_of(pages.get(HOME))


class TestDays:
    def test_hold_what_was_brought_on_each(self, served):
        now = timezone.now()
        for ago, rows in ((0, 5), (3, 7), (30, 1000)):
            run = ended(served, RunState.SUCCEEDED)
            Run.objects.filter(pk=run.pk).update(
                queued_at=now - timedelta(days=ago), rows=rows, bytes=rows * 10
            )
        unread = ended(served, RunState.SUCCEEDED, ago=timedelta(0))
        Run.objects.filter(pk=unread.pk).update(rows=999, bytes=999, outcome=RunOutcome.UNREAD)
        Run.objects.filter(pk=ended(served, RunState.FAILED).pk).update(
            queued_at=now - timedelta(days=3)
        )

        days = work.days(now)

        assert len(days) == 14
        assert (days[-1].succeeded, days[-1].rows, days[-1].bytes) == (2, 5, 50)
        assert (days[-4].succeeded, days[-4].failed, days[-4].rows) == (1, 1, 7)
        assert sum(day.rows for day in days) == 12

    def test_are_told_in_words_too(self, pages, served):
        ended(served, RunState.SUCCEEDED)
        ended(served, RunState.FAILED)

        page = text_of(pages.get(HOME))

        assert "2 runs in two weeks, 1 failed" in page
        assert "1 succeeded, 1 failed" in page


class TestSlowest:
    def test_are_named_with_the_longest_first(self, served):
        now = timezone.now()
        for table, seconds in ((served, 5), (TableFactory(name="visits"), 65)):
            Run.objects.create(
                table=table, source=table.source, state=RunState.SUCCEEDED,
                started_at=now - timedelta(seconds=seconds), finished_at=now,
            )  # fmt: skip

        card = work.slowest_card(timezone.now())

        assert card.index("visits") < card.index("orders")
        assert "1\u00a0min\u00a05\u00a0s" in card

    @pytest.mark.parametrize(
        ("limit", "title"),
        [(3, "Slowest in the last day"), (2, "Slowest of the newest 2 runs")],
    )
    def test_says_where_not_the_whole_day_was_looked_at(self, served, monkeypatch, limit, title):
        monkeypatch.setattr(work, "_LOOKED_AT", limit)
        now = timezone.now()
        for _ in range(2):
            run = ended(served, RunState.SUCCEEDED)
            Run.objects.filter(pk=run.pk).update(started_at=now, finished_at=now)

        assert f"<h2>{title}</h2>" in work.slowest_card(timezone.now())


class TestFreshness:
    def test_names_who_missed_most_of_their_runs(self, served):
        now = timezone.now()
        for name, schedule, hours in (
            ("hourly", "every 1h", 5), ("daily", "every 24h", 72), ("fine", "every 1h", 0),
        ):  # fmt: skip
            table = TableFactory(name=name, sync_schedule=schedule)
            Table.objects.filter(pk=table.pk).update(last_success_at=now - timedelta(hours=hours))

        kept = lateness.keeping(now)

        assert [table.name for table in freshness.stalest(kept)] == ["hourly", "daily"]
        assert [(share.name, share.count) for share in freshness.shares(kept)] == [
            ("on time", 1), ("further behind", 2), ("never extracted", 1),
        ]  # fmt: skip

    def test_names_the_oldest_data_when_nobody_is_late(self, served):
        version = publish(TableFactory(name="stale"))
        TableVersion.objects.filter(pk=version.pk).update(
            created_at=timezone.now() - timedelta(days=90)
        )

        card = freshness.card(lateness.keeping(timezone.now()))

        assert card.index("stale") < card.index("orders")
        assert "Oldest data" in card


class TestBusiest:
    def test_are_what_was_downloaded_most_this_week(self, served):
        for name, count in (("orders", 3), ("gone", 1)):
            for _ in range(count):
                audit.record(action="data.download", resource=f"table/{name}")
        old = audit.record(action="data.download", resource="table/old")
        AuditEvent.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=9))

        assert reading.counted(timezone.now()) == {"orders": 3, "gone": 1}
        assert "gone" in reading.card(timezone.now())

    @pytest.mark.parametrize(
        ("limit", "title"),
        [(4, "Downloaded most this week"), (3, "Downloaded most of the newest 3 downloads")],
    )
    def test_says_where_not_the_whole_week_was_looked_at(self, db, monkeypatch, limit, title):
        monkeypatch.setattr(reading, "_LOOKED_AT", limit)
        for _ in range(3):
            audit.record(action="data.download", resource="table/orders")

        assert f"<h2>{title}</h2>" in reading.card(timezone.now())


class TestDisk:
    def test_says_for_how_many_days_there_is_room(self):
        found = Disk(total=100, free=50, store=10, new_a_day=5)

        assert (found.days_left, found.is_scarce) == (10, True)
        assert "enough for about 10 days" in disk.card(found)

    def test_promises_nothing_where_nothing_comes_in(self):
        assert (ROOMY.days_left, ROOMY.is_scarce) == (None, False)

    @pytest.mark.parametrize(
        ("last_read", "said"),
        [
            (None, "have not been read through yet"),
            (ScrubRound(files=3), "3 stored files read"),
            (ScrubRound(files=3), "all whole"),
            (ScrubRound(files=3, bad_files=1), "1 damaged or missing"),
        ],
    )
    def test_says_whether_what_it_holds_is_sound(self, last_read, said):
        if last_read is not None:
            last_read.finished_at = timezone.now()

        assert said in disk.card(ROOMY, last_read=last_read)

    def test_counts_a_file_once_that_several_versions_share(self, served):
        other = TableFactory()
        publish(other, stored_part(rows=1, size=323_000_000))

        store, week = disk.measure(timezone.now())

        assert (store, week) == (323_000_000, 646_000_000)


class TestWhatHappened:
    def test_is_told_in_sentences(self, admin):
        AuditEvent.objects.all().delete()
        audit.record(action="user.create", resource=f"user/{admin.pk}", actor=admin)
        audit.record(action="roll_back", resource="table/orders", actor=admin)
        audit.record(action="something.new", resource="table/orders")

        assert told() == [
            "The system did “something.new” to orders",
            "Ada rolled orders back",
            "Ada added the user Ada",
        ]

    def test_folds_the_same_deeds_of_a_person(self, admin):
        AuditEvent.objects.all().delete()
        for number in range(5):
            audit.record(action="register_table", resource=f"table/t{number}", actor=admin)

        assert told() == ["Ada registered 5 tables"]

    def test_says_once_what_several_things_are(self, admin):
        AuditEvent.objects.all().delete()
        for name in ("crm", "shop"):
            audit.record(action="source.create", resource=f"source/{name}", actor=admin)

        assert told() == ["Ada added 2 sources"]

    def test_folds_all_that_readers_do(self, db):
        for user in UserFactory.create_batch(3):
            audit.record(action="data.download", resource="table/orders", actor=user)
            audit.record(action="data.download", resource="table/visits", actor=user)

        assert told() == ["3 people downloaded 2 tables"]

    def test_says_where_there_may_have_been_more_than_was_looked_at(self, admin, monkeypatch):
        AuditEvent.objects.all().delete()
        monkeypatch.setattr(happened, "_LOOKED_AT", 6)
        audit.record(action="source.create", resource="source/shop", actor=admin)
        for user in UserFactory.create_batch(3):
            for name in ("orders", "visits"):
                audit.record(action="data.download", resource=f"table/{name}", actor=user)

        assert told() == ["3 people or more downloaded 2 tables or more"]

    def test_says_it_only_of_the_hour_in_which_the_look_ended(self, admin, monkeypatch):
        AuditEvent.objects.all().delete()
        monkeypatch.setattr(happened, "_LOOKED_AT", 4)
        now = timezone.now()
        for hours in (0, 0, 2, 2, 2):
            event = audit.record(action="register_table", actor=admin, resource=f"table/{uuid4()}")
            AuditEvent.objects.filter(pk=event.pk).update(at=now - timedelta(hours=hours))

        assert told() == ["Ada registered 2 tables", "Ada registered 2 tables or more"]


def told() -> list[str]:
    found = happened.deeds()
    return [happened.sentence(deed, happened.people(found)) for deed in found]


class TestWholePage:
    def test_takes_few_queries_however_much_there_is(self, pages, django_assert_max_num_queries):
        company.fill(tables=300, columns=1, users=50, runs=600, events=600, groups=20)

        with django_assert_max_num_queries(28):
            response = pages.get(HOME)

        assert response.status_code == 200
        assert "Slowest in the last day" in text_of(response)
        assert "Downloaded most this week" in text_of(response)
