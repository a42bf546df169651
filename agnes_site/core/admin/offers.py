"""What pages offer: the next step of an empty list, the buttons of an object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.http import HttpResponse
from django.urls import reverse

Done = HttpResponse | None
Doer = TypeVar("Doer", bound=Callable[..., Done])


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What an empty list says: what will be here, and what to do about it."""

    text: str
    label: str = ""
    url_name: str = ""

    @property
    def url(self) -> str:
        """Where the next step is taken; empty when there is nothing to be done."""
        return reverse(self.url_name) if self.url_name else ""


@dataclass(frozen=True, kw_only=True)
class Button:
    """How something that can be done to an object is offered."""

    label: str
    icon: str = ""
    is_main: bool = False
    confirm: str = ""
    part: str = ""


def button(
    label: str, *, icon: str = "", is_main: bool = False, confirm: str = "", part: str = ""
) -> Callable[[Doer], Doer]:
    """Mark a method ``(request, obj) -> response or None`` as something a page offers.

    With ``part``, that part of the page is renewed after it instead of the page.
    """

    def mark(doer: Doer) -> Doer:
        shown = Button(label=label, icon=icon, is_main=is_main, confirm=confirm, part=part)
        doer.button = shown  # type: ignore[attr-defined]  # a function may carry attributes
        return doer

    return mark
