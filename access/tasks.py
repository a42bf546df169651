"""Background work of this app."""

from __future__ import annotations

from celery import shared_task

from access.services import chain


@shared_task
def seal_audit() -> None:
    """Seal the audit events written since the last time."""
    chain.seal()


@shared_task
def check_audit() -> None:
    """Look through the chain of the audit."""
    chain.check()
