"""Form fields for the secrets of a source: typed and stored, or named; never shown again.

:func:`form_fields` makes one field for each secret of a connector, and :func:`given` returns what
was asked for in them, as the services take it. An empty field keeps what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from pydantic import SecretStr
from unfold import widgets

from agnes_site.core import markup, variables
from agnes_site.core.admin import said
from agnes_site.core.errors import AgnesError
from catalog.connectors import Connector, SecretField
from catalog.models import SourceSecret
from catalog.services import secrets
from catalog.services.secrets import FORGOTTEN, NewSecret

PREFIX = "secret_"
# No password manager is to fill in the password of a person here, or to keep this one.
_LEFT_ALONE = {
    "autocomplete": "new-password", "autocapitalize": "off", "spellcheck": "false",
    "data-1p-ignore": "", "data-lpignore": "true", "data-bwignore": "",
}  # fmt: skip


def form_fields(connector: Connector, kept: Mapping[str, SourceSecret]) -> dict[str, forms.Field]:
    """Return a form field for each secret of ``connector``; ``kept`` is what the source has."""
    return {
        PREFIX + key: SecretFormField(connector, key, wanted, kept.get(key))
        for key, wanted in connector.secret_fields.items()
    }


def names(connector: Connector) -> list[str]:
    """Return the names of the form fields of the secrets, in their order."""
    return [PREFIX + key for key in connector.secret_fields]


def given(form: forms.BaseForm, connector: Connector) -> dict[str, NewSecret]:
    """Return what a valid ``form`` says of the secrets, without those that stay as they are."""
    found = {key: form.cleaned_data.get(PREFIX + key) for key in connector.secret_fields}
    return {key: new for key, new in found.items() if new is not None}


class SecretFormField(forms.Field):
    """One secret; its value in a cleaned form is a :class:`NewSecret`, or ``None`` to keep it."""

    def __init__(
        self, connector: Connector, key: str, wanted: SecretField, kept: SourceSecret | None
    ) -> None:
        super().__init__(
            label=wanted.label,
            help_text=markup.prose(wanted.description),
            required=wanted.is_required and kept is None,
            widget=SecretInput(wanted, kept),
        )
        self._source_type = connector.source_type
        self._key, self._wanted, self._kept = key, wanted, kept

    def clean(self, value: Any) -> NewSecret | None:
        """Return what was asked for.

        Raises:
            ValidationError: it contradicts itself, is not accepted, or is missing.
        """
        new = self._asked_for(value or {})
        if new is None:
            if self._wanted.is_required and self._kept is None:
                raise ValidationError("Type it, or name the variable that holds it.")
            return None
        try:
            secrets.check(self._source_type, {self._key: new})
        except AgnesError as error:
            raise ValidationError(said(error)) from None
        return new

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Say whether anything but keeping was asked for."""
        return self._asked_for(data or {}) is not None

    def _asked_for(self, value: Mapping[str, Any]) -> NewSecret | None:
        text, name = value.get("text", ""), value.get("variable", "").strip()
        known = self._kept.env_name if self._kept else ""
        if value.get("forget"):
            return FORGOTTEN
        if text:
            # The known name stands in its input: typing a value is enough to take its place.
            return NewSecret(value=SecretStr(text), variable="" if name == known else name)
        if name == known:
            return None
        return NewSecret(variable=name) if name else FORGOTTEN


class SecretInput(forms.Widget):
    """Inputs for a secret, a variable and forgetting; what was typed is never put into the page."""

    def __init__(self, wanted: SecretField, kept: SourceSecret | None) -> None:
        super().__init__()
        self._wanted, self._kept = wanted, kept

    def use_required_attribute(self, initial: Any) -> bool:
        """Leave it to the server: one of two inputs has to be filled in, whichever it is."""
        return False

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, Any]:
        """Return what the three inputs hold."""
        return {
            "text": data.get(name) or "",
            "variable": data.get(f"{name}_variable") or "",
            "forget": bool(data.get(f"{name}_forget")),
        }

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """Say whether the form had none of the inputs."""
        return not any(each in data for each in (name, f"{name}_variable", f"{name}_forget"))

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the inputs; of what was typed before, only the name of a variable is in them."""
        known = self._kept.env_name if self._kept else ""
        variable = value.get("variable", "") if isinstance(value, Mapping) else known
        made_id = (attrs or {}).get("id") or f"id_{name}"
        typing = {**(attrs or {}), **_LEFT_ALONE, "id": made_id}
        naming = {"id": f"{made_id}_variable", "spellcheck": "false", "autocomplete": "off"}
        context = {
            "id": made_id,
            "typed": _typing(self._wanted, typing).render(name, None),
            "named": widgets.UnfoldAdminTextInputWidget(
                attrs={**naming, "placeholder": "AGNES_SOURCE_PASSWORD"}
            ).render(f"{name}_variable", variable),
            "variable": variable,
            "allowed": settings.CONFIG.secret_variables,
            "forget": widgets.UnfoldBooleanWidget().render(f"{name}_forget", False),
            "can_be_forgotten": self._kept is not None,
            **_state(self._kept),
        }
        return render_to_string("catalog/secret_input.html", context)


def _typing(wanted: SecretField, attrs: dict[str, Any]) -> forms.Widget:
    if wanted.is_multiline:
        found: forms.Widget = widgets.UnfoldAdminTextareaWidget(attrs={**attrs, "rows": 4})
    else:
        found = widgets.UnfoldAdminPasswordToggleWidget(attrs=attrs)
    return found


def _state(kept: SourceSecret | None) -> dict[str, object]:
    """Return where the secret is now, and what is wrong with it if anything is."""
    if kept is None:
        return {}
    if kept.env_name:
        return {
            "state": format_html("Read from the variable {}.", markup.code(kept.env_name)),
            "problem": _problem_of_variable(kept.env_name),
        }
    return {
        "state": format_html(
            "Stored, encrypted, {}. Leave it empty to keep it.", markup.when(kept.changed_at)
        ),
        "problem": _problem_of_key(kept),
    }


def _problem_of_variable(name: str) -> str:
    try:
        variables.value_of(name, allowed=settings.CONFIG.secret_variables)
    except AgnesError as error:
        return said(error)
    return ""


def _problem_of_key(kept: SourceSecret) -> str:
    try:
        is_readable = kept.key_id in secrets.key_ring().ids()
    except AgnesError as error:
        return said(error)
    return "" if is_readable else "It cannot be read any more: its key is gone. Type it again."
