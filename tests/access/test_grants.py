"""Grants, groups and people over HTTP: at the next request everybody has what they are to have."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from access.models import ADMIN, EVERYONE, AuditEvent, Grant, Group, MembershipSource, User
from access.services import grants, groups
from catalog.models import Folder, TableName
from tests.factories import SourceFactory, TableFactory

JSON = {"content_type": "application/json"}
GROUPS, GRANTS, USERS = "/api/admin/groups", "/api/admin/grants", "/api/users"


@pytest.fixture
def readers(analyst) -> Group:
    """A group with the analyst in it."""
    group = groups.create_group(name="Readers", by=None)
    groups.add_member(group=group, user=analyst, by=None)
    return group


def _refused(response, status: int, code: str) -> dict:
    assert (response.status_code, response.json()["code"]) == (status, code)
    return response.json()


def _readable(client) -> list[str]:
    return [table["id"] for table in client.get("/api/catalog/tables").json()["tables"]]


class TestCreateGrant:
    @pytest.fixture(autouse=True)
    def catalog(self, db):
        shop = SourceFactory(slug="shop")
        folder = Folder.objects.create(slug="sales")
        orders = TableFactory(name="orders", source=shop, folder=folder)
        TableName.objects.create(table=orders, name="Orders 2024")
        TableFactory(name="salaries")

    def _grant(self, client, group, resource_type="table", resource_id="orders", **more):
        body = {
            "group_id": str(group.pk), "resource_type": resource_type, "resource_id": resource_id,
            **more,
        }  # fmt: skip
        return client.post(GRANTS, body, **JSON)

    @pytest.mark.parametrize(
        ("resource_type", "resource_id", "canonical"),
        [
            ("table", "orders", "orders"), ("table", "ORDERS", "orders"),
            ("table", "Orders 2024", "orders"), ("folder", "Sales", "sales"),
            ("source", "SHOP", "shop"),
        ],
    )  # fmt: skip
    def test_lets_the_members_read_at_their_next_request(
        self, admin_api, admin, api, readers, resource_type, resource_id, canonical
    ):
        assert _readable(api) == []

        response = self._grant(admin_api, readers, resource_type, resource_id)

        assert response.status_code == 201
        found = response.json()
        assert (found["group_name"], found["resource_id"]) == ("Readers", canonical)
        assert (found["tier"], found["assigned_by"]) == ("required", admin.email)
        assert _readable(api) == ["orders"]
        assert AuditEvent.objects.get(action="resource_grant.created").actor == admin

    def test_is_409_the_second_time_however_the_table_is_named(self, admin_api, readers):
        self._grant(admin_api, readers)

        _refused(self._grant(admin_api, readers, "table", "Orders 2024"), 409, "grant_exists")

    def test_can_end_by_itself(self, admin_api, api, readers):
        soon = timezone.now() + timedelta(hours=1)
        given = self._grant(admin_api, readers, expires_at=soon.isoformat()).json()
        assert _readable(api) == ["orders"]

        Grant.objects.filter(pk=given["id"]).update(expires_at=timezone.now())

        assert _readable(api) == []

    @pytest.mark.parametrize(
        ("resource_type", "resource_id", "status", "code"),
        [
            ("table", "nosuch", 404, "resource_not_found"),
            ("table", "", 404, "resource_not_found"),
            ("folder", "orders", 404, "resource_not_found"),
            ("plugin", "orders", 400, "resource_type_unknown"),
        ],
    )
    def test_refuses_what_is_not_there(
        self, admin_api, readers, resource_type, resource_id, status, code
    ):
        _refused(self._grant(admin_api, readers, resource_type, resource_id), status, code)

        assert not Grant.objects.exists()

    def test_refuses_a_group_that_is_not_there(self, admin_api):
        _refused(self._grant(admin_api, Group(pk=uuid4())), 404, "group_not_found")

    def test_refuses_a_group_id_that_is_none(self, admin_api):
        body = {"group_id": "Readers", "resource_type": "table", "resource_id": "orders"}

        _refused(admin_api.post(GRANTS, body, **JSON), 422, "request_invalid")

    def test_is_for_administrators(self, api, readers):
        _refused(self._grant(api, readers), 403, "admin_required")


class TestListGrants:
    @pytest.fixture(autouse=True)
    def held(self, readers):
        TableFactory(name="orders", source=SourceFactory(slug="shop"))
        everyone = Group.objects.get(name=EVERYONE)
        grants.grant(group=readers, resource_type="table", resource_id="orders", by=None)
        grants.grant(group=everyone, resource_type="source", resource_id="shop", by=None)

    def test_returns_all_or_those_of_a_group_or_type(self, admin_api, readers):
        def of(query: str) -> list[str]:
            return [given["resource_type"] for given in admin_api.get(GRANTS + query).json()]

        assert sorted(of("")) == ["source", "table"]
        assert of(f"?group_id={readers.pk}") == ["table"]
        assert of("?resource_type=source") == ["source"]
        assert of(f"?group_id={uuid4()}") == []

    def test_refuses_a_type_that_is_not_there(self, admin_api):
        found = _refused(admin_api.get(f"{GRANTS}?resource_type=x"), 400, "resource_type_unknown")

        assert "table" in found["hint"]

    def test_knows_the_types(self, admin_api):
        types = admin_api.get("/api/admin/resource-types").json()

        assert {found["key"] for found in types} == {"table", "folder", "source"}


class TestDeleteGrant:
    def test_takes_the_table_away_at_the_next_request(self, admin_api, api, analyst, grant):
        grant(analyst, TableFactory(name="orders"))
        given = Grant.objects.get()

        response = admin_api.delete(f"{GRANTS}/{given.pk}")

        assert (response.status_code, response.content) == (204, b"")
        assert _readable(api) == []
        _refused(admin_api.delete(f"{GRANTS}/{given.pk}"), 404, "grant_not_found")


class TestGroups:
    def test_are_listed_with_their_numbers(self, admin_api, analyst, readers):
        second = User.objects.create_user("eva@example.com")
        groups.add_member(group=readers, user=second, by=None)
        groups.add_member(group=readers, user=second, by=None, source=MembershipSource.GOOGLE_SYNC)
        for name in ("orders", "customers", "products"):
            TableFactory(name=name)
            grants.grant(group=readers, resource_type="table", resource_id=name, by=None)

        found = {group["name"]: group for group in admin_api.get(GROUPS).json()}

        assert list(found) == [ADMIN, EVERYONE, "Readers"]
        assert (found["Readers"]["member_count"], found["Readers"]["grant_count"]) == (2, 3)
        assert (found[ADMIN]["member_count"], found[ADMIN]["is_system"]) == (1, True)
        assert found[EVERYONE]["member_count"] == User.objects.filter(is_active=True).count()

    def test_are_made_with_and_without_a_description(self, admin_api):
        made = admin_api.post(GROUPS, {"name": " Finanční tým ", "description": None}, **JSON)

        assert made.status_code == 201
        assert (made.json()["name"], made.json()["description"]) == ("Finanční tým", "")
        assert (made.json()["origin"], made.json()["member_count"]) == ("custom", 0)

    @pytest.mark.parametrize("name", ["Readers", "READERS", "everyone", "admin"])
    def test_have_names_of_their_own(self, admin_api, readers, name):
        _refused(admin_api.post(GROUPS, {"name": name}, **JSON), 409, "group_exists")

    @pytest.mark.parametrize("name", ["", "   ", "a\nb", "<script>", "x" * 101])
    def test_refuse_names_that_are_none(self, admin_api, name):
        _refused(admin_api.post(GROUPS, {"name": name}, **JSON), 422, "request_invalid")

    def test_go_with_their_grants(self, admin_api, api, analyst, grant):
        grant(analyst, TableFactory(name="orders"))
        group = analyst.memberships.get().group

        assert admin_api.delete(f"{GROUPS}/{group.pk}").status_code == 204

        assert _readable(api) == []
        _refused(admin_api.delete(f"{GROUPS}/{group.pk}"), 404, "group_not_found")

    @pytest.mark.parametrize("name", [ADMIN, EVERYONE])
    def test_of_the_system_stay(self, admin_api, name):
        group = Group.objects.get(name=name)

        _refused(admin_api.delete(f"{GROUPS}/{group.pk}"), 409, "system_group")


class TestMembers:
    def _url(self, group: Group, user: User | None = None) -> str:
        return f"{GROUPS}/{group.pk}/members" + (f"/{user.pk}" if user else "")

    def test_read_what_their_new_group_reads(self, admin_api, admin, api, analyst, db):
        group = groups.create_group(name="Finance", by=None)
        TableFactory(name="orders")
        grants.grant(group=group, resource_type="table", resource_id="orders", by=None)

        response = admin_api.post(self._url(group), {"email": " ANA@example.com"}, **JSON)

        assert response.status_code == 201
        assert (response.json()["user_id"], response.json()["source"]) == (str(analyst.pk), "admin")
        assert response.json()["added_by"] == admin.email
        assert _readable(api) == ["orders"]
        (member,) = admin_api.get(self._url(group)).json()
        assert (member["email"], member["active"]) == ("ana@example.com", True)

    def test_are_refused_twice_or_unknown(self, admin_api, readers):
        body = {"email": "ana@example.com"}

        _refused(admin_api.post(self._url(readers), body, **JSON), 409, "already_member")
        body = {"email": "nobody@example.com"}
        _refused(admin_api.post(self._url(readers), body, **JSON), 404, "user_not_found")

    def test_of_everyone_are_not_added(self, admin_api, analyst):
        everyone = Group.objects.get(name=EVERYONE)
        response = admin_api.post(self._url(everyone), {"email": "ana@example.com"}, **JSON)

        _refused(response, 409, "everyone_membership")

    def test_who_leave_lose_it_at_their_next_request(self, admin_api, api, analyst, grant):
        grant(analyst, TableFactory(name="orders"))
        group = analyst.memberships.get().group

        assert admin_api.delete(self._url(group, analyst)).status_code == 204

        assert _readable(api) == []
        again = admin_api.delete(self._url(group, analyst))
        _refused(again, 404, "member_not_found")

    def test_of_a_directory_leave_there(self, admin_api, analyst):
        group = groups.create_group(name="Directory", by=None)
        groups.add_member(group=group, user=analyst, by=None, source=MembershipSource.GOOGLE_SYNC)

        response = admin_api.delete(self._url(group, analyst))

        _refused(response, 409, "membership_external")

    def test_for_two_reasons_lose_the_one_given_here(self, admin_api, analyst, readers):
        groups.add_member(group=readers, user=analyst, by=None, source=MembershipSource.GOOGLE_SYNC)

        admin_api.delete(self._url(readers, analyst))

        assert [held.source for held in readers.memberships.all()] == ["google_sync"]

    def test_never_lose_the_last_administrator(self, admin_api, admin):
        response = admin_api.delete(self._url(Group.objects.get(name=ADMIN), admin))

        _refused(response, 409, "last_admin")


class TestUsers:
    def test_are_listed_with_their_groups(self, admin_api, admin, readers):
        found = {user["email"]: user for user in admin_api.get(USERS).json()}

        assert (found["ada@example.com"]["role"], found["ana@example.com"]["role"]) == (
            "admin", "user",
        )  # fmt: skip
        assert [group["name"] for group in found["ana@example.com"]["groups"]] == ["Readers"]
        assert found["ana@example.com"]["active"] is True

    def test_who_are_inactive_are_no_administrators(self, admin_api, analyst):
        groups.add_member(group=Group.objects.get(name=ADMIN), user=analyst, by=None)
        groups.set_active(user=analyst, is_active=False, by=None)

        found = {user["email"]: user for user in admin_api.get(USERS).json()}

        assert found["ana@example.com"]["is_admin"] is False

    def test_are_listed_by_few_queries(self, admin_api, readers, django_assert_max_num_queries):
        for number in range(10):
            user = User.objects.create_user(f"user{number}@example.com")
            groups.add_member(group=readers, user=user, by=None)

        with django_assert_max_num_queries(5):
            assert len(admin_api.get(USERS).json()) == 12

    def test_are_made_without_a_password_or_a_group(self, admin_api, admin):
        response = admin_api.post(USERS, {"email": "New@Example.com", "name": "Nová"}, **JSON)

        assert response.status_code == 201
        found = response.json()
        assert (found["name"], found["groups"], found["is_admin"]) == ("Nová", [], False)
        made = User.objects.get(email__iexact="new@example.com")
        assert not made.has_usable_password()
        assert AuditEvent.objects.get(action="user.create").actor == admin

    def test_have_addresses_of_their_own(self, admin_api, analyst):
        response = admin_api.post(USERS, {"email": "ANA@example.com"}, **JSON)

        _refused(response, 409, "user_exists")

    @pytest.mark.parametrize("email", ["", "ana", "a@b@c", "ana@exa mple.com", "x" * 300])
    def test_need_an_address(self, admin_api, email):
        _refused(admin_api.post(USERS, {"email": email}, **JSON), 422, "request_invalid")

    def test_are_for_administrators(self, api):
        _refused(api.get(USERS), 403, "admin_required")
        _refused(api.post(USERS, {"email": "x@example.com"}, **JSON), 403, "admin_required")
