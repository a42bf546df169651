"""Whose database it is."""

from __future__ import annotations

import pytest
from django.db.migrations.recorder import MigrationRecorder

from agnes_site.core.migrations import OtherReleaseError, bring_up_to_date


@pytest.mark.django_db
class TestBringUpToDate:
    def test_refuses_the_database_of_a_newer_release(self):
        MigrationRecorder.Migration.objects.create(app="catalog", name="0099_from_the_future")

        with pytest.raises(OtherReleaseError, match="0099_from_the_future"):
            bring_up_to_date()

    def test_does_nothing_to_one_that_is_up_to_date(self):
        bring_up_to_date()
