"""Asking a source something while a person waits: is it reachable, what does it offer.

A source may be asked before it is saved: an unsaved ``Source`` with the settings that were
typed, and ``given`` secrets in place of the kept ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from pydantic import SecretStr

from agnes_site.core.progress import Progress, silent
from catalog import connectors
from catalog.connectors import Capability
from catalog.models import Source
from catalog.services import secrets
from catalog.services.secrets import NewSecret
from extracts.engine import process
from extracts.services.arguments import source_arguments

PATIENCE_SECONDS = 60
PREVIEW_ROWS = 50


def never() -> bool:
    """Say that nobody wants the work to stop."""
    return False


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who waits for an answer: is told how far it is, and may lose interest."""

    progress: Progress = silent
    should_stop: Callable[[], bool] = never


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A source as it is to be asked, saved or not, with the secrets that it needs."""

    arguments: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, SecretStr] = field(repr=False)

    @classmethod
    def of(cls, source: Source, given: Mapping[str, NewSecret] | None = None) -> Upstream:
        """Return ``source`` as it can be asked, with ``given`` in place of the secrets it keeps.

        Raises:
            AgnesError: a secret is missing or cannot be read.
        """
        return cls(
            arguments=source_arguments(source), secrets=secrets.secrets_with(source, given or {})
        )


def try_connection(upstream: Upstream, *, asker: Asker | None = None) -> str:
    """Try the connection and return what was found, in a sentence.

    Raises:
        AgnesError: it does not work; the message says why.
    """
    return str(_run(_job("test", upstream), asker)["message"])


def discover(
    upstream: Upstream,
    *,
    asker: Asker | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[dict[str, Any]]:
    """Return the tables that a source offers, as its connector describes them.

    Raises:
        AgnesError: the source could not be asked.
    """
    job = _job("discover", upstream, patience_seconds=patience_seconds)
    found: list[dict[str, Any]] = _run(job, asker)
    return found


def preview(
    upstream: Upstream,
    table: Mapping[str, Any],
    *,
    rows: int = PREVIEW_ROWS,
    asker: Asker | None = None,
) -> dict[str, Any]:
    """Return the columns and the first rows of a table, given as a child process is told of it.

    Raises:
        AgnesError: the table could not be read; the message says why.
    """
    found: dict[str, Any] = _run(_job("preview", upstream, table=dict(table), rows=rows), asker)
    return found


def check_query(source: Source, query: str) -> None:
    """Have a query checked by the source's engine, where its connector can.

    Raises:
        AgnesError: the engine refuses it, or could not be asked.
    """
    connector = connectors.get(source.source_type)
    if Capability.CHECK_QUERY in connector.capabilities:
        _run(_job("check_query", Upstream.of(source), query=query), None)


def _job(
    function: str,
    upstream: Upstream,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    **arguments: Any,
) -> process.Job:
    return process.Job(
        function=f"extracts.connectors.work:{function}",
        arguments={**upstream.arguments, **arguments},
        secrets=upstream.secrets,
        memory_bytes=settings.CONFIG.run_memory_bytes,
        timeout_seconds=patience_seconds,
    )


def _run(job: process.Job, asker: Asker | None) -> Any:
    asker = asker or Asker()
    return process.run(job, progress=asker.progress, should_stop=asker.should_stop)
