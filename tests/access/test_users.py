import pytest
from django.core.exceptions import ValidationError

from access.models import AuditEvent, User
from access.services import users
from access.services.users import PasswordWeakError, UserExistsError
from tests.factories import UserFactory

PASSWORD = "seven horses under water"


class TestCreateUser:
    def test_keeps_who_made_them(self, admin):
        user = users.create_user(email="eve@example.com", name="Eve", password=PASSWORD, by=admin)

        event = AuditEvent.objects.get(action="user.create")
        assert (event.actor, event.resource) == (admin, f"user/{user.pk}")
        assert "password" not in event.after

    def test_without_a_password_lets_nobody_in_by_one(self, db):
        user = users.create_user(email="eve@example.com", by=None)

        assert not user.has_usable_password()

    def test_refuses_an_email_in_another_case(self, analyst):
        with pytest.raises(UserExistsError):
            users.create_user(email=analyst.email.upper(), by=None)

    def test_refuses_what_is_no_email(self, db):
        with pytest.raises(ValidationError):
            users.create_user(email="eve", by=None)

    @pytest.mark.parametrize("password", ["short", "password123", "eve@example.com"])
    def test_refuses_a_weak_password(self, db, password):
        with pytest.raises(PasswordWeakError):
            users.create_user(email="eve@example.com", password=password, by=None)

        assert not User.objects.exists()


class TestChangeUser:
    def test_changes_and_records_what_is_new_only(self, admin, analyst):
        changed = users.change_user(user=analyst, by=admin, email=analyst.email, name="Anna")

        event = AuditEvent.objects.get(action="user.change")
        assert changed == ["name"]
        assert (event.before, event.after) == ({"name": "Ana"}, {"name": "Anna"})

    def test_lets_somebody_write_their_own_email_in_another_case(self, analyst):
        users.change_user(user=analyst, by=None, email="ANA@example.com")

        analyst.refresh_from_db()
        assert analyst.email == "ANA@example.com"

    def test_refuses_the_email_of_somebody_else(self, analyst):
        other = UserFactory()

        with pytest.raises(UserExistsError):
            users.change_user(user=analyst, by=None, email=other.email.upper())


class TestSetPassword:
    def test_signs_browsers_out(self, client, analyst):
        client.force_login(analyst)

        users.set_password(user=User.objects.get(pk=analyst.pk), password=PASSWORD, by=None)

        assert client.get("/api/me").status_code == 401

    def test_refuses_a_weak_one_and_keeps_the_old(self, analyst):
        with pytest.raises(PasswordWeakError):
            users.set_password(user=analyst, password="short", by=None)

        assert User.objects.get(pk=analyst.pk).check_password("correct horse")
