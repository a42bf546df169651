"""Bringing the database up to date, unless it belongs to another release."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from agnes_site.core.errors import ConflictError


class OtherReleaseError(ConflictError):
    """The database was written by a release that knows more than this one."""

    code = "data_of_other_release"
    hint = "Start the newer release again, or choose another place: DATA_DIR=data/other."


def bring_up_to_date() -> None:
    """Apply the migrations that are missing.

    Raises:
        OtherReleaseError: there are some that this release does not know.
    """
    loader = MigrationExecutor(connection).loader
    unknown = sorted(set(loader.applied_migrations) - set(loader.disk_migrations))
    if unknown:
        raise OtherReleaseError(
            f"The database was written by another release: it has the migration "
            f"{'.'.join(unknown[0])}, which this one does not know."
        )
    call_command("migrate", verbosity=0)
