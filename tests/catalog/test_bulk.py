"""What is done to many tables at once: shown first, then done by the services."""

from django.urls import reverse

from access.models import AuditEvent, Grant
from access.services import grants, groups
from agnes_site.core.admin import bulk
from catalog.connectors import QueryMode
from catalog.models import Folder, Table
from extracts.models import Run
from tests.admin_pages import text_of
from tests.factories import GroupFactory, SourceFactory, TableFactory, UserFactory, publish

LIST = "admin:catalog_table_changelist"


def choose(pages, action: str, tables, **query):
    form = {"action": action, "_selected_action": [str(table.pk) for table in tables]}
    return pages.post(reverse(LIST, query=query), form)


def apply(pages, action: str, tables, **values):
    form = {"chosen": ",".join(table.pk.hex for table in tables), "apply": "yes", **values}
    url = reverse("admin:catalog_table_bulk", args=[action])
    return pages.post(url, form, follow=True)


def look(pages, action: str, tables, **values):
    form = {"chosen": ",".join(table.pk.hex for table in tables), **values}
    return pages.post(reverse("admin:catalog_table_bulk", args=[action]), form)


def messages_of(response) -> str:
    return " ".join(str(message) for message in response.context["messages"])


class TestPreview:
    def test_lists_what_will_happen_and_what_not_and_does_nothing(self, pages):
        ready = TableFactory(name="orders", source=SourceFactory(display_name="Shop"))
        remote = TableFactory(name="events", query_mode=QueryMode.REMOTE)

        page = text_of(choose(pages, "extract", [ready, remote]))

        assert "1 table: what will happen" in page
        assert "Brought anew from Shop." in page
        assert "It is remote: nothing of it is copied." in page
        assert not Run.objects.exists()

    def test_takes_all_of_a_filtered_list(self, pages):
        TableFactory.create_batch(3)
        TableFactory(name="orders")
        form = {"action": "pause", "select_across": "1", "_selected_action": []}
        form["_selected_action"] = [str(Table.objects.get(name="orders").pk)]

        page = text_of(pages.post(reverse(LIST, query={"q": "table_"}), form))

        assert "3 tables chosen" in page

    def test_waits_for_what_has_to_be_filled_in(self, pages):
        page = text_of(choose(pages, "grant", [TableFactory()]))

        assert "what will happen" not in page
        assert "disabled" in page

    def test_shows_at_once_what_an_empty_form_would_do(self, pages):
        page = text_of(choose(pages, "schedule", [TableFactory(sync_schedule="every 6h")]))

        assert "every 6h → that of the source" in page

    def test_says_who_will_read_them(self, pages):
        group, table = GroupFactory(name="Sales"), TableFactory(name="orders")
        groups.add_member(group=group, user=UserFactory(email="sam@example.com"), by=None)

        page = text_of(look(pages, "grant", [table], group=str(group.pk), tier="required"))

        assert "1 person in Sales will read them: sam@example.com." in page
        assert not Grant.objects.exists()

    def test_leaves_out_who_can_read_all_of_them_already(self, pages, admin):
        group, finance = GroupFactory(name="Sales"), Folder.objects.create(slug="finance")
        tables = [TableFactory(folder=finance), TableFactory(source__slug="crm")]
        both, one, none = UserFactory.create_batch(3)
        for user in (both, one, none, admin):
            groups.add_member(group=group, user=user, by=None)
        reads = ((both, "folder", "finance"), (both, "source", "crm"), (one, "source", "crm"))
        for user, kind, name in reads:
            alone = GroupFactory()
            groups.add_member(group=alone, user=user, by=None)
            grants.grant(group=alone, resource_type=kind, resource_id=name, by=None)

        page = text_of(look(pages, "grant", tables, group=str(group.pk), tier="required"))

        told = "4 people in Sales will read them; 2 can read all of them already. New: "
        assert f"{told}{one}, {none}." in page

    def test_says_what_is_wrong_with_a_schedule(self, pages):
        page = text_of(look(pages, "schedule", [TableFactory()], schedule="now and then"))

        assert "is not a schedule" in page

    def test_costs_the_same_for_a_hundred_tables(self, pages, django_assert_max_num_queries):
        tables = TableFactory.create_batch(100)
        group = GroupFactory()

        with django_assert_max_num_queries(20):
            page = text_of(look(pages, "grant", tables, group=str(group.pk), tier="required"))

        assert "100 tables: what will happen" in page

    def test_refuses_more_than_can_be_done_at_once(self, pages, monkeypatch):
        monkeypatch.setattr(bulk, "MOST_AT_ONCE", 2)
        tables = TableFactory.create_batch(3)

        response = pages.post(
            reverse(LIST),
            {"action": "pause", "_selected_action": [str(table.pk) for table in tables]},
            follow=True,
        )

        assert "at most 2 are changed at once" in messages_of(response)

    def test_is_for_administrators_only(self, client, analyst):
        client.force_login(analyst)

        assert look(client, "pause", [TableFactory()]).status_code == 302


class TestDoing:
    def test_asks_for_the_extracts(self, pages, admin):
        tables = TableFactory.create_batch(2)

        response = apply(pages, "extract", tables)

        assert "Extract asked for: 2 tables." in messages_of(response)
        assert set(Run.objects.values_list("requested_by", flat=True)) == {admin.pk}

    def test_pauses_and_resumes(self, pages):
        table = TableFactory()

        apply(pages, "pause", [table])
        paused = Table.objects.get().is_paused
        apply(pages, "resume", [table])

        assert paused
        assert not Table.objects.get().is_paused

    def test_leaves_out_what_is_as_wanted_and_says_so(self, pages):
        late, early = TableFactory(name="late", sync_schedule="every 6h"), TableFactory()

        response = apply(pages, "schedule", [late, early], schedule="every 6h")

        early.refresh_from_db()
        assert early.sync_schedule == "every 6h"
        assert "1 table left as before. late: It has this schedule." in messages_of(response)
        assert AuditEvent.objects.filter(action="update_table").count() == 1

    def test_moves_to_a_folder(self, pages):
        finance, table = Folder.objects.create(slug="finance"), TableFactory()

        apply(pages, "move", [table], folder=str(finance.pk))

        table.refresh_from_db()
        assert table.folder == finance

    def test_grants_to_a_group(self, pages):
        group, tables = GroupFactory(), TableFactory.create_batch(2)

        apply(pages, "grant", tables, group=str(group.pk), tier="available")

        assert {grant.tier for grant in group.grants.all()} == {"available"}
        assert group.grants.count() == 2

    def test_unregisters_with_versions(self, pages):
        tables = TableFactory.create_batch(2)
        publish(tables[0])

        asked = text_of(choose(pages, "unregister", tables))
        apply(pages, "unregister", tables)

        assert "Goes with 1 version" in asked
        assert not Table.objects.exists()

    def test_does_nothing_with_a_form_that_is_wrong(self, pages):
        table = TableFactory()

        apply(pages, "schedule", [table], schedule="now and then")

        assert Table.objects.get().sync_schedule == ""

    def test_goes_back_to_the_list_and_nowhere_else(self, pages):
        listed = reverse(LIST)
        table = TableFactory()
        url = reverse("admin:catalog_table_bulk", args=["pause"])
        form = {"chosen": table.pk.hex, "apply": "yes"}

        kept = pages.post(url, {**form, "back": f"{listed}?q=table"})
        foreign = pages.post(url, {**form, "back": "https://example.com/"})

        assert kept.url == f"{listed}?q=table"
        assert foreign.url == listed


class TestPeople:
    def look(self, pages, action, users, **values):
        form = {"chosen": ",".join(user.pk.hex for user in users), **values}
        url = reverse("admin:access_user_bulk", args=[action])
        return pages.post(url, form, follow=True)

    def test_join_and_leave_a_group(self, pages):
        group, users = GroupFactory(), UserFactory.create_batch(2)
        groups.add_member(group=group, user=users[0], by=None)

        asked = text_of(self.look(pages, "join", users, group=str(group.pk)))
        self.look(pages, "join", users, group=str(group.pk), apply="yes")
        inside = group.memberships.count()
        self.look(pages, "leave", users, group=str(group.pk), apply="yes")

        assert f"Is in {group} already." in asked
        assert (inside, group.memberships.count()) == (2, 0)

    def test_keep_the_last_administrator(self, pages, admin):
        user = UserFactory()

        response = self.look(pages, "deactivate_chosen", [user, admin], apply="yes")

        user.refresh_from_db()
        admin.refresh_from_db()
        assert (user.is_active, admin.is_active) == (False, True)
        assert "is the only active administrator" in messages_of(response)
