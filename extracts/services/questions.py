"""Questions to sources that a person waits for: asked, followed, cancelled, forgotten.

The work is done by a thread of this process, and above all by the child process that it starts;
the row is where every process of the server sees how far it is. Settings and secrets stay in
memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connections
from django.db.models import Q
from django.utils import timezone

from access.models import User
from agnes_site.core.errors import AgnesError, LimitExceededError, NotFoundError
from catalog.models import Source
from extracts.engine.process import ChildStoppedError
from extracts.models import Question, QuestionKind, QuestionState
from extracts.services.probing import PATIENCE_SECONDS, Asker

Work = Callable[[Asker], Any]

KEPT = timedelta(days=1)
# Registering thousands of tables takes longer than any one question to a source.
_LONGEST = timedelta(minutes=15)
_AT_ONCE = 4
_SHOWN_EVERY_SECONDS = 0.5
_places = threading.BoundedSemaphore(_AT_ONCE)
logger = structlog.get_logger(__name__)


class QuestionNotFoundError(NotFoundError):
    """There is no such question any more."""

    code = "question_not_found"
    hint = "Answers are kept for a day: ask the source again."


class TooManyQuestionsError(LimitExceededError):
    """The server asks as many sources as it can at this moment."""

    code = "too_many_questions"
    hint = "Try again in a moment, or cancel a question that is no longer needed."


class AnswerMissingError(AgnesError):
    """The server was restarted while it waited for the answer."""

    code = "answer_missing"
    status = 502
    hint = "Ask again."


def ask(
    *, kind: QuestionKind, work: Work, by: User | None, source: Source | None = None
) -> Question:
    """Start to find out something and return at once; the answer arrives in the row.

    Raises:
        TooManyQuestionsError: enough questions are open in this process.
    """
    if not _places.acquire(blocking=False):
        raise TooManyQuestionsError(f"The server is asking {_AT_ONCE} sources already.")
    try:
        saved = source if source is not None and not source._state.adding else None
        question = Question.objects.create(kind=kind, source=saved, asked_by=by)
    except BaseException:
        _places.release()
        raise
    if settings.QUESTIONS_ARE_ANSWERED_AT_ONCE:
        _answer(question.pk, work)
        question.refresh_from_db()
    else:
        try:
            threading.Thread(target=_in_thread, args=(question.pk, work), daemon=True).start()
        except RuntimeError:  # the process may have no more threads
            _places.release()
            question.delete()
            raise
    return question


def find(question_id: UUID, *, by: User | None) -> Question:
    """Return a question that ``by`` has asked.

    Raises:
        QuestionNotFoundError: there is none, or somebody else has asked it.
    """
    question = Question.objects.select_related("source").filter(pk=question_id, asked_by=by).first()
    if question is None:
        raise QuestionNotFoundError(f"There is no question {question_id}.")
    if question.is_open and question.asked_at < timezone.now() - _patience(question):
        lost = AnswerMissingError("The answer never arrived.")
        _end(question.pk, QuestionState.FAILED, error=_as_json(lost))
        question.refresh_from_db()
    return question


def wait(question: Question, *, seconds: float) -> Question:
    """Wait until a question is answered, at most so long, and return it as it is then."""
    ends = time.monotonic() + seconds
    while question.is_open and time.monotonic() < ends:
        time.sleep(0.2)
        question = find(question.pk, by=question.asked_by)
    return question


def cancel(question: Question) -> Question:
    """Stop asking; the child process that waits for the source ends within a second."""
    _end(question.pk, QuestionState.CANCELLED)
    question.refresh_from_db()
    return question


def forget_old() -> None:
    """Remove the questions of yesterday."""
    Question.objects.filter(asked_at__lt=timezone.now() - KEPT).delete()


def _patience(question: Question) -> timedelta:
    if question.kind == QuestionKind.REGISTER:
        return _LONGEST
    return timedelta(seconds=3 * PATIENCE_SECONDS)


def _in_thread(question_id: UUID, work: Work) -> None:
    try:
        _answer(question_id, work)
    finally:
        connections.close_all()


def _answer(question_id: UUID, work: Work) -> None:
    try:
        found = work(_asker(question_id))
    except ChildStoppedError:
        _end(question_id, QuestionState.CANCELLED)
    except AgnesError as error:
        _end(question_id, QuestionState.FAILED, error=_as_json(error))
    except Exception:
        logger.exception("A question to a source failed unexpectedly", question=str(question_id))
        unforeseen = AgnesError(
            "The server could not do this.", hint="The log of the server has the details."
        )
        _end(question_id, QuestionState.FAILED, error=_as_json(unforeseen))
    else:
        _end(question_id, QuestionState.ANSWERED, answer=found)
    finally:
        _places.release()


def _asker(question_id: UUID) -> Asker:
    mine = Question.objects.filter(pk=question_id, state=QuestionState.ASKING)
    shown_at = 0.0

    def show(phase: str, *, done: int = 0, total: int | None = None, message: str = "") -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= _SHOWN_EVERY_SECONDS:
            shown_at = time.monotonic()
            count = f" ({done:,} of {total:,})" if total else ""
            mine.update(message=f"{message or phase}{count}"[:500])

    return Asker(progress=show, should_stop=lambda: not mine.exists())


def _end(question_id: UUID, state: QuestionState, **fields: Any) -> None:
    open_still = Q(pk=question_id, state=QuestionState.ASKING)
    Question.objects.filter(open_still).update(state=state, message="", **fields)


def _as_json(error: AgnesError) -> dict[str, Any]:
    return {
        "code": error.code, "message": error.message, "hint": error.hint, "status": error.status
    }  # fmt: skip
