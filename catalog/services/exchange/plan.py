"""A plan: what an import would change, tried before anybody says yes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from django.core.exceptions import ValidationError
from django.db import transaction

from access.models import User
from access.services import audit
from agnes_site.core.constraints import violations_told
from agnes_site.core.errors import AgnesError, ConflictError, InvalidInputError
from agnes_site.core.failpoints import failpoint
from catalog.services.exchange.document import Document, Entry, Problem
from catalog.services.exchange.judging import refused_queries
from catalog.services.exchange.kinds import BY_NAME, KINDS, Key, Kind, Values

_PROBLEM_LIMIT = 100


class PlanOutdatedError(ConflictError):
    """Something has changed since the plan was shown."""

    code = "import_plan_outdated"
    hint = "Look at the new plan, then import again."


class ImportRefusedError(InvalidInputError):
    """The document has problems; nothing of it was imported."""

    code = "import_refused"
    hint = "Mend what is listed and import the document again."


class Action(StrEnum):
    """What happens to an object."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one object; ``before`` and ``after`` hold only the fields that change."""

    kind: str
    key: Key
    action: Action
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)
    line: int | None = None

    @property
    def said(self) -> str:
        """The object in words."""
        return f"{self.kind[:-1]} {BY_NAME[self.kind].said(self.key)}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All changes of an import, in the order in which they are made."""

    changes: tuple[Change, ...]
    unchanged: int
    problems: tuple[Problem, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A hash over what is there and what will be: the same only for the very same plan."""
        content = [[c.kind, c.key, c.action, c.before, c.after] for c in self.changes]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def counted(self) -> Counter[Action]:
        """Return how many objects are added, changed and removed."""
        return Counter(change.action for change in self.changes)


def make(document: Document, *, exactly: bool, by: User | None) -> Plan:
    """Return what importing ``document`` changes, after trying it and taking it all back.

    With ``exactly``, objects of its kinds that it does not name are removed.
    """
    plan = _compare(document, exactly=exactly)
    problems = list(document.problems)
    if plan.changes and not problems:
        problems = _try(plan, by) or _judge(plan)
    return Plan(
        changes=plan.changes, unchanged=plan.unchanged, problems=tuple(problems[:_PROBLEM_LIMIT])
    )


def apply(document: Document, *, exactly: bool, expected: str | None, by: User | None) -> Plan:
    """Import ``document`` in one transaction, as its plan says, after asking sources about it.

    ``expected`` is the fingerprint of the plan that somebody agreed to.

    Raises:
        PlanOutdatedError: the plan is another one by now.
        ImportRefusedError: the document has problems; the first ones are in ``details``.
    """
    problems = list(document.problems) or _judge(_compare(document, exactly=exactly))
    plan = _apply(document, problems, exactly=exactly, expected=expected, by=by)
    failpoint("import.applied")
    return plan


@transaction.atomic
def _apply(
    document: Document, problems: list[Problem], *, exactly: bool, expected: str | None,
    by: User | None,
) -> Plan:  # fmt: skip
    plan = _compare(document, exactly=exactly)
    if expected is not None and plan.fingerprint != expected:
        raise PlanOutdatedError("Something has changed since this plan was shown.")
    problems = problems or _do(plan, by)
    if problems:
        raise ImportRefusedError(
            f"Nothing was imported: {problems[0]}",
            problems=[str(each) for each in problems[:_PROBLEM_LIMIT]],
        )
    if plan.changes:
        counts = {str(action): count for action, count in plan.counted().items()}
        audit.record(action="registry.import", resource="registry", actor=by, after=counts)
    return plan


def _compare(document: Document, *, exactly: bool) -> Plan:
    made: list[Change] = []
    removed: list[Change] = []
    unchanged = 0
    for kind in KINDS:
        entries = document.entries.get(kind.name)
        if entries is None:
            continue
        current = {_lowered(key): (key, values) for key, values in kind.current().items()}
        for lowered, entry in entries.items():
            change = _change(kind, entry, current.get(lowered))
            if change is None:
                unchanged += 1
            else:
                made.append(change)
        if exactly:
            gone = (current[key] for key in current.keys() - entries.keys())
            removed += [
                Change(kind=kind.name, key=key, action=Action.REMOVE, before=values)
                for key, values in sorted(gone, key=lambda pair: pair[0])
                if kind.may_go(key)
            ]
    order = [kind.name for kind in reversed(KINDS)]
    removed.sort(key=lambda change: order.index(change.kind))
    return Plan(changes=(*made, *removed), unchanged=unchanged)


def _change(kind: Kind, entry: Entry, found: tuple[Key, Values] | None) -> Change | None:
    if found is None:
        return Change(
            kind=kind.name, key=entry.key, action=Action.ADD, after=entry.values, line=entry.line
        )
    key, values = found
    names = [
        field.name
        for field in kind.fields
        if field.name in entry.values
        and not field.same(values[field.name], entry.values[field.name])
    ]
    if not names:
        return None
    return Change(
        kind=kind.name, key=key, action=Action.CHANGE, line=entry.line,
        before={name: values[name] for name in names},
        after={name: entry.values[name] for name in names},
    )  # fmt: skip


def _judge(plan: Plan) -> list[Problem]:
    """Ask sources for what only they know; it waits for them, so it is in no transaction."""
    moving = {change.key[0] for change in plan.changes if change.kind == "sources"}
    tables = {
        change.key: change
        for change in plan.changes
        if change.kind == "tables" and change.action is not Action.REMOVE
    }
    asked = {key: change.after for key, change in tables.items()}
    refused = refused_queries(asked, moving=moving)
    return [_problem(tables[key], error) for key, error in islice(refused, _PROBLEM_LIMIT)]


def _try(plan: Plan, by: User | None) -> list[Problem]:
    with transaction.atomic():
        problems = _do(plan, by)
        transaction.set_rollback(True)
    return problems


def _do(plan: Plan, by: User | None) -> list[Problem]:
    problems = []
    for change in plan.changes:
        kind = BY_NAME[change.kind]
        missing = [name for name in kind.required if not change.after.get(name)]
        if change.action is Action.ADD and missing:
            message = f"a new one needs {', '.join(missing)}."
            problems.append(Problem(message=message, line=change.line, where=change.said))
            continue
        try:
            with violations_told(), transaction.atomic():
                _step(kind, change)(by)
        except (AgnesError, ValidationError) as error:
            problems.append(_problem(change, error))
        if len(problems) >= _PROBLEM_LIMIT:
            break
    return problems


def _step(kind: Kind, change: Change) -> Callable[[User | None], None]:
    if change.action is Action.ADD:
        return lambda by: kind.add(change.key, change.after, by)
    if change.action is Action.CHANGE:
        return lambda by: kind.change(change.key, change.after, by)
    return lambda by: kind.remove(change.key, by)


def _problem(change: Change, error: AgnesError | ValidationError) -> Problem:
    if isinstance(error, AgnesError):
        message, hint = error.message, error.hint
    else:
        message, hint = " ".join(error.messages), ""
    return Problem(message=message, hint=hint, line=change.line, where=change.said)


def _lowered(key: Key) -> Key:
    return tuple(part.lower() for part in key)
