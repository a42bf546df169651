"""Something done to many at once: first shown, one by one, then done.

An admin declares what it offers as :class:`BulkAction`; everything else is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from agnes_site.core import human
from agnes_site.core.admin.refusals import said
from agnes_site.core.constraints import violations_told
from agnes_site.core.database import as_uuid
from agnes_site.core.errors import AgnesError, LimitExceededError

MOST_AT_ONCE = 5000
SHOWN = 200


class TooManyChosenError(LimitExceededError):
    """More was chosen than is done at once."""

    code = "too_many_chosen"
    hint = "Limit the list by a filter or a search, and do it in several goes."


Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """What will happen to one of the chosen ones; of one that is left out, why."""

    row: Any
    text: str
    is_possible: bool = True
    name: str = ""

    def __str__(self) -> str:
        return self.name or str(self.row)


@dataclass(frozen=True, kw_only=True)
class BulkAction:
    """Something that can be done to several rows of a list at once.

    ``plan`` says of each row what would happen to it, looking up all of them together; ``do``
    calls the service for one. ``form`` asks for what both need. ``effect`` says in a sentence
    what all of it means. ``confirm`` is the word that the button carries.
    """

    key: str
    label: str
    confirm: str
    done: str
    plan: Callable[[Sequence[Any], Values], Iterable[Step]]
    do: Callable[[Any, Values, Any], object]
    form: type[forms.Form] | None = None
    effect: Callable[[Sequence[Any], Values], str] = lambda rows, values: ""
    is_dangerous: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    done: int
    refused: Sequence[Step]


def chosen_ids(request: HttpRequest) -> list[UUID]:
    """Return the ids that a page carries from the list to the end.

    Raises:
        TooManyChosenError: they are too many.
    """
    given = map(as_uuid, request.POST.get("chosen", "").split(","))
    return checked([each for each in given if each is not None])


def checked(ids: Sequence[UUID]) -> list[UUID]:
    """Return ``ids`` when they are not too many.

    Raises:
        TooManyChosenError: they are.
    """
    if len(ids) > MOST_AT_ONCE:
        raise TooManyChosenError(
            f"{human.number(len(ids))} were chosen; at most {human.number(MOST_AT_ONCE)} are "
            "changed at once."
        )
    return list(ids)


@transaction.atomic
def carry_out(action: BulkAction, rows: Sequence[Any], values: Values, *, by: Any) -> Outcome:
    """Do it for all for which it is possible; what a service refuses is left out."""
    refused, done = [], 0
    for step in list(action.plan(rows, values)):
        if not step.is_possible:
            refused.append(step)
            continue
        try:
            with violations_told(), transaction.atomic():
                action.do(step.row, values, by)
        except (AgnesError, ValidationError) as error:
            refused.append(replace(step, text=said(error), is_possible=False))
        else:
            done += 1
    return Outcome(done=done, refused=refused)
