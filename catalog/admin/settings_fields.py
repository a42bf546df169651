"""The form field of one setting: which input it gets, from its type and its limits."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from django import forms
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python
from unfold import widgets

from agnes_site.core import markup
from catalog.admin.settings import Setting, plain


class Lines(forms.CharField):
    """A list of texts, one per line."""

    widget = widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """Return the lines as one text."""
        return "\n".join(value) if isinstance(value, (list, tuple)) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Say whether there are other lines than before."""
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))

    def to_python(self, value: Any) -> Any:
        """Return the lines that are not empty."""
        return [line.strip() for line in (value or "").splitlines() if line.strip()]


class Text(forms.CharField):
    """A text without the spaces around it, unless it is nothing but space, as a delimiter is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, **options)

    def to_python(self, value: Any) -> Any:
        """Return the text."""
        text = str(super().to_python(value))
        return text.strip() or text


class Json(forms.JSONField):
    """Anything, as JSON."""

    widget = widgets.UnfoldAdminTextareaWidget(attrs={"rows": 5, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Return the text as it was typed."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def default_of(info: FieldInfo) -> Any:
    """Return what holds where nothing is said; ``None`` where something has to be."""
    return None if info.is_required() else info.get_default(call_default_factory=True)


def is_empty_allowed(info: FieldInfo) -> bool:
    """Say whether an empty text is a value of its own, and not the lack of one."""
    return any("" in get_args(each) for each in (info.annotation, *get_args(info.annotation)))


def field_of(setting: Setting, value: Any) -> forms.Field:
    """Return the form field of a setting that has ``value`` now."""
    info = setting.info
    shown: dict[str, Any] = {
        "label": info.title or setting.path[-1].replace("_", " ").capitalize(),
        "help_text": markup.prose(info.description or ""),
        # What has a meaning with another setting only is asked for by the connector itself.
        "required": info.is_required() and setting.only_if is None,
    }
    if setting.variants:
        return _choice_of_variants(setting, value, shown)
    initial = to_jsonable_python(default_of(info) if value is None else value)
    kind = plain(info.annotation)
    if kind is bool:
        return _switch(info, initial, shown)
    if choices := _choices(kind):
        return _choice(info, choices, initial, shown)
    if kind in (int, float):
        return _number(info, kind, initial, shown)
    if _is_text(kind):
        return Text(**shown, initial=initial, widget=_text_input(setting, info))
    return _several(kind, initial, shown)


def _choice_of_variants(setting: Setting, value: Any, shown: dict[str, Any]) -> forms.Field:
    choices = [
        (tag, str(model.model_config.get("title") or tag.replace("_", " ").capitalize()))
        for tag, model in setting.variants.items()
    ]
    default = default_of(setting.info)
    tag = value or getattr(default, str(setting.info.discriminator), choices[0][0])
    return forms.ChoiceField(
        **shown, initial=tag, choices=choices, widget=widgets.UnfoldAdminSelectWidget()
    )


def _switch(info: FieldInfo, initial: Any, shown: dict[str, Any]) -> forms.Field:
    if info.annotation is bool:
        return forms.BooleanField(
            **{**shown, "required": False},
            initial=initial,
            widget=widgets.UnfoldBooleanSwitchWidget(),
        )
    # A switch that may also be left to the connector.
    return forms.TypedChoiceField(
        **shown,
        initial="" if initial is None else str(initial),
        choices=[("", "Automatic"), ("True", "Yes"), ("False", "No")],
        coerce=lambda text: text == "True",
        empty_value=None,
        widget=widgets.UnfoldAdminSelectWidget(),
    )


def _choice(
    info: FieldInfo, choices: list[tuple[str, str]], initial: Any, shown: dict[str, Any]
) -> forms.Field:
    has_empty = any(value == "" for value, _ in choices)
    may_be_missing = not info.is_required() and default_of(info) is None
    if may_be_missing and not has_empty:
        choices = [("", "Not given"), *choices]
    if may_be_missing or has_empty:
        shown["required"] = False
    return forms.ChoiceField(
        **shown, initial=initial, choices=choices, widget=widgets.UnfoldAdminSelectWidget()
    )


def _number(info: FieldInfo, kind: type, initial: Any, shown: dict[str, Any]) -> forms.Field:
    limits: dict[str, Any] = {}
    for limit in info.metadata:
        if isinstance(limit, annotated_types.Ge):
            limits["min_value"] = limit.ge
        elif isinstance(limit, annotated_types.Le):
            limits["max_value"] = limit.le
    made = forms.IntegerField if kind is int else forms.FloatField
    return made(**shown, **limits, initial=initial, widget=widgets.UnfoldAdminIntegerFieldWidget())


def _text_input(setting: Setting, info: FieldInfo) -> forms.Widget:
    attrs: dict[str, Any] = {"spellcheck": "false", "autocomplete": "off"}
    if info.examples:
        attrs["placeholder"] = str(info.examples[0])
    made: forms.Widget = widgets.UnfoldAdminTextInputWidget(attrs=attrs)
    if setting.hints.get("long"):
        made = widgets.UnfoldAdminTextareaWidget(attrs={**attrs, "rows": 5})
    return made


def _several(kind: Any, initial: Any, shown: dict[str, Any]) -> forms.Field:
    if _is_list_of_texts(kind):
        shown["help_text"] = markup.prose(f"{shown['help_text']} One per line.".strip())
        return Lines(**shown, initial=list(initial or ()))
    shown["help_text"] = markup.prose(f"{shown['help_text']} Written as JSON.".strip())
    text = "" if initial is None else json.dumps(initial, indent=2, ensure_ascii=False)
    return Json(**shown, initial=text)


def _choices(kind: Any) -> list[tuple[str, str]]:
    if get_origin(kind) is Literal:
        return [(str(value), str(value) or "none") for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [(str(each.value), str(each.value).replace("_", " ")) for each in kind]
    return []


def _is_text(kind: Any) -> bool:
    """Say whether a type is a text, or a choice between texts and texts that mean something."""
    if kind in (str, Path):
        return True
    if get_origin(kind) is Literal:
        return all(isinstance(each, str) for each in get_args(kind))
    inner = get_args(kind)
    if hasattr(kind, "__metadata__"):  # annotated
        return _is_text(inner[0])
    is_union = bool(inner) and get_origin(kind) not in (list, tuple, set, frozenset, dict)
    return is_union and all(each is type(None) or _is_text(each) for each in inner)


def _is_list_of_texts(kind: Any) -> bool:
    inner = [each for each in get_args(kind) if each is not Ellipsis]
    is_list = get_origin(kind) in (list, tuple, set, frozenset)
    return is_list and len(inner) == 1 and _is_text(inner[0])
