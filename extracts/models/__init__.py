"""The work: runs, questions to sources, and leases on what is neither."""

from extracts.models.lease import Lease
from extracts.models.question import Question, QuestionKind, QuestionState
from extracts.models.remote import RemoteCatalog
from extracts.models.run import (
    LOG_LIMIT,
    OPEN_STATES,
    Run,
    RunKind,
    RunOutcome,
    RunQuerySet,
    RunState,
    RunTrigger,
)
from extracts.models.scrub import ScrubRound

__all__ = [
    "LOG_LIMIT",
    "OPEN_STATES",
    "Lease",
    "Question",
    "QuestionKind",
    "QuestionState",
    "RemoteCatalog",
    "Run",
    "RunKind",
    "RunOutcome",
    "RunQuerySet",
    "RunState",
    "RunTrigger",
    "ScrubRound",
]
