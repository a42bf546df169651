"""Fields by which groups and things to be granted are found by typing, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from unfold import widgets

from access.models import Grant, Group
from access.resources import Resource, known_type, registered

_FOUND = 20


class GroupSelect(AutocompleteSelect):
    """A list of groups that asks the server for what fits the typed text."""

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        """Say what is to be chosen."""
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        return attrs | {"data-placeholder": "Choose a group"}


class GroupField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at runtime
    """A group, found by typing a part of its name."""

    def __init__(self, **options: Any) -> None:
        field = Grant._meta.get_field("group")
        widget = GroupSelect(field, admin.site, attrs={"class": "unfold-admin-autocomplete"})
        super().__init__(Group.objects.all(), widget=widget, **options)
        widget.choices = self.choices


class ResourceSelect(widgets.UnfoldAdminAutocompleteWidget):  # type: ignore[misc]  # without types
    """A list that asks the server for what fits the typed text."""

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        """Say where what fits is found."""
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)
        return attrs | {
            "data-ajax--url": reverse("admin:access_grant_things"),
            "data-placeholder": "Choose what to grant",
        }

    @property
    def media(self) -> forms.Media:
        """Return the scripts and styles of a group's field, which are the same."""
        found: forms.Media = GroupField().widget.media
        return found


class ResourceField(forms.CharField):
    """Something that can be granted, as ``type:id``, found by typing a part of its name."""

    widget = ResourceSelect

    def prepare_value(self, value: Any) -> Any:
        """Show what was chosen: the list itself holds nothing else."""
        if value:
            kind, _, found = str(value).partition(":")
            self.widget.choices = [(value, f"{found} ({type_name(kind).lower()})")]
        return value

    def clean(self, value: Any) -> str:
        """Return what was chosen, if it is of a type that can be granted."""
        text = str(super().clean(value))
        if text.partition(":")[0] not in registered():
            raise forms.ValidationError("Choose something from the list.")
        return text


def things(request: HttpRequest) -> JsonResponse:
    """Return what fits the typed text, as the list wants it: types with what is found of each."""
    text = request.GET.get("term", "").replace("\0", "").strip()
    groups = []
    for key in registered():
        found = list(known_type(key).search(text, _FOUND))
        if found:
            groups.append({"text": type_name(key), "children": list(_options(key, found))})
    return JsonResponse({"results": groups, "pagination": {"more": False}})


def type_name(key: str) -> str:
    """Return the name of a resource type for people."""
    found = registered().get(key)
    return found.display_name if found else key


def _options(key: str, found: Iterable[Resource]) -> Iterable[dict[str, str]]:
    for each in found:
        shown = each.id if each.name == each.id else f"{each.id} ({each.name})"
        yield {
            "id": f"{key}:{each.id}",
            "text": f"{shown} · {each.category}" if each.category else shown,
        }
