from datetime import UTC, datetime

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse

from access.models import Group
from access.services import grants
from agnes_site.core.errors import ConflictError
from catalog.models import IncidentKind, TableVersion
from catalog.services import incidents
from tests.admin_pages import text_of
from tests.factories import GroupFactory, TableFactory, publish, stored_part

HOME = reverse("admin:index")


class HeldError(ConflictError):
    code = "held_in_a_test_of_the_overview"
    hint = "Mend the file."


@pytest.fixture
def served(db):
    """A table that is served and granted."""
    table = TableFactory(name="orders")
    publish(table, stored_part(rows=1_234_567, size=323_000_000))
    grants.grant(group=GroupFactory(), resource_type="table", resource_id="orders", by=None)
    return table


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


class TestTheWayToAPage:
    @pytest.mark.parametrize("page", ["change", "history", "delete"])
    def test_writes_names_as_they_are(self, pages, served, page):
        response = pages.get(reverse(f"admin:catalog_table_{page}", args=[served.pk]))

        way = text_of(response).partition("<h1")[2].partition("</h1>")[0]
        assert "Tables" in way
        assert "orders" in way
        assert "Orders" not in way


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
