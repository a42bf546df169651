"""Where the pages of the admin are, and what they say."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.http import HttpResponse
from django.urls import reverse


def page_of(obj: Model, page: str = "change") -> str:
    """Return the address of a page of an object."""
    return reverse(_name(obj, page), args=[obj.pk])


def do(obj: Model, name: str) -> str:
    """Return where the button ``name`` of an object's page calls."""
    return reverse(_name(obj, "do"), args=[obj.pk, name])


def part_of(obj: Model, name: str) -> str:
    """Return the address of a part of an object's page."""
    return reverse(_name(obj, "part"), args=[obj.pk, name])


def list_of(model: type[Model]) -> str:
    """Return the address of the list of a model."""
    return reverse(_name(model, "changelist"))


def text_of(response: HttpResponse) -> str:
    """Return what a page says, as HTML."""
    return response.content.decode()


def _name(obj: Any, page: str) -> str:
    return f"admin:{obj._meta.app_label}_{obj._meta.model_name}_{page}"
