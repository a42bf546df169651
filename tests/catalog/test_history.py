"""The history of things: who changed what, and the way back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.models import AuditEvent, Grant, Group, Membership, User
from access.services import audit, grants, groups, history, users
from catalog.models import Column, Folder, Source, Table
from catalog.services import descriptions, folders, registry, sources
from tests.admin_pages import page_of
from tests.factories import SourceFactory, publish, stored_part


@pytest.fixture
def table(db) -> Table:
    source = SourceFactory(slug="shop")
    return registry.register_table(
        source=source, name="orders", by=None, source_table="orders.csv", folder="sales",
        primary_key=["id"], description="Old.",
    )  # fmt: skip


def last(action: str) -> AuditEvent:
    return AuditEvent.objects.filter(action=action).latest("at")


def take_back(action: str, **options) -> None:
    history.revert(event=last(action), by=None, **options)


class TestRevert:
    def test_puts_a_table_back(self, table):
        registry.update_table(
            table=table, by=None, description="New.", folder="", primary_key=["id", "line"]
        )

        take_back("update_table")

        table.refresh_from_db()
        assert (table.description, table.primary_key) == ("Old.", ["id"])
        assert table.folder.slug == "sales"

    def test_restores_a_table_that_was_unregistered(self, table):
        registry.unregister_table(table=table, by=None)

        take_back("unregister_table")

        found = Table.objects.get(name="orders")
        assert (found.source.slug, found.source_table) == ("shop", "orders.csv")
        assert found.folder.slug == "sales"

    def test_puts_a_source_back(self, table):
        sources.change_source(
            source=table.source, by=None, config={"folder": "/other"}, concurrency=4
        )

        take_back("source.change")

        table.source.refresh_from_db()
        assert (table.source.config, table.source.concurrency) == ({"folder": "/nowhere"}, 2)

    def test_restores_a_source(self, db):
        sources.remove_source(source=SourceFactory(slug="shop"), by=None)

        take_back("source.delete")

        assert Source.objects.get(slug="shop").config == {"folder": "/nowhere"}

    def test_restores_a_folder_with_its_tables(self, table):
        folders.remove_folder(folder=table.folder, by=None)

        take_back("folder.delete")

        assert Folder.objects.get(slug="sales").tables.get().name == "orders"

    def test_puts_the_description_of_a_column_back(self, table):
        publish(table, stored_part())
        column = Column.objects.filter(table=table).first()
        descriptions.describe_column(column=column, description="First.", by=None)
        descriptions.describe_column(column=column, description="Second.", by=None)

        take_back("column.describe")

        column.refresh_from_db()
        assert column.description == "First."

    def test_restores_a_group_with_its_members_and_grants(self, table, analyst):
        group = groups.create_group(name="Analysts", by=None, description="They ask.")
        groups.add_member(group=group, user=analyst, by=None)
        grants.grant(group=group, resource_type="table", resource_id="orders", by=None)
        groups.delete_group(group=group, by=None)

        take_back("user_group.deleted")

        group = Group.objects.get(name="Analysts")
        assert group.description == "They ask."
        assert (group.memberships.get().user, group.grants.get().resource_id) == (analyst, "orders")

    @pytest.mark.parametrize(
        ("do", "action"),
        [
            (lambda group, user: groups.add_member(group=group, user=user, by=None),
             "user_group.member_added"),
            (lambda group, user: grants.grant(group=group, resource_type="table",
                                              resource_id="orders", by=None),
             "resource_grant.created"),
            (lambda group, user: groups.change_group(group=group, name="Others", description="",
                                                     by=None), "user_group.changed"),
            (lambda group, user: groups.set_active(user=user, is_active=False, by=None),
             "user.deactivate"),
            (lambda group, user: users.change_user(user=user, name="Other", by=None),
             "user.change"),
        ],
    )  # fmt: skip
    def test_takes_back_what_was_done_to_people(self, table, analyst, do, action):
        group = groups.create_group(name="Analysts", by=None)

        def state():
            return [
                list(Group.objects.order_by("pk").values("name")),
                list(Membership.objects.values("group", "user")),
                list(Grant.objects.values("group", "resource_id")),
                list(User.objects.values("name", "is_active")),
            ]

        before = state()
        do(group, analyst)
        after = state()
        take_back(action)

        assert after != before
        assert state() == before

    def test_puts_somebody_into_a_group_again(self, analyst):
        group = groups.create_group(name="Analysts", by=None)
        groups.remove_member(
            membership=groups.add_member(group=group, user=analyst, by=None), by=None
        )

        take_back("user_group.member_removed")

        assert group.memberships.get().user == analyst

    def test_puts_the_terms_of_a_grant_back(self, table):
        until = timezone.now() + timedelta(days=1)
        given = grants.grant(
            group=groups.create_group(name="Analysts", by=None), resource_type="table",
            resource_id="orders", tier="available", expires_at=until, by=None,
        )  # fmt: skip
        grants.change(given=given, tier="required", expires_at=None, by=None)

        take_back("resource_grant.changed")

        found = Grant.objects.get()
        assert (found.tier, found.expires_at) == ("available", until)

    def test_gives_a_grant_again_as_it_was(self, table):
        group = groups.create_group(name="Analysts", by=None)
        given = grants.grant(
            group=group, resource_type="table", resource_id="orders", tier="available", by=None
        )
        grants.revoke(given=given, by=None)

        take_back("resource_grant.deleted")

        assert Grant.objects.get().tier == "available"

    def test_is_refused_when_it_was_changed_since(self, table):
        registry.update_table(table=table, by=None, description="New.")
        event = last("update_table")
        registry.update_table(table=table, by=None, description="Newer.")

        with pytest.raises(history.ChangedSinceError, match="description"):
            history.revert(event=event, by=None)

        history.revert(event=event, by=None, anyway=True)
        table.refresh_from_db()
        assert table.description == "Old."

    @pytest.mark.parametrize("again", ["group", "renamed group", "table"])
    def test_is_refused_when_a_name_means_something_else_by_now(self, table, again):
        group = groups.create_group(name="Analysts", by=None)
        given = grants.grant(group=group, resource_type="table", resource_id="orders", by=None)
        grants.revoke(given=given, by=None)
        if again == "table":
            registry.unregister_table(table=table, by=None)
            registry.register_table(source=table.source, name="orders", by=None)
        else:
            groups.change_group(group=group, name="Others", description="", by=None)
        if again == "group":
            groups.create_group(name="Analysts", by=None)
        elif again == "renamed group":
            other = groups.create_group(name="Salaries", by=None)
            groups.change_group(group=other, name="Analysts", description="", by=None)

        with pytest.raises(history.ChangedSinceError, match="is the name of another"):
            take_back("resource_grant.deleted")

        assert not Grant.objects.exists()
        take_back("resource_grant.deleted", anyway=True)
        assert Grant.objects.exists()

    def test_does_not_rename_another_group(self, db):
        group = groups.create_group(name="A", by=None)
        groups.change_group(group=group, name="B", description="", by=None)
        event = last("user_group.changed")
        groups.change_group(group=group, name="C", description="", by=None)
        groups.create_group(name="B", by=None)

        with pytest.raises(history.ChangedSinceError):
            history.revert(event=event, by=None)

    def test_restores_a_group_without_grants_on_what_is_gone(self, table):
        group = groups.create_group(name="Analysts", by=None)
        for kind, name in (("table", "orders"), ("source", "shop")):
            grants.grant(group=group, resource_type=kind, resource_id=name, by=None)
        groups.delete_group(group=group, by=None)
        registry.unregister_table(table=table, by=None)

        take_back("user_group.deleted")

        assert [held.resource_id for held in Grant.objects.all()] == ["shop"]

    def test_is_refused_when_the_table_is_gone(self, table):
        registry.update_table(table=table, by=None, description="New.")
        registry.unregister_table(table=table, by=None)

        with pytest.raises(history.NotRevertibleError, match="no table orders"):
            take_back("update_table", anyway=True)

    def test_is_refused_when_the_column_is_gone(self, table):
        publish(table, stored_part())
        column = Column.objects.get(table=table)
        descriptions.describe_column(column=column, description="New.", by=None)
        column.delete()

        with pytest.raises(history.NotRevertibleError, match="no column 'id' any more"):
            take_back("column.describe", anyway=True)

    def test_is_refused_for_what_has_no_way_back(self, table):
        with pytest.raises(history.NotRevertibleError):
            take_back("register_table")

    def test_is_recorded(self, table, admin):
        registry.update_table(table=table, by=None, description="New.")
        event = last("update_table")

        history.revert(event=event, by=admin)

        told = last("revert")
        assert (told.actor, told.after["event"]) == (admin, str(event.pk))


@pytest.fixture
def browser(client, admin):
    client.force_login(admin)
    return client


class TestPage:
    def test_shows_who_changed_what(self, browser, admin, table):
        registry.update_table(table=table, by=admin, description="<b>New.</b>")

        text = browser.get(page_of(table, "history")).text

        assert admin.email in text
        assert "&lt;b&gt;New.&lt;/b&gt;" in text
        assert "Old." in text

    def test_is_linked_from_the_page_of_the_table(self, browser, table):
        assert page_of(table, "history") in browser.get(page_of(table, "change")).text

    def test_takes_back_and_comes_back(self, browser, table):
        registry.update_table(table=table, by=None, description="New.")
        url = reverse("admin:access_auditevent_do", args=[last("update_table").pk, "revert"])

        answer = browser.post(url, {"next": page_of(table, "history")})

        assert answer.url == page_of(table, "history")
        table.refresh_from_db()
        assert table.description == "Old."

    def test_goes_nowhere_else(self, browser, table):
        registry.update_table(table=table, by=None, description="New.")
        event = last("update_table")
        url = reverse("admin:access_auditevent_do", args=[event.pk, "revert"])

        assert browser.post(url, {"next": "https://example.org/"}).url == page_of(event, "change")

    def test_offers_to_overwrite_what_was_changed_since(self, browser, table):
        registry.update_table(table=table, by=None, description="New.")
        event = last("update_table")
        registry.update_table(table=table, by=None, description="Newer.")
        url = reverse("admin:access_auditevent_do", args=[event.pk, "revert"])

        answer = browser.post(url, {"next": page_of(table, "history")}, follow=True)

        assert "Changed again since: description." in answer.text
        assert "Revert anyway" in answer.text

        browser.post(url.replace("/do/revert/", "/do/revert_anyway/"))

        table.refresh_from_db()
        assert table.description == "Old."

    def test_follows_a_group_through_its_names(self, browser, db):
        group = groups.create_group(name="A", by=None)
        for name in ("B", "C"):
            groups.change_group(group=group, name=name, description="", by=None)

        group.refresh_from_db()

        assert groups.names_of(group) == ["C", "B", "A"]

    def test_asks_the_database_a_fixed_number_of_times(
        self, browser, table, django_assert_max_num_queries
    ):
        for number in range(60):
            registry.update_table(table=table, by=None, description=str(number))

        with django_assert_max_num_queries(12):
            assert "Page 1 of 2" in browser.get(page_of(table, "history")).text

    def test_tells_of_changes_and_of_no_downloads(self, browser, table, analyst):
        audit.record(action="data.download", resource="table/orders", actor=analyst)

        assert analyst.email not in browser.get(page_of(table, "history")).text

    def test_names_people_by_their_e_mail(self, browser, analyst):
        group = groups.create_group(name="Analysts", by=None)
        groups.add_member(group=group, user=analyst, by=None)

        assert analyst.email in browser.get(page_of(group, "history")).text

    @pytest.mark.parametrize("model", ["source", "folder", "user", "grant"])
    def test_is_there_for_everything_that_is_curated(self, browser, table, analyst, model):
        grants.grant(
            group=groups.create_group(name="Analysts", by=None), resource_type="table",
            resource_id="orders", by=None,
        )  # fmt: skip
        users.change_user(user=analyst, by=None, name="Other")
        obj = {
            "source": table.source, "folder": table.folder, "user": analyst,
            "grant": Grant.objects.get(),
        }[model]  # fmt: skip

        assert browser.get(page_of(obj, "history")).status_code == 200
