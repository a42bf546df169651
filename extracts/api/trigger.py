"""Tables extracted now, all of them or those that are named."""

from __future__ import annotations

from typing import Any

from ninja import Body, Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from agnes_site.core.errors import ConflictError, InvalidInputError
from catalog.connectors import QueryMode
from catalog.models import Table
from catalog.services import registry
from extracts.models import RunTrigger
from extracts.services import runs, scanning

router = Router(tags=["runs"])


class SyncInProgressError(ConflictError):
    """Everything that was asked for is running already."""

    code = "sync_already_in_progress"
    hint = "Follow the runs that are listed, or ask again when they are done."


class TriggerInvalidError(InvalidInputError):
    """The body is neither empty, a list of names, nor an object with `tables`."""

    code = "trigger_invalid"
    hint = 'Send nothing for all tables, or `{"tables": ["orders"]}`.'


class TriggerIn(Schema):
    """How tables are extracted."""

    full: bool = Field(False, description="Whether incremental tables are read in full.")


class TriggeredOut(Schema):
    """The runs that were asked for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "triggered",
                "tables": ["orders"],
                "message": "1 run was started.",
                "runs": [{"id": "5f1c…", "table": "orders", "state": "queued", "is_new": True}],
            }
        }
    )

    status: str
    tables: list[str]
    message: str
    runs: list[dict[str, Any]] = Field(description="id, table, state, is_new of each run.")


@router.post("/sync/trigger", response=TriggeredOut, operation_id="trigger_sync")
def trigger_sync(
    request: AuthedRequest, how: Query[TriggerIn], wanted: Body[Any] = None
) -> TriggeredOut:
    """Extract tables now: all of them, or the named ones.

    What is queued or running already is returned as it is.
    """
    tables = _tables(_names(wanted))
    asked = runs.request_runs(
        tables=tables, by=request.user, trigger=RunTrigger.API, is_full=how.full
    )
    described = [
        {"id": str(run.pk), "table": table.name, "state": run.state, "is_new": is_new}
        for table, (run, is_new) in zip(tables, asked, strict=True)
    ]
    new = sum(is_new for _, is_new in asked)
    if asked and not new:
        raise SyncInProgressError("All of this is running already.", runs=described)
    return TriggeredOut(
        status="triggered",
        tables=[table.name for table in tables],
        message=f"{new} run{' was' if new == 1 else 's were'} started.",
        runs=described,
    )


def _tables(names: list[str] | None) -> list[Table]:
    if names is None:
        scanning.scan()
        tables = Table.objects.with_copies().filter(source__is_paused=False)
        return list(tables.select_related("source"))
    # One table may be named twice, by its name and by an alias.
    found = {table.pk: table for table in map(registry.find_table, names)}
    return [table for table in found.values() if table.query_mode != QueryMode.REMOTE]


def _names(wanted: Any) -> list[str] | None:
    if isinstance(wanted, dict) and set(wanted) == {"tables"}:
        wanted = wanted["tables"]
    if wanted is None:
        return None
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise TriggerInvalidError("The body is not a list of names.")
    return list(dict.fromkeys(wanted))
