"""The form of a source: its names, the settings and secrets of its connector, when it runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest
from unfold import widgets

from catalog import connectors
from catalog.admin import secret_fields, settings_form
from catalog.connectors import Connector
from catalog.models import Source
from catalog.services import secrets

UNASKED = (
    "Tables come from this source, and with new settings it may no longer have them. Let the "
    "source be asked, or save without asking it."
)


class SourceForm(forms.ModelForm[Source]):
    """A source with the settings of its connector as fields of their own."""

    connector: Connector
    is_sure = forms.BooleanField(
        label="Save without asking the source",
        help_text="Its tables stay registered; what it no longer has fails at the next run.",
        required=False,
        widget=widgets.UnfoldBooleanSwitchWidget(),
    )

    class Meta:
        model = Source
        fields = ("slug", "display_name", "schedule", "is_paused", "concurrency")

    def clean_slug(self) -> str:
        """Refuse a name that is taken, in whatever case, where it is typed."""
        slug = str(self.cleaned_data["slug"])
        if self.instance._state.adding and Source.objects.filter(slug__iexact=slug).exists():
            raise forms.ValidationError("There is a source with this name already.")
        return slug

    def clean(self) -> dict[str, Any]:
        """Let the connector judge its settings, and nobody lose tables unasked."""
        cleaned: dict[str, Any] = super().clean() or {}
        self.settings = settings_form.check(self, self.connector.config_schema)
        if self.puts_tables_at_stake() and not cleaned.get("is_sure"):
            self.add_error("is_sure", UNASKED)
        return cleaned

    def puts_tables_at_stake(self) -> bool:
        """Say whether tables come from the source and its settings are others than before."""
        source = self.instance
        if source._state.adding or not source.tables.exists():
            return False
        return bool(self.settings != source.config)

    def draft(self) -> Source:
        """Return the source as it was typed, without saving it."""
        source = Source(
            slug=self.cleaned_data.get("slug") or self.instance.slug or "new",
            source_type=self.connector.source_type,
            config=self.settings,
        )
        if not self.instance._state.adding:
            source.pk = self.instance.pk  # its kept secrets are found by it
        return source


def connector_of(request: HttpRequest, obj: Source | None) -> Connector:
    """Return the connector of a source, or of the one that is being added."""
    return connectors.get(obj.source_type if obj else request.GET.get("source_type", "files"))


def form_for(connector: Connector, obj: Source | None) -> type[SourceForm]:
    """Return the form of the sources of a connector, filled from ``obj``."""
    fields = settings_form.form_fields(connector.config_schema, obj.config if obj else {})
    kept = secrets.kept_secrets(obj) if obj else {}
    fields |= secret_fields.form_fields(connector, kept)
    return type("SourceForm", (SourceForm,), {**fields, "connector": connector})


def fieldsets_for(connector: Connector, obj: Source | None) -> list[Any]:
    """Return names, the settings of the connector, and when it runs."""
    names = ("display_name",) if obj else ("slug", "display_name")
    settings = settings_form.fieldsets(connector.config_schema, connector.display_name)
    settings = _with_secrets(settings, connector, obj)
    sure = [(None, {"fields": ("is_sure",), "classes": ["ag-is-sure"]})] if obj else []
    return [
        (None, {"fields": names}),
        *settings,
        *sure,
        ("When", {
            "fields": ("schedule", "is_paused", "concurrency"),
            "classes": [] if obj else ["collapse"],
        }),
    ]  # fmt: skip


def _with_secrets(
    settings: list[tuple[str, dict[str, Any]]], connector: Connector, obj: Source | None
) -> list[tuple[str, dict[str, Any]]]:
    """Put secrets among the settings: the one of a connector that has one, or those it needs."""
    hidden = secret_fields.names(connector)
    needed = [
        name
        for name, field in zip(hidden, connector.secret_fields.values(), strict=True)
        if field.is_required or len(hidden) == 1
    ]
    found = settings or [(connector.display_name, {"fields": [], "classes": []})]
    found[0][1]["fields"] += needed
    others = [name for name in hidden if name not in needed]
    if others:
        has_some = obj is not None and obj.secrets.exists()
        classes = [] if has_some else ["collapse"]
        found.append(("Passwords and keys", {"fields": others, "classes": classes}))
    return found if hidden else settings


def problems(form: SourceForm) -> dict[str, list[str]]:
    """Return what is wrong with the settings and secrets of a form, and with nothing else."""
    ours = (settings_form.PREFIX, secret_fields.PREFIX)
    return {
        name: [str(each) for each in errors]
        for name, errors in form.errors.items()
        if name.startswith(ours) or name == NON_FIELD_ERRORS
    }
