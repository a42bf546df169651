"""Secrets on their way to a child process, and what comes back from it."""

from __future__ import annotations

import logging

import duckdb
import pytest
from pydantic import SecretStr

from agnes_site.core.errors import AgnesError
from catalog.models import Incident, IncidentKind
from catalog.services import secrets
from extracts.models import Run, RunState
from extracts.services import extraction, offering, probing, runs
from extracts.services.probing import Upstream
from tests import handed
from tests.extracts import echo
from tests.factories import SourceFactory, TableFactory

CANARY = "canary-9d1e 'of' the mine"


@pytest.fixture
def source(db, layout, vault_type):
    made = SourceFactory(slug="vault", source_type=vault_type, config={})
    handed.set_secret(source=made, key="password", value=SecretStr(CANARY))
    return made


@pytest.fixture
def table(source):
    return TableFactory(name="lengths", source=source, source_table="lengths")


def extracted(table) -> Run:
    run, _ = runs.request_run(table=table, by=None)
    extraction.execute(runs.claim(run.pk, worker="test"))
    return Run.objects.get(pk=run.pk)


def set_mood(source, mood: str) -> None:
    source.config = {"mood": mood}
    source.save()


class TestRun:
    def test_has_the_secrets_of_its_source(self, table, layout):
        run = extracted(table)

        table.refresh_from_db()
        (part,) = table.current_version.parts.all()
        rows = duckdb.sql(f"SELECT * FROM '{layout.stored(part.sha256)}'").fetchall()
        assert run.state == RunState.SUCCEEDED
        assert rows == [("password", len(CANARY))]

    def test_masks_them_in_its_log(self, table):
        run = extracted(table)

        assert "Signing in with ***." in run.log
        assert "Took ***." in run.log
        assert "canary" not in run.log

    def test_masks_them_in_what_the_other_side_says(self, table):
        set_mood(table.source, "refusing")

        run = extracted(table)

        assert (run.state, run.error_message) == (RunState.FAILED, "Not ***!")
        assert "canary" not in f"{run.error_message} {run.error_hint} {run.log}"

    def test_masks_them_in_the_traceback_of_what_nobody_foresaw(self, table, capfd):
        set_mood(table.source, "stumbling")

        run = extracted(table)

        said = capfd.readouterr().err
        assert run.error_code == "internal_error"
        assert "KeyError" in said
        assert "postgres://me:***@vault" in said
        assert "about to stumble over ***" in said
        assert "canary" not in said

    def test_says_what_is_missing_and_opens_an_incident(self, table):
        secrets.forget_secret(source=table.source, key="password", by=None)

        run = extracted(table)

        assert (run.state, run.error_code) == (RunState.FAILED, "secret_missing")
        assert Incident.objects.get(table=table).kind == IncidentKind.HELD

    def test_fails_alone_when_its_key_is_lost(self, table, layout):
        (layout.state / "keys" / "secrets").unlink()

        assert extracted(table).error_code == "secret_unreadable"


class TestTestConnection:
    def test_masks_what_the_connector_says_of_them(self, source):
        assert probing.try_connection(Upstream.of(source)) == "The vault took ***."

    def test_masks_them_in_every_part_of_an_error(self, source, caplog):
        set_mood(source, "refusing")

        with caplog.at_level(logging.DEBUG), pytest.raises(AgnesError) as caught:
            probing.try_connection(Upstream.of(source))

        assert caught.value.details == {"said": ["***"]}
        assert "canary" not in f"{caught.value} {caught.value.hint} {caplog.text}"


class TestOffers:
    def test_are_asked_for_with_the_secrets(self, source):
        assert [offer.spec["name"] for offer in offering.ask_offers(source)] == ["lengths"]


class TestPostgresThatRepeatsThePassword:
    def test_is_masked_everywhere(self, db, layout, capfd):
        with echo.postgres() as (port, heard):
            source = SourceFactory(
                source_type="postgres",
                config={
                    "host": "127.0.0.1", "port": port, "database": "d", "user": "me",
                    "sslmode": "disable",
                },
            )  # fmt: skip
            handed.set_secret(source=source, key="password", value=SecretStr(CANARY))
            table = TableFactory(name="orders", source=source, source_table="orders")
            run = extracted(table)

        assert "no entry with ***" in run.error_message
        assert set(heard) == {CANARY}
        said = f"{run.error_message} {run.error_hint} {run.log} {capfd.readouterr()}"
        assert run.state == RunState.FAILED
        assert "canary" not in said
        assert "canary" not in repr([*Incident.objects.values(), *Run.objects.values()])
