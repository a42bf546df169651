"""The pages of incidents, and those of tables that have one."""

from django.urls import reverse

from access.models import AuditEvent
from agnes_site.core.errors import ConflictError
from catalog.models import Incident, IncidentKind
from catalog.services import incidents
from tests.admin_pages import do, list_of, text_of
from tests.factories import SourceFactory, TableFactory


class HeldError(ConflictError):
    code = "held_in_a_test"
    hint = "Mend the file."


def held(about, message="Page 3 is damaged.") -> Incident:
    return incidents.open_incident(about=about, kind=IncidentKind.HELD, error=HeldError(message))


class TestOnTheirTables:
    def test_waive_an_incident(self, pages, admin):
        table = TableFactory()
        incident = held(table)

        pages.post(do(table, "waive"), {"incident": str(incident.pk)})

        incident.refresh_from_db()
        assert incident.waived_by == admin

    def test_waive_the_incident_of_a_source(self, pages, admin):
        source, other = SourceFactory(), SourceFactory()
        incident = held(source)
        fields = {"incident": str(incident.pk)}

        refused = pages.post(do(other, "waive"), fields)
        assert refused.status_code == 404
        pages.post(do(source, "waive"), fields)

        incident.refresh_from_db()
        assert incident.waived_by == admin

    def test_waiving_twice_keeps_who_did_it_and_when(self, pages, analyst):
        incident = held(TableFactory())
        incidents.waive(incident=incident, by=analyst)
        before = incident.closed_at

        response = pages.post(do(incident, "waive"), follow=True)

        incident.refresh_from_db()
        assert (incident.waived_by, incident.closed_at) == (analyst, before)
        assert "over already" in str(next(iter(response.context["messages"])))
        assert AuditEvent.objects.filter(action="incident.waive").count() == 1

    def test_cannot_waive_the_incident_of_another_table(self, pages):
        incident = held(TableFactory())

        response = pages.post(do(TableFactory(), "waive"), {"incident": str(incident.pk)})

        incident.refresh_from_db()
        assert response.status_code == 404
        assert incident.closed_at is None


class TestIncidentPages:
    def test_waive_several(self, pages, admin):
        found = [held(TableFactory()), held(TableFactory())]

        over = held(TableFactory())
        incidents.waive(incident=over, by=None)
        chosen = [*found, over]

        asked = pages.post(
            list_of(Incident),
            {"action": "waive", "_selected_action": [str(each.pk) for each in chosen]},
        )
        pages.post(
            reverse("admin:catalog_incident_bulk", args=["waive"]),
            {"chosen": ",".join(each.pk.hex for each in chosen), "apply": "yes"},
        )

        assert "2 incidents: what will happen" in text_of(asked)
        assert "It is over already." in text_of(asked)
        assert Incident.objects.filter(waived_by=admin).count() == 2

    def test_list_a_hundred_in_few_queries(self, pages, django_assert_max_num_queries):
        for table in TableFactory.create_batch(100):
            held(table)

        with django_assert_max_num_queries(15):
            response = pages.get(list_of(Incident))

        assert text_of(response).count("Page 3 is damaged.") == 100
