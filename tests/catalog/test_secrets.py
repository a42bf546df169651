from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import SecretStr

from access.models import AuditEvent
from agnes_site.core.config import Config
from agnes_site.core.keyring import SecretUnreadableError
from agnes_site.core.variables import VariableMissingError, VariableRefusedError
from catalog import connectors
from catalog.models import Source, SourceSecret
from catalog.services import secrets, sources
from catalog.services.secrets import NewSecret
from tests import handed
from tests.factories import SourceFactory

CANARY = "canary-7f3a 'of' \"the\" mine"


@pytest.fixture
def source(db, layout, vault_type) -> Source:
    return SourceFactory(slug="vault", source_type=vault_type, config={})


def keep(source: Source, value: str = CANARY, key: str = "password") -> None:
    handed.set_secret(source=source, key=key, value=SecretStr(value))


def revealed(source: Source, **given: NewSecret) -> dict[str, str]:
    found = secrets.secrets_with(source, given)
    return {key: value.get_secret_value() for key, value in found.items()}


class TestSetSecret:
    def test_hands_out_what_was_set(self, source):
        keep(source)

        assert revealed(source) == {"password": CANARY}

    def test_keeps_no_trace_of_the_value_in_its_rows(self, source):
        keep(source)

        rows = [
            *SourceSecret.objects.values(),
            *AuditEvent.objects.values(),
            *Source.objects.values(),
        ]
        assert "canary-7f3a" not in repr(rows)

    def test_replaces_what_was_there(self, source):
        keep(source, "old")
        keep(source, "new")

        assert revealed(source) == {"password": "new"}
        assert source.secrets.count() == 1

    def test_is_audited_without_the_value(self, source, admin):
        handed.set_secret(source=source, key="password", value=SecretStr(CANARY), by=admin)

        event = AuditEvent.objects.get(action="source.set_secret")
        assert (event.actor, event.resource) == (admin, "source/vault")
        assert event.after == {"key": "password", "from": "stored"}

    @pytest.mark.parametrize("value", ["", "a\0b", "\udce9", "x" * 70_000])
    def test_refuses_what_can_be_no_secret(self, source, value):
        with pytest.raises(secrets.SecretInvalidError):
            keep(source, value)

    def test_refuses_a_secret_that_the_connector_does_not_know(self, source):
        with pytest.raises(secrets.SecretUnknownError) as caught:
            keep(source, key="pasword")

        assert "password, pin" in caught.value.hint

    def test_changes_all_or_nothing(self, source):
        with pytest.raises(secrets.SecretUnknownError):
            secrets.change_secrets(
                source=source, by=None,
                secrets={
                    "password": NewSecret(value=SecretStr("x")),
                    "other": NewSecret(value=SecretStr("y")),
                },
            )  # fmt: skip

        assert not source.secrets.exists()


class TestNameVariable:
    def test_reads_the_variable_each_time(self, source, monkeypatch):
        handed.name_variable(source=source, key="password", variable="AGNES_SOURCE_V")

        for value in ("one", "two"):
            monkeypatch.setenv("AGNES_SOURCE_V", value)
            assert revealed(source) == {"password": value}

    def test_says_which_variable_is_missing(self, source):
        handed.name_variable(source=source, key="password", variable="AGNES_SOURCE_V")

        with pytest.raises(VariableMissingError, match="AGNES_SOURCE_V"):
            secrets.secrets_of(source)

    @pytest.mark.parametrize(
        "name", ["SESSION_SECRET", "DATABASE_URL", "PATH", "AGNES_SECRETS_KEYS", "1X", "A B", "A\n"]
    )
    def test_refuses_what_is_not_for_sources(self, source, name):
        with pytest.raises(VariableRefusedError):
            handed.name_variable(source=source, key="password", variable=name)

    @pytest.mark.parametrize("name", ["SESSION_SECRET", "DATABASE_URL", "AGNES_SECRETS_KEYS"])
    def test_never_lends_a_setting_of_the_server(self, source, settings, name):
        settings.CONFIG = Config(secret_variables=("*",))

        with pytest.raises(VariableRefusedError):
            handed.name_variable(source=source, key="password", variable=name)

    def test_is_refused_later_when_the_operator_takes_the_name_off_the_list(
        self, source, settings, monkeypatch
    ):
        monkeypatch.setenv("AGNES_SOURCE_V", CANARY)
        handed.name_variable(source=source, key="password", variable="AGNES_SOURCE_V")
        settings.CONFIG = Config(secret_variables=("OTHER",))

        with pytest.raises(VariableRefusedError):
            secrets.secrets_of(source)

    def test_takes_the_place_of_a_stored_value(self, source):
        keep(source)
        handed.name_variable(source=source, key="password", variable="KBC_TOKEN")

        assert [bool(kept.ciphertext) for kept in source.secrets.all()] == [False]


class TestForgetSecret:
    def test_leaves_nothing(self, source):
        keep(source)

        secrets.forget_secret(source=source, key="password", by=None)

        assert not SourceSecret.objects.exists()
        assert AuditEvent.objects.get(action="source.forget_secret").before == {"key": "password"}

    def test_says_nothing_where_there_was_none(self, source):
        secrets.forget_secret(source=source, key="pin", by=None)

        assert not AuditEvent.objects.filter(action="source.forget_secret").exists()


class TestSecretsOf:
    def test_asks_for_what_the_connector_needs(self, source):
        with pytest.raises(secrets.SecretMissingError, match="Password"):
            secrets.secrets_of(source)

    def test_leaves_out_what_may_be_missing(self, source):
        keep(source)

        assert set(secrets.secrets_of(source)) == {"password"}

    def test_opens_nothing_that_was_moved_to_another_source(self, source, vault_type):
        keep(source)
        thief = SourceFactory(source_type=vault_type, config={})
        SourceSecret.objects.update(source=thief)

        with pytest.raises(SecretUnreadableError):
            secrets.secrets_of(thief)

    def test_opens_nothing_that_was_moved_to_another_place(self, source):
        keep(source, key="pin")
        SourceSecret.objects.update(key="password")

        with pytest.raises(SecretUnreadableError):
            secrets.secrets_of(source)

    def test_names_the_source_whose_key_is_lost(self, source, layout):
        keep(source)
        (layout.state / "keys" / "secrets").unlink()

        with pytest.raises(SecretUnreadableError, match="Password of the source vault") as caught:
            secrets.secrets_of(source)

        assert "type the secret again" in caught.value.hint

    def test_never_shows_a_value(self, source):
        keep(source)

        assert "canary" not in repr(secrets.secrets_of(source))

    def test_tries_what_was_typed_before_it_is_kept(self, source, vault_type):
        keep(source, "stored")
        typed = NewSecret(value=SecretStr("typed"))

        assert revealed(source, password=typed) == {"password": "typed"}
        assert revealed(Source(slug="new", source_type=vault_type), password=typed) == {
            "password": "typed"
        }
        assert revealed(source) == {"password": "stored"}


class TestSources:
    def test_are_added_with_their_secrets(self, db, layout, vault_type):
        made = sources.add_source(
            slug="vault", source_type=vault_type, config={}, by=None,
            secrets={"password": NewSecret(value=SecretStr(CANARY))},
        )  # fmt: skip

        assert revealed(made) == {"password": CANARY}

    def test_are_not_added_when_a_secret_is_refused(self, db, layout, vault_type):
        with pytest.raises(VariableRefusedError):
            sources.add_source(
                slug="vault", source_type=vault_type, config={}, by=None,
                secrets={"password": NewSecret(variable="SESSION_SECRET")},
            )  # fmt: skip

        assert not Source.objects.filter(slug="vault").exists()

    def test_keep_the_secrets_that_a_change_does_not_name(self, source):
        keep(source)

        sources.change_source(source=source, by=None, display_name="Vault of the mine")

        assert revealed(source) == {"password": CANARY}

    def test_take_their_secrets_along_when_they_go(self, source):
        keep(source)

        sources.remove_source(source=source, by=None)

        assert not SourceSecret.objects.exists()


class TestOtherPlaces:
    """A stored secret goes to the place that it was given for."""

    ELSEWHERE: ClassVar = {"place": "elsewhere"}

    def test_are_refused_when_settings_are_tried(self, source):
        keep(source)
        tried = Source(pk=source.pk, source_type=source.source_type, config=self.ELSEWHERE)

        with pytest.raises(secrets.SecretElsewhereError, match="Password"):
            revealed(tried)

        typed = NewSecret(value=SecretStr("new"))
        assert revealed(tried, password=typed) == {"password": "new"}

    def test_are_refused_when_settings_are_saved(self, source):
        keep(source)

        with pytest.raises(secrets.SecretElsewhereError):
            sources.change_source(source=source, by=None, config=self.ELSEWHERE)

        source.refresh_from_db()
        assert source.config == {}
        typed = {"password": NewSecret(value=SecretStr("new"))}
        sources.change_source(source=source, by=None, config=self.ELSEWHERE, secrets=typed)
        source.refresh_from_db()
        assert revealed(source) == {"password": "new"}

    def test_are_all_others_where_the_saved_settings_are_not_understood_any_more(self, source):
        keep(source)
        Source.objects.update(config={"of": "an earlier release"})
        source.refresh_from_db()

        with pytest.raises(secrets.SecretElsewhereError):
            sources.change_source(source=source, by=None, config={})

    def test_do_not_matter_for_other_settings(self, source):
        keep(source)

        sources.change_source(source=source, by=None, config={"mood": "refusing"})

        source.refresh_from_db()
        assert revealed(source) == {"password": CANARY}

    @pytest.mark.parametrize(
        ("source_type", "before", "after", "is_moved"),
        [
            ("postgres", {}, {"port": 15999}, True),
            ("postgres", {}, {"host": "other.example.com"}, True),
            ("postgres", {"sslmode": "verify-full"}, {"sslmode": "disable"}, True),
            ("postgres", {}, {"database": "other"}, False),
            ("files", {}, {"urls": ["https://other.example.com/a.csv"]}, True),
            ("files", {}, {"urls": ["https://example.com/b.csv"]}, False),
        ],
    )
    def test_are_those_of_each_connector(self, source_type, before, after, is_moved):
        base = {
            "postgres": {"host": "example.com", "database": "d", "user": "u"},
            "files": {"urls": ["https://example.com/a.csv"]},
        }[source_type]
        connector = connectors.get(source_type)
        was, now = (
            connector.secret_places(connector.config_schema.model_validate(settings))
            for settings in ({**base, **before}, {**base, **before, **after})
        )

        assert bool(now - was) is is_moved
