from datetime import UTC, datetime, timedelta

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse
from django.utils import timezone

from access.models import Group
from access.services import grants
from agnes_site.core.errors import ConflictError
from agnes_site.web import overview
from catalog.models import IncidentKind, TableVersion
from catalog.services import incidents
from extracts.models import Run, RunState
from tests.factories import GroupFactory, SourceFactory, TableFactory, publish, stored_part

HOME = reverse("admin:index")


class HeldError(ConflictError):
    code = "held_in_a_test_of_the_overview"
    hint = "Mend the file."


@pytest.fixture
def pages(client, admin):
    client.force_login(admin)
    return client


@pytest.fixture
def served(db):
    """A table that is served and granted."""
    table = TableFactory(name="orders")
    publish(table, stored_part(rows=1_234_567, size=323_000_000))
    grants.grant(group=GroupFactory(), resource_type="table", resource_id="orders", by=None)
    return table


def text_of(response) -> str:
    return response.content.decode()


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

    def test_says_that_all_is_well(self, pages, served):
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

        state = overview.look()

        assert (state.failed, overview.verdict(state)[1]) == (0, "good")

    def test_forgets_failures_of_days_ago(self, served):
        ended(served, RunState.FAILED, ago=timedelta(days=3))

        assert overview.look().failed == 0

    def test_shows_open_incidents(self, pages, served):
        error = HeldError("Page 3 is damaged.")
        incidents.open_incident(about=served, kind=IncidentKind.HELD, error=error)

        response = pages.get(HOME)

        assert response.context["tone"] == "bad"
        assert "Page 3 is damaged." in text_of(response)
        assert "Mend the file." in text_of(response)

    def test_says_that_a_table_waits_for_its_first_extract(self, served):
        TableFactory(source=served.source)

        sentence, tone = overview.verdict(overview.look())

        assert (sentence, tone) == ("1 table waiting for a first extract.", "warn")

    def test_counts_only_what_is_served(self, served):
        publish(served, stored_part(2, rows=5, size=7))

        state = overview.look()

        assert (state.rows, state.bytes) == (5, 7)
        assert TableVersion.objects.count() == 2

    def test_takes_few_queries_however_much_there_is(
        self, pages, served, django_assert_max_num_queries
    ):
        for table in TableFactory.create_batch(60):
            publish(table)
            ended(table, RunState.FAILED)
            error = HeldError("Page 3 is damaged.")
            incidents.open_incident(about=table, kind=IncidentKind.HELD, error=error)

        with django_assert_max_num_queries(20):
            response = pages.get(HOME)

        assert response.status_code == 200


class TestSignIn:
    def test_leads_from_the_admin_to_the_one_page_for_it(self, client, analyst):
        response = client.get(HOME, follow=True)

        assert response.redirect_chain[-1][0].startswith(reverse("account_login"))
        assert 'autocomplete="current-password"' in text_of(response)

    def test_leads_back_to_where_one_wanted_to_go(self, client, admin):
        wanted = reverse("admin:catalog_table_changelist")
        url = client.get(wanted, follow=True).redirect_chain[-1][0]

        response = client.post(
            url,
            {"login": "ADA@example.com", "password": "correct horse", "next": wanted},
            follow=True,
        )

        assert response.redirect_chain[-1][0] == wanted
        assert response.status_code == 200

    def test_does_not_say_what_was_wrong(self, client, admin):
        page = reverse("account_login")

        mistyped = client.post(page, {"login": admin.email, "password": "wrong"})
        unknown = client.post(page, {"login": "nobody@example.com", "password": "wrong"})

        told = [list(each.context["form"].non_field_errors()) for each in (mistyped, unknown)]
        assert told[0] == told[1]
        assert told[0] != []

    def test_tells_somebody_without_rights_whom_to_ask(self, client, analyst):
        client.force_login(analyst)

        response = client.get(HOME, follow=True)

        assert response.status_code == 403
        assert "it is for administrators" in text_of(response)

    def test_is_not_open_to_new_accounts(self, client, db):
        response = client.post(
            reverse("account_signup"), {"email": "eve@example.com", "password1": "seven horses"}
        )

        assert response.status_code == 200
        assert not Group.objects.filter(memberships__user__email="eve@example.com").exists()

    def test_ends_by_post(self, client, admin):
        client.force_login(admin)

        client.post(reverse("account_logout"))

        assert "_auth_user_id" not in client.session


class TestEachList:
    @pytest.mark.parametrize(
        "model", list(django_admin.site._registry), ids=lambda model: model.__name__
    )
    def test_says_what_to_do_when_it_is_empty(self, pages, model):
        shown = django_admin.site._registry[model]
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")

        response = pages.get(url)

        assert response.status_code == 200
        assert shown.next_step is not None
        if not model.objects.exists():
            assert shown.next_step.text[:40] in text_of(response).replace("\n", " ")

    def test_stands_in_the_sidebar(self, pages):
        page = text_of(pages.get(HOME))

        for model in django_admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
            assert f'href="{reverse(name)}"' in page


class TestTimes:
    def test_are_exact_where_the_mouse_rests(self, pages, served):
        at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
        TableVersion.objects.update(created_at=at)

        page = text_of(pages.get(reverse("admin:catalog_table_changelist")))

        assert 'title="2026-03-04 05:06:07 UTC"' in page


class TestSidebar:
    def test_counts_open_incidents(self, pages, served):
        without = text_of(pages.get(HOME))
        error = HeldError("Page 3 is damaged.")
        incidents.open_incident(about=served, kind=IncidentKind.HELD, error=error)

        page = text_of(pages.get(HOME))

        assert "ag-count" not in without
        assert '<span class="ag-badge ag-bad ag-count">1</span>' in page


class TestPagesOfTheSignInPackage:
    @pytest.mark.parametrize("name", ["account_signup", "account_reset_password"])
    def test_look_like_the_others(self, client, db, name):
        page = text_of(client.get(reverse(name)))

        assert 'class="ag-entrance"' in page
