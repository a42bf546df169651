"""Leases: one holder at a time, of one thing or of several."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from extracts.models import Lease
from extracts.services.leases import LeaseTakenError, lease, leases

pytestmark = pytest.mark.django_db


@pytest.mark.hostile(50)
class TestLease:
    def test_has_one_holder(self):
        with (
            lease("analytics"),
            pytest.raises(LeaseTakenError),
            lease("analytics"),
        ):
            pytest.fail("Two hold it.")

    def test_is_free_after_its_block_even_where_that_failed(self):
        with pytest.raises(ZeroDivisionError), lease("analytics"):
            raise ZeroDivisionError

        with lease("analytics"):
            assert Lease.objects.get().fencing == 1

    def test_is_free_when_its_holder_fell_silent(self):
        past = timezone.now() - timedelta(seconds=1)
        Lease.objects.create(name="analytics", holder="gone", until=past)

        with lease("analytics"):
            assert Lease.objects.get().holder != "gone"


class TestLeases:
    def test_are_those_that_are_free(self):
        with lease("source:b"), leases(["source:a", "source:b", "source:c"]) as held:
            assert held == {"source:a", "source:c"}

    def test_are_all_free_afterwards(self):
        with leases(["source:a", "source:b"]):
            pass

        with leases(["source:a", "source:b"]) as held:
            assert held == {"source:a", "source:b"}
