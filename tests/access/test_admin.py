from datetime import timedelta

import pytest
from django.db.models.signals import pre_save
from django.urls import reverse
from django.utils import timezone

from access.models import ADMIN, EVERYONE, AccessToken, AuditEvent, Grant, Group, Membership, User
from access.services import audit, grants, groups, tokens
from agnes_site.core import markup
from agnes_site.core.markup import Tone
from tests.admin_pages import do, list_of, page_of, text_of
from tests.factories import GroupFactory, TableFactory, UserFactory

PASSWORD = "seven horses under water"
NO_ROWS = {"TOTAL_FORMS": "0", "INITIAL_FORMS": "0"}


def formset(prefix: str, **fields: str) -> dict[str, str]:
    return {f"{prefix}-{name}": value for name, value in {**NO_ROWS, **fields}.items()}


class TestUserPages:
    def test_add_a_user_who_can_sign_in(self, pages, client):
        form = {"email": "Eve@Example.com", "name": "Eve", "password": PASSWORD}

        response = pages.post(reverse("admin:access_user_add"), {**form, **formset("memberships")})

        assert response.status_code == 302
        eve = User.objects.get(email__iexact="eve@example.com")
        assert eve.check_password(PASSWORD)
        assert AuditEvent.objects.filter(action="user.create", resource=f"user/{eve.pk}").exists()

    def test_refuse_an_email_that_differs_in_case_only(self, pages, analyst):
        form = {"email": analyst.email.upper(), "name": "", "password": ""}

        response = pages.post(reverse("admin:access_user_add"), {**form, **formset("memberships")})

        assert response.status_code == 200
        assert "There is a user with" in text_of(response)
        assert User.objects.filter(email__iexact=analyst.email).count() == 1

    def test_refuse_a_weak_password_at_its_field(self, pages):
        form = {"email": "eve@example.com", "name": "", "password": "password"}

        response = pages.post(reverse("admin:access_user_add"), {**form, **formset("memberships")})

        assert list(response.context["adminform"].form.errors) == ["password"]
        assert not User.objects.filter(email="eve@example.com").exists()

    def test_keep_the_password_when_none_is_typed(self, pages, analyst):
        form = {"email": analyst.email, "name": "Ana B.", "password": "", "attributes": "{}"}

        pages.post(page_of(analyst), {**form, **formset("memberships")})

        analyst.refresh_from_db()
        assert analyst.name == "Ana B."
        assert analyst.check_password("correct horse")

    def test_give_a_new_password(self, pages, analyst):
        form = {"email": analyst.email, "name": "", "password": PASSWORD, "attributes": "{}"}

        pages.post(page_of(analyst), {**form, **formset("memberships")})

        analyst.refresh_from_db()
        assert analyst.check_password(PASSWORD)
        assert AuditEvent.objects.filter(action="user.set_password").count() == 1

    def test_never_show_a_password(self, pages, analyst):
        response = pages.get(page_of(analyst))

        assert analyst.password not in text_of(response)

    def test_put_a_user_into_a_group_through_the_service(self, pages, admin, analyst):
        sales = GroupFactory(name="Sales")
        stamp = analyst.manifest_stamp
        form = {"email": analyst.email, "name": "", "password": "", "attributes": "{}"}
        row = {"TOTAL_FORMS": "1", "0-group": str(sales.pk), "0-user": str(analyst.pk)}

        pages.post(page_of(analyst), {**form, **formset("memberships", **row)})

        membership = Membership.objects.get(user=analyst, group=sales)
        analyst.refresh_from_db()
        assert membership.added_by == admin
        assert analyst.manifest_stamp != stamp

    def test_deactivate_a_user_and_let_them_in_again(self, pages, analyst):
        pages.post(do(analyst, "deactivate"))

        analyst.refresh_from_db()
        assert not analyst.is_active

        pages.post(do(analyst, "activate"))

        analyst.refresh_from_db()
        assert analyst.is_active

    def test_keep_the_last_administrator(self, pages, admin):
        response = pages.post(do(admin, "deactivate"), follow=True)

        admin.refresh_from_db()
        assert admin.is_active
        assert "is the only active administrator" in text_of(response)

    def test_do_nothing_by_get(self, pages, analyst):
        response = pages.get(do(analyst, "deactivate"))

        analyst.refresh_from_db()
        assert response.status_code == 405
        assert analyst.is_active

    def test_list_a_hundred_users_in_few_queries(self, pages, django_assert_max_num_queries):
        sales = GroupFactory()
        for user in UserFactory.create_batch(100):
            groups.add_member(group=sales, user=user, by=None)
            tokens.create(user=user, name="laptop", by=None)

        with django_assert_max_num_queries(15):
            response = pages.get(reverse("admin:access_user_changelist"))

        assert text_of(response).count("user") > 100


class TestGroupPages:
    def test_add_and_rename_a_group(self, pages):
        pages.post(
            reverse("admin:access_group_add"),
            {"name": "Sales", "description": "", **formset("memberships")},
        )
        sales = Group.objects.get(name="Sales")

        pages.post(
            page_of(sales), {"name": "Sellers", "description": "x", **formset("memberships")}
        )

        sales.refresh_from_db()
        assert sales.name == "Sellers"
        assert AuditEvent.objects.filter(action="user_group.changed").count() == 1

    def test_refuse_a_name_that_is_taken(self, pages):
        GroupFactory(name="Sales")
        finance = GroupFactory(name="Finance")

        form = {"name": "SALES", "description": "", **formset("memberships")}
        response = pages.post(page_of(finance), form)

        assert "There is a group" in text_of(response)
        assert Group.objects.get(pk=finance.pk).name == "Finance"

    def test_count_everybody_where_everybody_belongs(self, pages, analyst):
        UserFactory(is_active=False)

        page = text_of(pages.get(page_of(Group.objects.get(name=EVERYONE))))

        assert "all 2 active users" in page

    def test_say_that_somebody_else_was_faster(self, pages):
        def be_faster(sender, instance, **_) -> None:
            if instance._state.adding:
                Group.objects.bulk_create([Group(name=instance.name.upper())])

        pre_save.connect(be_faster, sender=Group)
        try:
            form = {"name": "Finance", "description": "", **formset("memberships")}
            response = pages.post(reverse("admin:access_group_add"), form)
        finally:
            pre_save.disconnect(be_faster, sender=Group)

        assert response.status_code == 200
        assert "There is a group with this name already." in text_of(response)
        assert not Group.objects.filter(name__iexact="finance").exists()

    def test_add_a_member(self, pages, analyst):
        sales = GroupFactory()
        row = {"TOTAL_FORMS": "1", "0-user": str(analyst.pk), "0-group": str(sales.pk)}

        pages.post(
            page_of(sales),
            {"name": sales.name, "description": "", **formset("memberships", **row)},
        )

        assert sales.memberships.get().user == analyst

    def test_take_a_member_out(self, pages, analyst):
        sales = GroupFactory()
        membership = groups.add_member(group=sales, user=analyst, by=None)
        row = {
            "TOTAL_FORMS": "1", "INITIAL_FORMS": "1", "0-id": str(membership.pk),
            "0-group": str(sales.pk), "0-user": str(analyst.pk), "0-DELETE": "on",
        }  # fmt: skip

        pages.post(
            page_of(sales),
            {"name": sales.name, "description": "", **formset("memberships", **row)},
        )

        assert not sales.memberships.exists()
        assert AuditEvent.objects.filter(action="user_group.member_removed").exists()

    def test_say_why_the_last_administrator_stays(self, pages, admin):
        admins = Group.objects.get(name=ADMIN)
        membership = admins.memberships.get()
        row = {
            "TOTAL_FORMS": "1", "INITIAL_FORMS": "1", "0-id": str(membership.pk),
            "0-group": str(admins.pk), "0-user": str(admin.pk), "0-DELETE": "on",
        }  # fmt: skip

        response = pages.post(page_of(admins), {"description": "", **formset("memberships", **row)})

        assert admins.memberships.count() == 1
        assert "Add another active user to the group Admin first." in text_of(response)

    @pytest.mark.parametrize("name", [ADMIN, EVERYONE])
    def test_protect_system_groups(self, pages, name):
        group = Group.objects.get(name=name)

        pages.post(page_of(group), {"name": "Other", "description": "", **formset("memberships")})
        answer = pages.post(reverse("admin:access_group_delete", args=[group.pk]), {"post": "yes"})

        assert answer.status_code == 403
        assert Group.objects.filter(name=name).exists()

    def test_revoke_a_grant(self, pages):
        sales, orders = GroupFactory(), TableFactory(name="orders")
        held = grants.grant(group=sales, resource_type="table", resource_id=orders.name, by=None)

        pages.post(do(sales, "revoke_grant"), {"grant": str(held.pk)})

        assert not sales.grants.exists()
        assert AuditEvent.objects.filter(action="resource_grant.deleted").exists()


class TestGrantPages:
    def test_offer_everything_that_can_be_granted(self, pages):
        TableFactory(name="orders", source__slug="crm")

        response = pages.get(reverse("admin:access_grant_things"), {"term": "ord"})

        assert '"table:orders"' in text_of(response)
        everything = pages.get(reverse("admin:access_grant_things"))
        assert '"source:crm"' in text_of(everything)

    def test_add_a_grant_through_the_service(self, pages, admin):
        sales, _ = GroupFactory(), TableFactory(name="orders")
        stamp = sales.stamp

        pages.post(
            reverse("admin:access_grant_add"),
            {"group": str(sales.pk), "resource": "table:orders", "tier": "available"},
        )

        held = sales.grants.get()
        sales.refresh_from_db()
        assert (held.resource_id, held.tier, held.created_by) == ("orders", "available", admin)
        assert sales.stamp != stamp

    def test_say_that_the_group_holds_it_already(self, pages):
        sales, _ = GroupFactory(), TableFactory(name="orders")
        grants.grant(group=sales, resource_type="table", resource_id="orders", by=None)

        response = pages.post(
            reverse("admin:access_grant_add"),
            {"group": str(sales.pk), "resource": "table:orders", "tier": "available"},
        )

        assert list(response.context["adminform"].form.errors) == ["resource"]
        assert Grant.objects.count() == 1

    def test_change_only_how_long_and_how_it_holds(self, pages):
        sales, _ = GroupFactory(), TableFactory(name="orders")
        held = grants.grant(group=sales, resource_type="table", resource_id="orders", by=None)

        pages.post(
            page_of(held),
            {"tier": "available", "expires_at_0": "2030-01-01", "expires_at_1": "00:00:00",
             "resource_id": "salaries"},
        )  # fmt: skip

        held.refresh_from_db()
        assert (held.tier, held.resource_id) == ("available", "orders")
        assert held.expires_at.year == 2030
        assert AuditEvent.objects.filter(action="resource_grant.changed").exists()

    def test_tell_which_grants_are_in_force(self, pages):
        for name, until in (("orders", None), ("events", 1), ("refunds", -1)):
            held = grants.grant(
                group=GroupFactory(), resource_type="table",
                resource_id=TableFactory(name=name).name, by=None,
            )  # fmt: skip
            expires_at = until and timezone.now() + timedelta(hours=until)
            Grant.objects.filter(pk=held.pk).update(expires_at=expires_at)

        def listed(in_force: str) -> set[str]:
            response = pages.get(list_of(Grant), {"in_force": in_force})
            return {held.resource_id for held in response.context["cl"].result_list}

        assert (listed("yes"), listed("no")) == ({"orders", "events"}, {"refunds"})
        page = text_of(pages.get(list_of(Grant)))
        assert page.count(markup.badge("expired", Tone.WARN)) == 1

    def test_delete_through_the_service(self, pages):
        sales, _ = GroupFactory(), TableFactory(name="orders")
        held = grants.grant(group=sales, resource_type="table", resource_id="orders", by=None)

        pages.post(reverse("admin:access_grant_delete", args=[held.pk]), {"post": "yes"})

        assert not Grant.objects.exists()
        assert AuditEvent.objects.filter(action="resource_grant.deleted").exists()

    def test_list_a_hundred_grants_in_few_queries(self, pages, django_assert_max_num_queries):
        sales = GroupFactory()
        for table in TableFactory.create_batch(100):
            grants.grant(group=sales, resource_type="table", resource_id=table.name, by=None)

        with django_assert_max_num_queries(15):
            pages.get(reverse("admin:access_grant_changelist"))


class TestTokenPages:
    def test_leave_open_for_whom_a_new_token_is(self, pages):
        response = pages.get(reverse("admin:access_accesstoken_add"))

        assert response.context["adminform"].form["user"].value() is None

    def test_take_the_user_from_whose_page_one_comes(self, pages, analyst):
        add = f"{reverse('admin:access_accesstoken_add')}?user={analyst.pk}"

        response = pages.get(add)

        assert add in text_of(pages.get(page_of(analyst)))
        assert response.context["adminform"].form["user"].value() == str(analyst.pk)

    def make(self, pages, user, **fields):
        form = {"user": str(user.pk), "name": "laptop", "kind": "pat", "tables": "", **fields}
        return pages.post(reverse("admin:access_accesstoken_add"), form)

    def test_show_the_secret_once_and_keep_only_its_hash(self, pages, analyst):
        made = self.make(pages, analyst)

        token = AccessToken.objects.get()
        secret = made.context["secret"]
        later = text_of(pages.get(page_of(token)))
        assert tokens.hash_of(secret) == token.hash
        assert secret in text_of(made)
        assert "agnes init --server http://" in text_of(made)
        assert "no-store" in made["Cache-Control"]
        assert secret not in later
        assert token.hash not in later

    def test_limit_a_token(self, pages, analyst):
        self.make(pages, analyst, is_read_only="on", tables="orders\ninvoices")

        token = AccessToken.objects.get()
        assert (token.scopes, token.only) == (["read"], ["orders", "invoices"])

    def test_refuse_one_that_has_expired_already(self, pages, analyst):
        yesterday = timezone.now() - timedelta(days=1)

        response = self.make(
            pages, analyst, expires_at_0=f"{yesterday:%Y-%m-%d}", expires_at_1="00:00:00"
        )

        assert "would have expired already" in text_of(response)
        assert not AccessToken.objects.exists()

    def test_are_never_edited(self, pages, analyst):
        token = tokens.create(user=analyst, name="laptop", by=None).token

        pages.post(page_of(token), {"name": "other", "scopes": "[]"})

        token.refresh_from_db()
        assert token.name == "laptop"

    def test_tell_which_tokens_still_work(self, pages, analyst):
        for name in ("laptop", "old", "lost"):
            tokens.create(user=analyst, name=name, by=None)
        past = timezone.now() - timedelta(seconds=1)
        AccessToken.objects.filter(name="old").update(expires_at=past)
        AccessToken.objects.filter(name="lost").update(revoked_at=past)

        def listed(state: str) -> set[str]:
            response = pages.get(list_of(AccessToken), {"state": state})
            return {token.name for token in response.context["cl"].result_list}

        assert (listed("valid"), listed("over")) == ({"laptop"}, {"old", "lost"})
        page = text_of(pages.get(list_of(AccessToken)))
        for said, tone in (("valid", Tone.GOOD), ("expired", Tone.WARN), ("revoked", Tone.WARN)):
            assert page.count(markup.badge(said, tone)) == 1
        groups.set_active(user=analyst, is_active=False, by=None)
        page = text_of(pages.get(list_of(AccessToken)))
        assert markup.badge("user inactive", Tone.WARN) in page
        assert markup.badge("valid", Tone.GOOD) not in page

    def test_revoke_several_tokens(self, pages, analyst):
        made = [tokens.create(user=analyst, name=name, by=None).token for name in ("one", "two")]
        tokens.revoke(token=made[0], by=None)
        form = {"chosen": ",".join(token.pk.hex for token in made)}
        url = reverse("admin:access_accesstoken_bulk", args=["revoke"])

        asked = pages.post(url, form)
        pages.post(url, {**form, "apply": "yes"})

        assert "1 token: what will happen" in asked.content.decode()
        assert f"Ends at once for {analyst.email}." in asked.content.decode()
        assert not AccessToken.objects.filter(revoked_at=None).exists()

    def test_revoke_a_token(self, pages, analyst, api_as):
        made = tokens.create(user=analyst, name="laptop", by=None)

        pages.post(do(made.token, "revoke"))

        made.token.refresh_from_db()
        assert made.token.revoked_at is not None


class TestAuditPages:
    def test_show_what_changed(self, pages, admin):
        event = audit.record(
            action="source.change", resource="source/crm", actor=admin,
            before={"schedule": ""}, after={"schedule": "every 6h"},
        )  # fmt: skip

        response = pages.get(page_of(event))

        assert "every 6h" in text_of(response)

    def test_name_people_by_their_email(self, pages, admin, analyst):
        groups.set_active(user=analyst, is_active=False, by=admin)

        page = text_of(pages.get(reverse("admin:access_auditevent_changelist")))

        assert analyst.email in page
        assert f"user/{analyst.pk}" not in page

    def test_cannot_be_changed(self, pages, admin):
        event = audit.record(action="source.change", actor=admin)

        changed = pages.post(page_of(event), {"action": "other"})
        deleted = pages.post(
            reverse("admin:access_auditevent_delete", args=[event.pk]), {"post": "yes"}
        )

        event.refresh_from_db()
        assert (changed.status_code, deleted.status_code) == (403, 403)
        assert event.action == "source.change"

    def test_list_a_hundred_events_in_few_queries(
        self, pages, admin, django_assert_max_num_queries
    ):
        for number in range(100):
            audit.record(action="publish", resource=f"table/t{number}", actor=admin)

        with django_assert_max_num_queries(15):
            response = pages.get(reverse("admin:access_auditevent_changelist"))

        assert text_of(response).count("table/t") >= 100


class TestDjangosOwnGroups:
    def test_are_not_shown(self, pages):
        assert pages.get("/admin/auth/group/").status_code == 404
