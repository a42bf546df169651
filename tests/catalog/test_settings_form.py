from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from django import forms
from pydantic import AfterValidator, Field

from catalog.admin import settings_fields, settings_form
from catalog.connectors import Settings


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


def elsewhere(folder: Path) -> Path:
    if folder == Path("/forbidden"):
        raise ValueError("choose another folder")
    return folder


class Everything(Settings):
    folder: Annotated[Path, AfterValidator(elsewhere)] = Field(description="Where it is.")
    port: int = Field(default=5432, ge=1, le=65535)
    is_secure: bool = True
    is_sorted: bool | None = None
    mode: Literal["fast", "safe"] = "fast"
    colour: Colour | None = None
    schemas: tuple[str, ...] = ()
    types: dict[str, str] = Field(default_factory=dict)


def filled(schema=Everything, values=None, **typed):
    fields = settings_form.form_fields(schema, values or {})
    made = type("Filled", (forms.Form,), fields)
    return made({settings_form.PREFIX + name: text for name, text in typed.items()})


def settings_of(form, schema=Everything):
    form.full_clean()
    return settings_form.check(form, schema)


class TestFormFields:
    def test_are_plain_inputs_where_the_setting_is_plain(self):
        found = settings_form.form_fields(Everything, {})

        kinds = {name.removeprefix("setting_"): type(field) for name, field in found.items()}
        assert kinds == {
            "folder": settings_fields.Text,
            "port": forms.IntegerField,
            "is_secure": forms.BooleanField,
            "is_sorted": forms.TypedChoiceField,
            "mode": forms.ChoiceField,
            "colour": forms.ChoiceField,
            "schemas": settings_form.Lines,
            "types": settings_form.Json,
        }

    def test_explain_themselves_and_show_what_is_in_force(self):
        found = settings_form.form_fields(Everything, {"schemas": ["a", "b"]})

        assert found["setting_folder"].help_text == "Where it is."
        assert found["setting_folder"].required
        assert found["setting_port"].initial == 5432
        assert found["setting_schemas"].initial == "a\nb"


class TestCheck:
    def test_returns_what_differs_from_the_defaults(self):
        form = filled(
            folder="/data", port="5433", is_secure="on", is_sorted="False", mode="fast",
            colour="green", schemas="a\n\n b ", types='{"zip": "VARCHAR"}',
        )  # fmt: skip

        assert settings_of(form) == {
            "folder": "/data", "port": 5433, "is_sorted": False, "colour": "green",
            "schemas": ["a", "b"], "types": {"zip": "VARCHAR"},
        }  # fmt: skip

    def test_takes_a_switch_that_is_off(self):
        form = filled(folder="/data", port="5432", mode="fast")

        assert settings_of(form) == {"folder": "/data", "is_secure": False}

    @pytest.mark.parametrize(
        ("typed", "field"),
        [
            ({"port": "70000"}, "setting_port"),
            ({"port": "many"}, "setting_port"),
            ({"types": "{"}, "setting_types"),
            ({"types": '["a"]'}, "setting_types"),
            ({"mode": "slow"}, "setting_mode"),
        ],
    )
    def test_complains_at_the_field(self, typed, field):
        form = filled(**{"folder": "/data", "mode": "fast", "is_secure": "on", **typed})

        settings_of(form)

        assert list(form.errors) == [field]

    def test_says_it_in_the_words_of_the_connector(self):
        form = filled(folder="/forbidden", mode="fast", is_secure="on")

        settings_of(form)

        assert form.errors["setting_folder"] == ["Choose another folder."]

    def test_asks_for_what_is_missing_once(self):
        form = filled(mode="fast")

        settings_of(form)

        assert {name: len(errors) for name, errors in form.errors.items()} == {"setting_folder": 1}
