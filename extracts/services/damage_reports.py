"""What clients report: files that came to them with a wrong hash."""

from __future__ import annotations

from datetime import timedelta

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from access.models import AuditEvent, User
from access.services import audit
from agnes_site.core.broker import QUEUE_ERRORS
from agnes_site.core.errors import LimitExceededError
from catalog.models import Table, TablePart
from catalog.services.versions import VersionNotFoundError

ACTION = "data.damage_reported"
MOST_AN_HOUR = 20
_TASK = "extracts.tasks.check_stored_file"
# Many laptops behind one bad proxy have one file read once.
_FRESH_SECONDS = 600
logger = structlog.get_logger(__name__)


class TooManyReportsError(LimitExceededError):
    """Somebody reports more damaged files than one network can damage."""

    code = "too_many_reports"
    hint = "The server reads its files again by itself; look at what lies between it and you."


@transaction.atomic
def report(*, table: Table, sha256: str, found: str, by: User) -> bool:
    """Have a stored file of ``table`` read now; say whether that was not about to happen anyway.

    Raises:
        VersionNotFoundError: no version of the table has such a file.
        TooManyReportsError: ``by`` has reported too much in the last hour.
    """
    parts = TablePart.objects.filter(version__table=table, sha256=sha256)
    if not parts.exists() and not table.versions.filter(combined_sha256=sha256).exists():
        raise VersionNotFoundError(
            f"{table.name} has no such file.",
            hint="Read the manifest again: a newer version is served.",
        )
    lately = Q(action=ACTION, actor=by, at__gt=timezone.now() - timedelta(hours=1))
    if AuditEvent.objects.filter(lately).count() >= MOST_AN_HOUR:
        raise TooManyReportsError(f"That was report {MOST_AN_HOUR} of this hour.")
    audit.record(
        action=ACTION, resource=f"table/{table.name}", actor=by,
        after={"sha256": sha256, "found": found},
    )  # fmt: skip
    known = f"stored-file-checked-{sha256}"
    if not cache.add(known, 1, _FRESH_SECONDS):
        return False

    def send() -> None:
        try:
            current_app.send_task(_TASK, kwargs={"sha256": sha256}, queue="upkeep")
        except QUEUE_ERRORS:
            # The next report asks again; the scrub reads every file some day.
            logger.exception("The queue takes no task")
            cache.delete(known)

    transaction.on_commit(send)
    return True
