"""Who reads something, and what a grant means for people before it is given or taken."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from access.admin import reach
from access.models import ADMIN, EVERYONE, Group
from access.services import audience, grants, groups
from catalog.models import Folder
from tests.factories import GroupFactory, TableFactory, UserFactory


def members(count: int, group: Group | None = None, **fields) -> Group:
    group = group or GroupFactory(name="Analysts")
    for user in UserFactory.create_batch(count, **fields):
        groups.add_member(group=group, user=user, by=None)
    return group


def give(group: Group, kind: str, name: str, **options):
    return grants.grant(group=group, resource_type=kind, resource_id=name, by=None, **options)


@pytest.fixture
def orders(db):
    folder = Folder.objects.create(slug="finance")
    return TableFactory(name="orders", source__slug="crm", folder=folder)


class TestGiving:
    def test_counts_those_who_can_already(self, orders):
        analysts = members(2)
        both = members(1, GroupFactory(name="Finance"))
        groups.add_member(group=analysts, user=both.memberships.get().user, by=None)
        give(both, "folder", "finance")

        effect = audience.of_giving(group=analysts, resource_type="table", resource_id="orders")

        assert (effect.members, effect.concerned, effect.others) == (3, 2, 1)

    def test_counts_administrators_as_able_already(self, orders, admin):
        analysts = members(1)
        groups.add_member(group=analysts, user=admin, by=None)

        effect = audience.of_giving(group=analysts, resource_type="table", resource_id="orders")

        assert (effect.members, effect.concerned) == (2, 1)

    def test_leaves_out_inactive_users_and_expired_grants(self, orders):
        analysts = members(1)
        members(3, analysts, is_active=False)
        give(analysts, "source", "crm", expires_at=timezone.now() - timedelta(days=1))

        effect = audience.of_giving(group=analysts, resource_type="table", resource_id="orders")

        assert (effect.members, effect.concerned) == (1, 1)

    def test_to_everyone_concerns_each_active_user(self, orders):
        UserFactory.create_batch(3)
        everyone = Group.objects.get(name=EVERYONE)

        assert "3 people in Everyone will be able" in reach.of_giving(everyone, "table", "orders")

    @pytest.mark.parametrize(
        ("count", "said"),
        [
            (0, "Nobody is in Analysts yet; whoever is added will be able to read it."),
            (1, "1 person in Analysts will be able to read it. New: user"),
            (7, "and 2 more."),
        ],
    )
    def test_is_said_in_a_sentence(self, orders, count, said):
        assert said in reach.of_giving(members(count), "table", "orders")

    def test_of_a_folder_says_how_much_it_is(self, orders):
        said = reach.of_giving(members(1), "folder", "finance")

        assert "It is 1 table now, and each that is added later." in said

    def test_says_that_it_is_given_already(self, orders):
        analysts = members(1)
        give(analysts, "table", "orders")

        assert reach.of_giving(analysts, "table", "orders") == "Analysts holds this grant already."


class TestTaking:
    def test_names_who_loses_it_and_counts_who_keeps_it(self, orders):
        analysts = members(2)
        kept = members(1, GroupFactory(name="Finance"))
        groups.add_member(group=analysts, user=kept.memberships.get().user, by=None)
        give(kept, "source", "crm")
        given = give(analysts, "table", "orders")

        said = reach.of_taking(given)

        assert "2 people will no longer be able to read it: user" in said
        assert "1 person of the group keep it in another way." in said

    def test_says_when_nobody_loses_it(self, orders, admin):
        given = give(Group.objects.get(name=ADMIN), "table", "orders")

        assert "Nobody loses it" in reach.of_taking(given)


class TestAsking:
    def test_says_the_effect_while_a_grant_is_filled_in(self, client, admin, orders):
        client.force_login(admin)
        asked = {"group": str(members(1).pk), "resource": "table:orders"}

        answer = client.get(reverse("admin:access_grant_reach"), asked)

        assert "1 person in Analysts" in answer.content.decode()

    @pytest.mark.parametrize(
        "asked",
        [{}, {"group": "x", "resource": "table:orders"}, {"group": "", "resource": "cat:tom"}],
    )
    def test_says_nothing_of_what_is_not_filled_in(self, client, admin, asked):
        client.force_login(admin)

        assert client.get(reverse("admin:access_grant_reach"), asked).content == b""

    def test_is_for_administrators_only(self, client, analyst, orders):
        client.force_login(analyst)

        for name in ("access_grant_reach", "access_grant_things"):
            assert client.get(reverse(f"admin:{name}")).status_code == 302

    def test_finds_things_among_ten_thousand_in_few_queries(
        self, client, admin, orders, django_assert_max_num_queries
    ):
        client.force_login(admin)
        TableFactory.create_batch(60, source=orders.source)

        with django_assert_max_num_queries(8):
            found = client.get(reverse("admin:access_grant_things"), {"term": "table_"}).json()

        assert [len(group["children"]) for group in found["results"]] == [20]
