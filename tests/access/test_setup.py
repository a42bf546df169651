from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from access.models import AuditEvent, Membership, MembershipSource, SetupCode, User
from access.services import setup
from access.services.setup import SetupCodeWrongError, SetupDoneError
from access.services.users import PasswordWeakError

PASSWORD = "four words nobody joins"


def make(code: str, *, email: str = "eve@example.com", password: str = PASSWORD) -> User:
    return setup.make_first_admin(code=code, email=email, name="Eve", password=password)


@pytest.mark.django_db
class TestMakeFirstAdmin:
    def test_makes_an_administrator_and_closes_the_door(self):
        code = setup.new_code().text

        user = make(code)

        assert user.is_admin
        assert user.check_password(PASSWORD)
        assert Membership.objects.get(user=user).source == MembershipSource.SYSTEM_SEED
        assert not setup.is_open()
        assert not SetupCode.objects.exists()
        assert AuditEvent.objects.filter(action="setup.done", actor=user).exists()
        with pytest.raises(SetupDoneError):
            make(code, email="mallory@example.com")

    def test_takes_the_code_as_people_type_it(self):
        code = setup.new_code().text

        make(f" {code.lower().replace('-', ' ')} ")

        assert not setup.is_open()

    @pytest.mark.parametrize("code", ["", "AAAA-AAAA-AAAA", "----"])
    def test_refuses_another_code(self, code):
        setup.new_code()

        with pytest.raises(SetupCodeWrongError):
            make(code)

    def test_refuses_every_code_before_there_is_one(self):
        with pytest.raises(SetupCodeWrongError):
            make("")

    def test_refuses_the_code_before_the_newest(self):
        old = setup.new_code().text
        setup.new_code()

        with pytest.raises(SetupCodeWrongError):
            make(old)

    def test_refuses_a_code_that_is_too_old(self):
        code = setup.new_code().text

        later = timezone.now() + setup.LIFETIME + timedelta(minutes=1)
        with time_machine.travel(later), pytest.raises(SetupCodeWrongError):
            make(code)

    def test_refuses_the_right_code_after_too_many_wrong_ones(self):
        code = setup.new_code().text
        for _ in range(setup.TRIES):
            with pytest.raises(SetupCodeWrongError):
                make("AAAA-AAAA-AAAA")

        with pytest.raises(SetupCodeWrongError):
            make(code)

    def test_keeps_the_code_when_the_password_is_weak(self):
        code = setup.new_code().text
        with pytest.raises(PasswordWeakError):
            make(code, password="password")

        assert make(code).is_admin

    def test_keeps_nothing_from_which_the_code_follows(self):
        code = setup.new_code().text

        rows = repr([*SetupCode.objects.values(), *AuditEvent.objects.values()])

        assert code not in rows
        assert code.replace("-", "") not in rows


@pytest.mark.django_db
class TestNewCode:
    def test_is_refused_once_somebody_exists(self, analyst):
        with pytest.raises(SetupDoneError):
            setup.new_code()
