"""Form fields from the pydantic schema of a connector: a plain input for what is plain.

Texts, numbers, switches, choices and lists of texts get inputs of their own; anything else is
written as JSON. The connector's own validation has the last word, at the field it concerns.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from django import forms
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from unfold import widgets

PREFIX = "setting_"


def form_fields(schema: type[BaseModel], values: Mapping[str, Any]) -> dict[str, forms.Field]:
    """Return a form field for each field of ``schema``, filled from ``values``."""
    return {
        PREFIX + name: _form_field(name, info, values.get(name))
        for name, info in schema.model_fields.items()
    }


def check(form: forms.BaseForm, schema: type[BaseModel]) -> dict[str, Any]:
    """Return the settings as ``schema`` takes them, with its complaints put at their fields."""
    values = _given(form.cleaned_data, schema)
    try:
        checked = schema.model_validate(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            field = PREFIX + str(problem["loc"][0]) if problem["loc"] else ""
            is_known = field in form.fields
            if not (is_known and form.has_error(field)):
                form.add_error(field if is_known else None, _said(problem))
        return values
    return checked.model_dump(mode="json", exclude_unset=True)


def _said(problem: Mapping[str, Any]) -> str:
    """Return what is wrong as the schema's author wrote it, without the name of the exception."""
    raised = problem.get("ctx", {}).get("error")
    text = str(raised or problem["msg"])
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def names(schema: type[BaseModel]) -> list[str]:
    """Return the names of the form fields of ``schema``, in its order."""
    return [PREFIX + name for name in schema.model_fields]


def _given(cleaned: Mapping[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    found = {}
    for name, info in schema.model_fields.items():
        value = cleaned.get(PREFIX + name)
        default = None if info.is_required() else to_jsonable_python(_default(info))
        if value not in (None, "", []) and (info.is_required() or value != default):
            found[name] = value
    return found


def _default(info: FieldInfo) -> Any:
    return info.get_default(call_default_factory=True)


def _form_field(name: str, info: FieldInfo, value: Any) -> forms.Field:
    default = None if info.is_required() else _default(info)
    initial = to_jsonable_python(default if value is None else value)
    shown: dict[str, Any] = {
        "label": (info.title or name.replace("_", " ")).capitalize(),
        "help_text": info.description or "",
        "required": info.is_required(),
    }
    kind = _plain(info.annotation)
    if kind is bool and info.annotation is not bool:
        return _three_ways(shown, initial)
    if kind is bool:
        return forms.BooleanField(
            **{**shown, "required": False},
            initial=initial,
            widget=widgets.UnfoldBooleanSwitchWidget(),
        )
    if choices := _choices(kind):
        return forms.ChoiceField(
            **shown, initial=initial, choices=choices, widget=widgets.UnfoldAdminSelectWidget()
        )
    if kind in (int, float):
        number = forms.IntegerField if kind is int else forms.FloatField
        return number(**shown, initial=initial, widget=widgets.UnfoldAdminTextInputWidget())
    if kind in (str, Path):
        return forms.CharField(
            **shown, initial=initial, widget=widgets.UnfoldAdminTextInputWidget()
        )
    if _is_list_of_texts(kind):
        shown["help_text"] = f"{shown['help_text']} One per line.".strip()
        return Lines(**shown, initial="\n".join(initial or ()))
    shown["help_text"] = f"{shown['help_text']} Written as JSON.".strip()
    text = "" if initial is None else json.dumps(initial, indent=2, ensure_ascii=False)
    return Json(**shown, initial=text)


def _three_ways(shown: dict[str, Any], initial: Any) -> forms.Field:
    """Return the field of a switch that may also be left to the connector."""
    return forms.TypedChoiceField(
        **shown,
        initial="" if initial is None else str(initial),
        choices=[("", "Decide by the data"), ("True", "Yes"), ("False", "No")],
        coerce=lambda text: text == "True",
        empty_value=None,
        widget=widgets.UnfoldAdminSelectWidget(),
    )


class Lines(forms.CharField):
    """A list of texts, one per line."""

    widget = widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def to_python(self, value: Any) -> Any:
        """Return the lines that are not empty."""
        return [line.strip() for line in (value or "").splitlines() if line.strip()]


class Json(forms.JSONField):
    """Anything, as JSON."""

    widget = widgets.UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Return the text as it was typed."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(annotation: Any) -> Any:
    """Return the type itself of one that may also be missing."""
    if get_origin(annotation) in (Union, UnionType):
        others = [each for each in get_args(annotation) if each is not NoneType]
        if len(others) == 1:
            return _plain(others[0])
    return annotation


def _choices(kind: Any) -> list[tuple[str, str]]:
    if get_origin(kind) is Literal:
        return [(str(value), str(value)) for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [(str(each.value), str(each.value).replace("_", " ")) for each in kind]
    return []


def _is_list_of_texts(kind: Any) -> bool:
    inner = [each for each in get_args(kind) if each is not Ellipsis]
    return get_origin(kind) in (list, tuple, set, frozenset) and inner == [str]
