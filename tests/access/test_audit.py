"""The audit: written with the change, sealed into a chain."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from access import tasks
from access.models import AuditEvent, Group
from access.services import audit, grants, groups
from agnes_site.web.overview import happened
from tests.factories import TableFactory


def _record(count: int) -> list[AuditEvent]:
    return [audit.record(action=f"test.{number}") for number in range(count)]


class TestRecord:
    def test_is_lost_with_the_change_it_tells_of(self, db):
        @transaction.atomic
        def change_and_fail() -> None:
            groups.create_group(name="Finance", by=None)
            raise RuntimeError

        with pytest.raises(RuntimeError):
            change_and_fail()

        assert not AuditEvent.objects.exists()
        assert not Group.objects.filter(name="Finance").exists()

    def test_knows_the_request_it_came_with(self, admin_api, admin):
        admin_api.post(
            "/api/admin/groups", {"name": "Finance"}, content_type="application/json",
            headers={"X-Request-Id": "trace-7"},
        )  # fmt: skip

        event = AuditEvent.objects.get(action="user_group.created")
        assert (event.actor, event.resource) == (admin, "group/Finance")
        assert (event.request_id, event.client_kind, event.ip) == ("trace-7", "cli", "127.0.0.1")

    def test_cuts_what_is_too_long_instead_of_failing(self, db):
        event = audit.record(action="test", resource="r" * 1000, result="x" * 1000)

        event.refresh_from_db()
        assert (len(event.resource), len(event.result)) == (260, 200)

    def test_outlives_the_people_and_things_it_names(self, admin, analyst):
        table = TableFactory(name="orders")
        group = groups.create_group(name="Readers", by=analyst)
        grants.grant(group=group, resource_type="table", resource_id="orders", by=analyst)
        pk = analyst.pk

        analyst.delete()
        table.delete()

        event = AuditEvent.objects.get(action="resource_grant.created")
        assert (event.actor_id, event.resource) == (pk, "table/orders")


class TestSeal:
    def test_numbers_events_in_order_without_gaps(self, db):
        made = _record(3)

        assert audit.seal() == 3

        sealed = AuditEvent.objects.order_by("seq")
        assert [event.pk for event in sealed] == [event.pk for event in made]
        assert [event.seq for event in sealed] == [1, 2, 3]
        assert sealed[0].prev_hash == audit.GENESIS
        assert sealed[1].prev_hash == sealed[0].hash

    def test_goes_on_where_it_stopped(self, db):
        _record(2)
        audit.seal()
        _record(2)

        assert audit.seal() == 2
        assert audit.seal() == 0
        assert audit.first_broken() is None
        assert AuditEvent.objects.get(action="test.1", seq=4).prev_hash

    def test_is_whole_or_not_there(self, db):
        (event,) = _record(1)

        event.seq = 1
        with pytest.raises(IntegrityError), transaction.atomic():
            event.save()


class TestFirstBroken:
    @pytest.fixture
    def chain(self, db) -> list[AuditEvent]:
        _record(5)
        audit.seal()
        assert audit.first_broken() is None
        return list(AuditEvent.objects.order_by("seq"))

    @pytest.mark.parametrize(
        "change",
        [{"action": "innocent"}, {"result": "denied"}, {"after": {"rows": 1}}, {"ip": "10.0.0.1"},
         {"resource": "table/x"}, {"request_id": "y"}],
    )  # fmt: skip
    def test_names_an_event_that_was_altered(self, chain, change):
        AuditEvent.objects.filter(pk=chain[2].pk).update(**change)

        assert audit.first_broken() == chain[2]

    def test_names_the_event_after_one_that_was_removed(self, chain):
        chain[2].delete()

        assert audit.first_broken() == chain[3]

    def test_notices_an_altered_event_whose_hash_was_made_to_fit(self, chain):
        forged = chain[2]
        forged.action = "innocent"
        forged.hash = audit.chained_hash(forged, forged.prev_hash)
        forged.save()

        assert audit.first_broken() == chain[3]


class TestCheck:
    @pytest.fixture
    def page(self, client, admin):
        client.force_login(admin)
        return lambda: client.get(reverse("admin:access_auditevent_changelist")).text

    def test_is_told_where_the_audit_is_read(self, page):
        audit.seal()
        assert "once a day" in page()

        tasks.check_audit()

        assert f"{AuditEvent.objects.filter(seq__isnull=False).count()} sealed event" in page()
        assert "none altered or removed" in page()

    def test_leads_to_what_was_altered(self, page):
        _record(3)
        audit.seal()
        altered = AuditEvent.objects.get(seq=3)
        AuditEvent.objects.filter(pk=altered.pk).update(action="innocent")

        tasks.check_audit()

        told = page()
        assert "the audit was found altered at" in told
        assert reverse("admin:access_auditevent_change", args=[altered.pk]) + '">#3<' in told

    @pytest.mark.parametrize("is_altered", [True, False])
    def test_is_on_the_overview_when_something_is_wrong(self, client, admin, is_altered):
        _record(1)
        audit.seal()
        if is_altered:
            AuditEvent.objects.filter(seq=1).update(action="innocent")
        audit.check()

        assert ("audit.check" in {deed.action for deed in happened.deeds()}) is is_altered
