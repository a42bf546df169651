import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from django import forms
from pydantic import AfterValidator, ConfigDict, Field

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
        assert found["setting_schemas"].initial == ["a", "b"]

    def test_keep_a_title_as_it_was_written(self):
        class Address(Settings):
            url: str = Field(title="URL of the API")
            ca_file: str = ""

        found = settings_form.form_fields(Address, {})

        assert found["setting_url"].label == "URL of the API"
        assert found["setting_ca_file"].label == "Ca file"


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


class LocalPlace(Settings):
    kind: Literal["local"] = "local"
    folder: str


class HttpPlace(Settings):
    model_config = ConfigDict(title="Web address")

    kind: Literal["http"] = "http"
    url: str
    retries: int = Field(default=3, json_schema_extra={"more": True})


class Tls(Settings):
    ca: str = ""
    mode: str = "verify"


class Nested(Settings):
    place: LocalPlace | HttpPlace = Field(discriminator="kind")
    tls: Tls = Field(default_factory=Tls)
    quote: Literal['"', "'", ""] = '"'
    pace: Literal["fast", "slow"] = "fast"
    pause: int | None = Field(default=None, json_schema_extra={"shown_when": {"pace": ["slow"]}})
    hosts: tuple[str, ...] = Field(default=(), json_schema_extra={"group": "Network"})


class TestNestedSettings:
    def test_are_laid_flat(self):
        assert settings_form.names(Nested) == [
            "setting_place", "setting_place__local__folder", "setting_place__http__url",
            "setting_place__http__retries", "setting_tls__ca", "setting_tls__mode",
            "setting_quote", "setting_pace", "setting_pause", "setting_hosts",
        ]  # fmt: skip

    def test_show_what_fits_the_chosen_variant(self):
        found = settings_form.form_fields(Nested, {})

        condition = json.loads(found["setting_place__http__url"].widget.attrs["data-only-if"])
        assert condition == {"name": "setting_place", "values": ["http"]}
        assert not found["setting_place__http__url"].required
        assert found["setting_place"].choices == [("local", "Local"), ("http", "Web address")]

    def test_show_what_fits_another_setting(self):
        found = settings_form.form_fields(Nested, {})

        condition = json.loads(found["setting_pause"].widget.attrs["data-only-if"])
        assert condition == {"name": "setting_pace", "values": ["slow"]}

    def test_are_filled_from_what_is_kept(self):
        kept = {"place": {"kind": "http", "url": "https://example.com"}, "tls": {"ca": "x"}}

        found = settings_form.form_fields(Nested, kept)

        assert found["setting_place"].initial == "http"
        assert found["setting_place__http__url"].initial == "https://example.com"
        assert found["setting_place__local__folder"].initial is None
        assert found["setting_tls__ca"].initial == "x"

    def test_become_what_the_schema_takes(self):
        form = filled(
            Nested, place="http", place__http__url="https://example.com", tls__ca="x",
            tls__mode="verify", quote="", pace="fast", place__local__folder="ignored",
        )  # fmt: skip

        assert settings_of(form, Nested) == {
            "place": {"kind": "http", "url": "https://example.com"}, "tls": {"ca": "x"},
            "quote": "",
        }  # fmt: skip

    def test_complain_at_the_field_of_the_chosen_variant(self):
        form = filled(Nested, place="local", quote='"', pace="fast")

        settings_of(form, Nested)

        assert list(form.errors) == ["setting_place__local__folder"]

    def test_stand_under_their_headings(self):
        found = dict(settings_form.fieldsets(Nested, "Files"))

        assert list(found) == ["Files", "More options", "Network"]
        assert found["More options"]["fields"] == ["setting_place__http__retries"]
        assert found["More options"]["classes"] == ["collapse"]
