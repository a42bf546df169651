"""Background work: thin tasks, each a call of one service. All are safe to call twice."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task
from celery.contrib.django.task import DjangoTask
from django.conf import settings
from django.utils import timezone

from agnes_site.core.failpoints import failpoint
from catalog.services import retention
from extracts.services import (
    damage,
    extraction,
    leases,
    questions,
    regeneration,
    rejected,
    remote,
    runs,
    scanning,
    scheduling,
)
from extracts.services import (
    scrub as scrubs,
)


@shared_task(base=DjangoTask)
def execute_run(run_id: str) -> None:
    """Claim a run, what can be done with it, and do them; leave alone what is not to be done."""
    try:
        run = runs.claim(UUID(run_id), worker=runs.worker_name())
    except runs.RunNotClaimedError:
        return
    along = runs.claim_along(run)
    failpoint("run.claimed")
    extraction.execute(run, *along)


@shared_task(base=DjangoTask)
def sweep() -> None:
    """Ring for runs without a worker and for sources whose faces are behind."""
    runs.sweep()
    regeneration.request_behind()
    for source in remote.due(now=timezone.now()):
        regeneration.request(source)
    extraction.sweep_staging()


@shared_task(base=DjangoTask)
def start_due() -> None:
    """Start what is due by its schedule."""
    scheduling.start_due(now=timezone.now())


@shared_task(base=DjangoTask)
def scan() -> None:
    """Look for extract folders of other producers."""
    scanning.scan()


@shared_task(base=DjangoTask)
def collect_garbage() -> None:
    """Forget old versions and questions, and remove the files that nothing names any more."""
    questions.forget_old()
    config = settings.CONFIG
    try:
        with leases.lease("garbage") as held:
            retention.thin_out_all(kept=config.kept_versions)
            held.check("garbage")
            retention.collect_garbage(
                store=settings.LAYOUT.store, older_than_seconds=config.kept_file_seconds
            )
            held.check("garbage")
            rejected.sweep()
    except leases.LeaseTakenError:
        return


@shared_task(base=DjangoTask)
def scrub() -> None:
    """Read some of the stored files and act on what is damaged."""
    try:
        with leases.lease("scrub"):
            scrubs.go_on(now=timezone.now(), most_bytes=settings.CONFIG.scrub_bytes)
    except leases.LeaseTakenError:
        return


@shared_task(base=DjangoTask)
def check_stored_file(sha256: str) -> None:
    """Read one stored file and act if it is damaged."""
    damage.check(sha256)
