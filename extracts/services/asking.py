"""The questions that a source can be asked, each started with one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from access.models import User
from agnes_site.core.errors import ConflictError
from catalog.models import Source
from catalog.services.secrets import NewSecret
from extracts.models import Question, QuestionKind, QuestionState, RunTrigger
from extracts.services import changing, offering, probing, questions
from extracts.services.offering import Offer, Wishes
from extracts.services.probing import Asker, Upstream

Given = Mapping[str, NewSecret] | None


class QuestionUnansweredError(ConflictError):
    """The source has not said yet what it offers, or could not."""

    code = "question_unanswered"
    hint = "Wait for the answer of the question, or ask again."


def ask_test(*, source: Source, by: User | None, given: Given = None) -> Question:
    """Ask whether a source, saved or not, can be reached; the answer is a sentence."""

    def work(asker: Asker) -> Any:
        return {"message": probing.try_connection(Upstream.of(source, given), asker=asker)}

    return questions.ask(kind=QuestionKind.TEST, work=work, by=by, source=source)


def ask_offers(*, source: Source, by: User | None) -> Question:
    """Ask what a source offers; :func:`offers_of` reads the answer."""

    def work(asker: Asker) -> Any:
        return {"specs": probing.discover(Upstream.of(source), asker=asker)}

    return questions.ask(kind=QuestionKind.DISCOVER, work=work, by=by, source=source)


def offers_of(question: Question, *, about: Source) -> list[Offer]:
    """Return what the source ``about`` offered, and what of it is registered by now.

    Raises:
        QuestionNotFoundError: this was not asked, or not of this source.
        QuestionUnansweredError: there is no answer.
    """
    if question.source_id != about.pk or question.kind != QuestionKind.DISCOVER:
        raise questions.QuestionNotFoundError(f"This is not what {about} was asked to offer.")
    if question.state != QuestionState.ANSWERED or question.answer is None:
        raise QuestionUnansweredError(f"It is not known what {about} offers.")
    return offering.offers(about, question.answer["specs"])


def ask_preview(*, source: Source, by: User | None, table: Mapping[str, Any]) -> Question:
    """Ask for the first rows of a table, registered or not."""
    told = {**_UNKNOWN_TABLE, **table}

    def work(asker: Asker) -> Any:
        return probing.preview(Upstream.of(source), told, asker=asker)

    return questions.ask(kind=QuestionKind.PREVIEW, work=work, by=by, source=source)


def ask_impact(
    *, source: Source, config: Mapping[str, Any], by: User | None, given: Given = None
) -> Question:
    """Ask which registered tables a source would no longer have with new settings."""

    def work(asker: Asker) -> Any:
        found = changing.impact(source=source, config=config, given=given, asker=asker)
        return found.as_json()

    return questions.ask(kind=QuestionKind.CHANGE, work=work, by=by, source=source)


def register(
    *,
    source: Source,
    chosen: Sequence[tuple[Offer, str]],
    wishes: Wishes,
    by: User | None,
    trigger: RunTrigger = RunTrigger.MANUAL,
) -> Question:
    """Register tables while somebody watches; the answer says what became of each."""

    def work(asker: Asker) -> Any:
        outcome = offering.register(
            source=source, chosen=chosen, wishes=wishes, by=by, trigger=trigger, asker=asker
        )
        return outcome.as_json()

    return questions.ask(kind=QuestionKind.REGISTER, work=work, by=by, source=source)


_UNKNOWN_TABLE: dict[str, Any] = {
    "name": "preview", "bucket": "", "source_table": "", "source_query": "", "primary_key": [],
    "incremental_column": "", "incremental_window_days": None, "max_history_days": None,
    "options": {}, "known_columns": [],
}  # fmt: skip
