"""The audit: written with the change."""

from __future__ import annotations

import pytest
from django.db import transaction

from access.models import AuditEvent, Group
from access.services import audit, grants, groups
from tests.factories import TableFactory


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
