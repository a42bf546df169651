"""The form of a table: what people say of it, where it comes from, how it is kept up."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold import widgets

from catalog import connectors
from catalog.admin import settings_form
from catalog.admin.settings_fields import Lines
from catalog.connectors import DriftPolicy
from catalog.models import Table

ABOUT = ("display_name", "description", "owner", "folder", "server_only")
ORIGIN = ("source_table", "bucket", "query_mode", "source_query", "primary_key")
LINES = {"description": 3, "source_query": 8}
INCREMENTAL = (
    "sync_strategy", "incremental_column", "incremental_window_days", "max_history_days",
)  # fmt: skip
UPKEEP = (*INCREMENTAL, "sync_schedule", "is_paused", "drift_policy")

DRIFT = [
    (DriftPolicy.EVOLVE, "Evolve: take the columns as they come"),
    (DriftPolicy.FREEZE, "Freeze: let new ones in, refuse that one goes or changes its type"),
    (DriftPolicy.FAIL, "Fail: refuse every change"),
]


class TableForm(forms.ModelForm[Table]):
    """A table with the settings that its connector wants for it."""

    connector: connectors.Connector
    new_name = forms.CharField(
        label="Name",
        max_length=200,
        required=False,
        widget=widgets.UnfoldAdminTextInputWidget(),
        help_text="What analysts call it. Anything but letters, digits and _ is transliterated; "
        "the original stays as an alias. It never changes.",
    )

    primary_key = Lines(
        required=False,
        help_text="Columns that identify a row, one per line; what changed is merged by them.",
    )
    drift_policy = forms.ChoiceField(
        label="When its columns change",
        choices=DRIFT,
        initial=DriftPolicy.EVOLVE,
        widget=widgets.UnfoldAdminSelectWidget(),
        help_text="What is refused opens an incident; the last good version stays in service. Each "
        "run says what changed.",
    )

    class Meta:
        model = Table
        fields = (*ABOUT, *ORIGIN, *UPKEEP)
        labels = {  # noqa: RUF012 (declared as a class variable in the base)
            "sync_strategy": "How it is read",
            "incremental_window_days": "Days to look back",
            "max_history_days": "Days of history",
        }
        help_texts = {  # noqa: RUF012 (declared as a class variable in the base)
            "sync_strategy": "full_refresh reads the whole table each time; incremental reads "
            "what changed since the last run and merges it by the primary key.",
            "incremental_column": "incremental: the column that says what is new, such as "
            "updated_at, or a number that only grows.",
            "incremental_window_days": "incremental: how long before the last value of that "
            "column a run begins, for rows that arrive late. Counts for times only.",
            "max_history_days": "incremental: rows whose column is older are left out; empty "
            "keeps all of them.",
        }

    def clean(self) -> dict[str, Any]:
        """Let the connector judge its settings."""
        cleaned: dict[str, Any] = super().clean() or {}
        self.settings = settings_form.check(self, self.connector.table_schema)
        return cleaned
