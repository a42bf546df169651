"""What a source is asked while somebody waits: does it answer, what does it offer."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from ninja import Query, Router, Schema
from pydantic import ConfigDict, Field

from access.auth import AuthedRequest
from catalog import connectors
from catalog.connectors import QueryMode
from catalog.models import Source
from catalog.services.sources import checked_settings, find_source
from extracts.api.sources import SecretsIn, given
from extracts.engine.process import ChildFailedError
from extracts.models import Question, QuestionKind, QuestionState, RunTrigger
from extracts.services import asking, offering, probing, questions
from extracts.services.offering import Offer, Wishes

router = Router(tags=["sources"])

_SECRETS: Any = Field(default_factory=dict, description="As for a new source; kept ones stay.")


class WaitIn(Schema):
    """How long to wait for the answer."""

    wait: float = Field(
        probing.PATIENCE_SECONDS, ge=0, le=probing.PATIENCE_SECONDS,
        description="Seconds; 0 answers at once, and `/questions/{id}` tells how far it is.",
    )  # fmt: skip


class DraftIn(Schema):
    """A source as it would be."""

    model_config = ConfigDict(extra="forbid")

    source_type: str = Field(description="Which connector serves it.")
    config: dict[str, Any] = Field(default_factory=dict, description="Settings of the connector.")
    secrets: SecretsIn = _SECRETS


class ChangeIn(Schema):
    """Settings and secrets as they would be."""

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any] | None = Field(None, description="Whole; those in force if left out.")
    secrets: SecretsIn = _SECRETS


class PreviewIn(Schema):
    """A table at the source, as `discover` names it."""

    model_config = ConfigDict(extra="forbid")

    bucket: str = Field("", description="Schema, dataset or bucket.")
    source_table: str = Field(description="Name, file or pattern.")
    options: dict[str, Any] = Field(default_factory=dict, description="Settings of the connector.")


class RegisterTablesIn(Schema):
    """Which of the offered tables to register, and what holds for all of them."""

    model_config = ConfigDict(extra="forbid")

    tables: list[str] | dict[str, str] | None = Field(
        None,
        description="Their ids or proposed names; or an object from these to the names that they "
        "are to have; everything that is not registered if left out.",
    )
    question: UUID | None = Field(
        None, description="The answer of `discover` to choose from; asked anew if left out."
    )
    query_mode: Literal["local", "remote"] = Field(
        "local",
        description="`remote`: their rows stay at the source, where it is a database.",
    )
    folder: str = Field("", description="Grouping; made when there is none of that name.")
    sync_schedule: str = Field("", description="`every 6h`, `daily 07:00` (UTC).")
    group: str = Field("", description="Name of the group that may read them.")
    extract: bool = Field(True, description="Whether to bring the rows of local ones at once.")


class QuestionOut(Schema):
    """Something that a source was asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "5f1c8a52-3d3e-4f6e-9a58-0f6b2f0f7c10", "kind": "test",
                "state": "answered", "source": "shop", "message": "",
                "answer": {"message": "The folder can be read; it holds 3 files."},
                "error": None,
            }
        }
    )  # fmt: skip

    id: UUID
    kind: str = Field(description="test, discover, preview, change or register.")
    state: str = Field(description="asking, answered, failed or cancelled.")
    source: str | None
    message: str = Field(description="How far it is.")
    answer: dict[str, Any] | None = Field(
        description="test: `message`; discover: `tables`; preview: `columns` and `rows`; change: "
        "`lost`, `kept` and `unknown`; register: `registered` and `refused`."
    )
    error: dict[str, Any] | None = Field(description="code, message and hint of a failure.")


@router.post("/sources/test", response=QuestionOut, operation_id="test_new_source")
def try_new_source(request: AuthedRequest, data: DraftIn, how: Query[WaitIn]) -> dict[str, Any]:
    """Test a connection before it is saved, with settings and secrets as given."""
    connector = connectors.get(data.source_type)
    source = Source(
        slug="new", source_type=connector.source_type,
        config=checked_settings(connector.config_schema, data.config),
    )  # fmt: skip
    asked = asking.ask_test(source=source, given=given(data.secrets), by=request.user)
    return _answered(asked, how)


@router.post("/sources/{name}/test", response=QuestionOut, operation_id="test_source")
def try_source(
    request: AuthedRequest, name: str, how: Query[WaitIn], data: ChangeIn | None = None
) -> dict[str, Any]:
    """Test the connection of a source, with other settings or secrets where they are given."""
    changed = _changed(find_source(name), data)
    secrets = given(data.secrets) if data else {}
    return _answered(asking.ask_test(source=changed, given=secrets, by=request.user), how)


@router.post("/sources/{name}/impact", response=QuestionOut, operation_id="ask_impact")
def ask_impact(
    request: AuthedRequest, name: str, data: ChangeIn, how: Query[WaitIn]
) -> dict[str, Any]:
    """Say which registered tables a source would no longer have with other settings."""
    source = find_source(name)
    config = _changed(source, data).config
    asked = asking.ask_impact(
        source=source, config=config, given=given(data.secrets), by=request.user
    )
    return _answered(asked, how)


@router.post("/sources/{name}/discover", response=QuestionOut, operation_id="discover_tables")
def discover_tables(request: AuthedRequest, name: str, how: Query[WaitIn]) -> dict[str, Any]:
    """List the tables that a source offers, and which of them are registered."""
    return _answered(asking.ask_offers(source=find_source(name), by=request.user), how)


@router.post("/sources/{name}/preview", response=QuestionOut, operation_id="preview_table")
def preview_table(
    request: AuthedRequest, name: str, data: PreviewIn, how: Query[WaitIn]
) -> dict[str, Any]:
    """Return the first rows of a table as they would be extracted, registered or not."""
    asked = asking.ask_preview(source=find_source(name), table=data.model_dump(), by=request.user)
    return _answered(asked, how)


@router.post("/sources/{name}/register", response=QuestionOut, operation_id="register_tables")
def register_tables(
    request: AuthedRequest, name: str, data: RegisterTablesIn, how: Query[WaitIn]
) -> dict[str, Any]:
    """Register several of the tables that a source offers; each is registered or refused by
    itself. They have no readers but those of `group`."""
    source = find_source(name)
    asked = asking.register(
        source=source, by=request.user,
        chosen=offering.choose(_offers(request, source, data.question), _names(data.tables)),
        wishes=Wishes(
            fields={
                "folder": data.folder, "sync_schedule": data.sync_schedule,
                "query_mode": QueryMode(data.query_mode),
            },
            group=offering.find_readers(data.group), extract=data.extract,
        ),
        trigger=RunTrigger.API,
    )  # fmt: skip
    return _answered(asked, how)


@router.get("/questions/{question_id}", response=QuestionOut, operation_id="get_question")
def get_question(request: AuthedRequest, question_id: UUID) -> dict[str, Any]:
    """Say how far a question is that the caller has asked."""
    return _shown(questions.find(question_id, by=request.user))


@router.delete("/questions/{question_id}", response=QuestionOut, operation_id="cancel_question")
def cancel_question(request: AuthedRequest, question_id: UUID) -> dict[str, Any]:
    """Stop asking."""
    return _shown(questions.cancel(questions.find(question_id, by=request.user)))


def _offers(request: AuthedRequest, source: Source, question_id: UUID | None) -> list[Offer]:
    if question_id is None:
        return offering.ask_offers(source)
    question = questions.find(question_id, by=request.user)
    return asking.offers_of(question, about=source)


def _answered(question: Question, how: WaitIn) -> dict[str, Any]:
    """Return a question after waiting for its answer; what went wrong is the caller's error."""
    if how.wait:
        question = questions.wait(question, seconds=how.wait)
        if question.state == QuestionState.FAILED:
            raise ChildFailedError({**(question.error or {}), "details": {}})
    return _shown(question)


def _shown(question: Question) -> dict[str, Any]:
    answer = question.answer
    if question.kind == QuestionKind.DISCOVER and answer is not None and question.source:
        found = asking.offers_of(question, about=question.source)
        answer = {"tables": [_offer(each) for each in found]}
    return {
        "id": question.pk, "kind": question.kind, "state": question.state,
        "source": question.source.slug if question.source else None,
        "message": question.message, "answer": answer, "error": question.error,
    }  # fmt: skip


def _offer(offer: Offer) -> dict[str, Any]:
    spec = dict(offer.spec)
    return {
        **spec,
        "columns": [{"name": each["name"], "type": each["type"]} for each in spec["columns"]],
        "name": offer.proposed_name,
        "registered_as": offer.registered_as or None,
        "taken_name": spec["name"] if offer.name_is_taken else None,
    }


def _changed(source: Source, data: ChangeIn | None) -> Source:
    if data is not None and data.config is not None:
        schema = connectors.get(source.source_type).config_schema
        source.config = checked_settings(schema, data.config)
    return source


def _names(wanted: list[str] | dict[str, str] | None) -> dict[str, str] | None:
    return dict.fromkeys(wanted, "") if isinstance(wanted, list) else wanted
