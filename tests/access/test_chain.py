"""The chain of the audit: sealed, looked through, and noted beside the database."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.urls import reverse

from access import tasks
from access.models import AuditEvent
from access.services import audit, chain
from agnes_site.web.overview import happened

# The head of the chain is noted in a file.
pytestmark = pytest.mark.usefixtures("layout")


def _record(count: int) -> list[AuditEvent]:
    return [audit.record(action=f"test.{number}") for number in range(count)]


class TestSeal:
    def test_numbers_events_in_order_without_gaps(self, db):
        made = _record(3)

        assert chain.seal() == 3

        sealed = AuditEvent.objects.order_by("seq")
        assert [event.pk for event in sealed] == [event.pk for event in made]
        assert [event.seq for event in sealed] == [1, 2, 3]
        assert sealed[0].prev_hash == chain.GENESIS
        assert sealed[1].prev_hash == sealed[0].hash

    def test_goes_on_where_it_stopped(self, db):
        _record(2)
        chain.seal()
        _record(2)

        assert chain.seal() == 2
        assert chain.seal() == 0
        assert chain.first_broken() is None
        assert AuditEvent.objects.get(action="test.1", seq=4).prev_hash

    def test_seals_more_than_are_kept_in_memory(self, db, django_assert_max_num_queries):
        _record(1001)

        with django_assert_max_num_queries(60):
            assert chain.seal() == 1001

        assert chain.first_broken() is None

    def test_is_whole_or_not_there(self, db):
        (event,) = _record(1)

        event.seq = 1
        with pytest.raises(IntegrityError), transaction.atomic():
            event.save()


class TestFirstBroken:
    @pytest.fixture
    def sealed(self, db) -> list[AuditEvent]:
        _record(5)
        chain.seal()
        assert chain.first_broken() is None
        return list(AuditEvent.objects.order_by("seq"))

    @pytest.mark.parametrize(
        "change",
        [{"action": "innocent"}, {"result": "denied"}, {"after": {"rows": 1}}, {"ip": "10.0.0.1"},
         {"resource": "table/x"}, {"request_id": "y"}],
    )  # fmt: skip
    def test_names_an_event_that_was_altered(self, sealed, change):
        AuditEvent.objects.filter(pk=sealed[2].pk).update(**change)

        assert chain.first_broken() == sealed[2]

    def test_names_the_event_after_one_that_was_removed(self, sealed):
        sealed[2].delete()

        assert chain.first_broken() == sealed[3]

    def test_notices_an_altered_event_whose_hash_was_made_to_fit(self, sealed):
        forged = sealed[2]
        forged.action = "innocent"
        forged.hash = chain.chained_hash(forged, forged.prev_hash)
        forged.save()

        assert chain.first_broken() == sealed[3]


class TestCheck:
    @pytest.fixture
    def page(self, client, admin):
        client.force_login(admin)
        return lambda: client.get(reverse("admin:access_auditevent_changelist")).text

    def test_is_told_where_the_audit_is_read(self, page):
        chain.seal()
        assert "once a day" in page()

        tasks.check_audit()

        assert f"{AuditEvent.objects.filter(seq__isnull=False).count()} sealed event" in page()
        assert "none altered or removed" in page()

    def test_leads_to_what_was_altered(self, page):
        _record(3)
        chain.seal()
        altered = AuditEvent.objects.get(seq=3)
        AuditEvent.objects.filter(pk=altered.pk).update(action="innocent")

        tasks.check_audit()

        told = page()
        assert "the audit was found altered at" in told
        assert reverse("admin:access_auditevent_change", args=[altered.pk]) + '">#3<' in told

    @pytest.mark.parametrize("is_altered", [True, False])
    def test_is_on_the_overview_when_something_is_wrong(self, client, admin, is_altered):
        _record(1)
        chain.seal()
        if is_altered:
            AuditEvent.objects.filter(seq=1).update(action="innocent")
        chain.check()

        assert ("audit.check" in {deed.action for deed in happened.deeds()}) is is_altered


class TestLoss:
    @pytest.fixture
    def sealed(self, db) -> list[AuditEvent]:
        _record(5)
        chain.seal()
        return list(AuditEvent.objects.order_by("seq"))

    def test_of_the_newest_events_is_recorded_with_the_next_seal(self, sealed):
        for event in sealed[3:]:
            event.delete()

        chain.seal()

        lost = chain.last_loss()
        assert (lost.result, lost.after) == ("broken", {"noted": 5, "found": 3})
        assert (lost.seq, chain.first_broken()) == (4, None)

    def test_of_all_events_is_noticed(self, sealed):
        AuditEvent.objects.all().delete()

        chain.seal()

        assert chain.last_loss().after == {"noted": 5, "found": 0}

    def test_is_noticed_when_the_chain_was_made_anew(self, sealed):
        forged, previous = sealed[1:], sealed[0].hash
        forged[0].action = "innocent"
        for event in forged:
            event.prev_hash = previous
            event.hash = previous = chain.chained_hash(event, previous)
            event.save()
        assert chain.first_broken() is None

        chain.seal()

        assert chain.last_loss().after == {"noted": 5, "found": 5}

    def test_is_recorded_once(self, sealed):
        sealed[4].delete()

        for _ in range(3):
            chain.seal()

        assert AuditEvent.objects.filter(action="audit.lost").count() == 1

    def test_is_none_where_a_seal_was_undone_or_not_noted(self, sealed, layout):
        note = (layout.state / "audit-head.json").read_bytes()
        _record(2)
        chain.seal()
        (layout.state / "audit-head.json").write_bytes(note)

        chain.seal()

        assert chain.last_loss() is None

    @pytest.mark.parametrize("rotten", [b"", b"\xff", b'{"seq": 5, "ha', b"[5]", b'{"seq": 5}'])
    def test_is_noticed_again_after_the_note_was_damaged(self, sealed, layout, rotten):
        (layout.state / "audit-head.json").write_bytes(rotten)
        _record(2)

        assert chain.seal() == 2
        assert chain.last_loss() is None

        AuditEvent.objects.filter(seq=7).delete()
        chain.seal()
        assert chain.last_loss().after == {"noted": 7, "found": 6}

    def test_is_told_where_the_audit_is_read(self, sealed, client, admin):
        sealed[4].delete()
        chain.seal()
        client.force_login(admin)

        told = client.get(reverse("admin:access_auditevent_changelist")).text

        assert "it had come to #5, and ended at #4" in told
        assert reverse("admin:access_auditevent_change", args=[chain.last_loss().pk]) in told


class TestCommand:
    def test_says_that_all_is_whole(self, db, capsys):
        _record(3)

        call_command("check_audit")

        assert capsys.readouterr().out == "3 sealed events, none altered or removed.\n"

    def test_fails_where_a_line_was_altered(self, db):
        _record(3)
        chain.seal()
        AuditEvent.objects.filter(seq=2).update(action="innocent")

        with pytest.raises(CommandError, match="altered at #2"):
            call_command("check_audit")

    def test_fails_where_the_newest_lines_are_gone(self, db):
        _record(3)
        chain.seal()
        AuditEvent.objects.filter(seq=3).delete()

        with pytest.raises(CommandError, match="had come to #3 and ended at #2"):
            call_command("check_audit")
