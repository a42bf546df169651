"""Form fields from the pydantic schema of a connector: a plain input for what is plain.

Texts, numbers, switches, choices and lists of texts get inputs of their own; anything else is
written as JSON. The connector's own validation has the last word, at the field it concerns.

An author of a schema may say more with ``json_schema_extra``: ``{"more": True}`` for what few
need, ``{"group": "TLS"}`` for what stands together, ``{"long": True}`` for texts of several
lines, ``{"shown_when": {"mode": ["fast"]}}`` for what has a meaning with another setting only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from pydantic import BaseModel, ValidationError
from pydantic_core import to_jsonable_python

from catalog.admin.settings import (
    PREFIX,
    Setting,
    form_name,
    gathered,
    settings_in,
    value_at,
)
from catalog.admin.settings_fields import Json, Lines, default_of, field_of, is_empty_allowed

__all__ = ["PREFIX", "Json", "Lines", "check", "fieldsets", "form_fields", "names"]

MORE = "More options"


def form_fields(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, forms.Field]:
    """Return a form field for each setting of ``schema``, filled from ``values``."""
    found = {}
    for setting in settings_in(schema):
        made = field_of(setting, value_at(schema, values, setting.path))
        if setting.only_if is not None:
            name, wanted = setting.only_if
            made.widget.attrs["data-only-if"] = json.dumps({"name": name, "values": wanted})
        found[setting.form_name] = made
    return found


def check(form: forms.BaseForm, schema: type[BaseModel]) -> dict[str, Any]:
    """Return the settings as ``schema`` takes them, with its complaints put at their fields."""
    values = _given(form, schema)
    try:
        checked = schema.model_validate(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            field = _field_of(problem, form)
            if not (field and form.has_error(field)):
                form.add_error(field, _said(problem))
        return values
    return checked.model_dump(mode="json", exclude_unset=True)


def names(schema: type[BaseModel]) -> list[str]:
    """Return the names of the form fields of ``schema``, in its order."""
    return [setting.form_name for setting in settings_in(schema)]


def fieldsets(schema: type[BaseModel], title: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the fields of ``schema`` under their headings; what few need is folded away."""
    groups: dict[str, list[str]] = {}
    folded: set[str] = set()
    for setting in settings_in(schema):
        is_more = bool(setting.hints.get("more"))
        group = str(setting.hints.get("group") or (MORE if is_more else title))
        groups.setdefault(group, []).append(setting.form_name)
        folded |= {group} if is_more else set()
    return [
        (group, {"fields": fields, "classes": ["collapse"] if group in folded else []})
        for group, fields in groups.items()
    ]


def _field_of(problem: Mapping[str, Any], form: forms.BaseForm) -> str | None:
    """Return the form field that a complaint is about: the deepest that there is."""
    path = tuple(str(part) for part in problem["loc"])
    while path:
        if form_name(path) in form.fields:
            return form_name(path)
        path = path[:-1]
    return None


def _said(problem: Mapping[str, Any]) -> str:
    """Return what is wrong as the schema's author wrote it, without the name of the exception."""
    raised = problem.get("ctx", {}).get("error")
    text = str(raised or problem["msg"])
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _given(form: forms.BaseForm, schema: type[BaseModel]) -> dict[str, Any]:
    found = {}
    for setting in settings_in(schema):
        value = form.cleaned_data.get(setting.form_name)
        is_typed = setting.form_name in form.data
        if setting.variants or _is_given(setting, value, is_typed=is_typed):
            found[setting.path] = value
    return gathered(schema, found)


def _is_given(setting: Setting, value: Any, *, is_typed: bool) -> bool:
    """Say whether a value is worth keeping: it is one, and not the default."""
    if value == "" and is_empty_allowed(setting.info):
        return is_typed and bool(default_of(setting.info) != "")
    if value in (None, "", []):
        return False
    return setting.info.is_required() or value != to_jsonable_python(default_of(setting.info))
