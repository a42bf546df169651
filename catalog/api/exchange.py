"""Export and import of the registry, groups and grants, for administrators."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse
from ninja import File, Query, Router, Schema
from ninja.files import UploadedFile
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from catalog.services import exchange
from catalog.services.exchange import Change, Format, Plan

admin_router = Router(tags=["registry"])

KindName = Literal["", "sources", "folders", "groups", "tables", "grants"]
_TYPES = {Format.YAML: "application/yaml", Format.CSV: "text/csv"}
_SHOWN = 1000


class ExportOptions(Schema):
    """What is exported, and how."""

    format: Format = Field(Format.YAML, description="CSV lists one kind of thing.")
    kind: KindName = Field("", description="Only things of this kind; all if empty.")


class ImportOptions(Schema):
    """How a document is imported."""

    kind: KindName = Field("", description="What a CSV file lists, if its name does not say.")
    dry_run: bool = Field(False, description="Try it and show the plan; change nothing.")
    exactly: bool = Field(
        False, description="Remove what the document does not name, of the kinds it lists."
    )
    plan: str = Field("", description="Import only if the plan is still the one with this id.")


class ChangeOut(Schema):
    """What happens to one object; only the fields that change are shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "tables", "name": "orders", "action": "change", "line": 7,
                "before": {"description": ""}, "after": {"description": "One row an order."},
            }
        }
    )  # fmt: skip

    kind: str
    name: str
    action: str = Field(description="add, change or remove.")
    before: dict[str, Any]
    after: dict[str, Any]
    line: int | None = Field(description="Where the document says so.")


class PlanOut(Schema):
    """What an import changes, or has changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "plan": "9b2f1c0d5a7e4f3b8c6d1e2f3a4b5c6d", "applied": False,
                "added": 0, "changed": 1, "removed": 0, "unchanged": 12, "problems": [],
                "changes": [
                    {
                        "kind": "tables", "name": "orders", "action": "change", "line": 7,
                        "before": {"description": ""},
                        "after": {"description": "One row an order."},
                    }
                ],
            }
        }
    )  # fmt: skip

    plan: str = Field(description="Id of the plan: the same only for the very same changes.")
    applied: bool
    added: int
    changed: int
    removed: int
    unchanged: int
    problems: list[str] = Field(description="What has to be mended first, with its line.")
    changes: list[ChangeOut] = Field(description="The first thousand.")


@admin_router.get("/export", operation_id="export_registry", response={200: Any})
def export_registry(request: AuthedRequest, options: Query[ExportOptions]) -> HttpResponse:
    """Download the registry, groups and grants as a document; secrets are not in it."""
    text = exchange.write(as_format=options.format, kind=options.kind)
    name = f"{options.kind or 'agnes'}.{options.format}"
    return HttpResponse(
        text,
        content_type=f"{_TYPES[options.format]}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@admin_router.post("/import", operation_id="import_registry", response=PlanOut)
def import_registry(
    request: AuthedRequest, options: Query[ImportOptions], file: File[UploadedFile]
) -> PlanOut:
    """Import a document in one transaction, or show what it would change."""
    file.seek(0)  # the framework has looked into it
    content = file.read(exchange.SIZE_LIMIT + 1)
    document = exchange.read(content, file_name=file.name or "", kind=options.kind)
    if options.dry_run:
        found = exchange.make(document, exactly=options.exactly, by=request.user)
        return _shown(found, applied=False)
    done = exchange.apply(
        document, exactly=options.exactly, expected=options.plan or None, by=request.user
    )
    return _shown(done, applied=True)


def _shown(plan: Plan, *, applied: bool) -> PlanOut:
    counts = plan.counted()
    return PlanOut(
        plan=plan.fingerprint,
        applied=applied,
        added=counts[exchange.Action.ADD],
        changed=counts[exchange.Action.CHANGE],
        removed=counts[exchange.Action.REMOVE],
        unchanged=plan.unchanged,
        problems=[str(problem) for problem in plan.problems],
        changes=[_change(change) for change in plan.changes[:_SHOWN]],
    )


def _change(change: Change) -> ChangeOut:
    return ChangeOut(
        kind=change.kind, name=change.said.partition(" ")[2], action=change.action,
        before=change.before, after=change.after, line=change.line,
    )  # fmt: skip
