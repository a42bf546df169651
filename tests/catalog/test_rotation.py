from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from pydantic import SecretStr

from access.models import AuditEvent
from agnes_site.core.config import Config
from catalog.models import SourceSecret
from catalog.services import rotation, secrets
from tests import handed
from tests.factories import SourceFactory


@pytest.fixture
def sources(db, layout, vault_type):
    made = [SourceFactory(source_type=vault_type, config={}) for _ in range(3)]
    for number, source in enumerate(made):
        value = SecretStr(f"secret {number}")
        handed.set_secret(source=source, key="password", value=value)
    return made


def revealed(source) -> str:
    return secrets.secrets_of(source)["password"].get_secret_value()


class TestRotate:
    def test_encrypts_every_secret_with_a_new_key_and_drops_the_old_one(self, sources):
        (old,) = secrets.key_ring().ids()

        done = rotation.rotate()

        assert (done.renewed, done.dropped, done.unreadable) == (3, (old,), ())
        assert secrets.key_ring().ids() == [done.key_id]
        assert [revealed(source) for source in sources] == ["secret 0", "secret 1", "secret 2"]

    def test_keeps_the_date_on_which_a_secret_was_changed(self, sources):
        before = set(SourceSecret.objects.values_list("changed_at", flat=True))

        rotation.rotate()

        assert set(SourceSecret.objects.values_list("changed_at", flat=True)) == before

    def test_keeps_the_old_key_when_asked_to(self, sources):
        (old,) = secrets.key_ring().ids()

        done = rotation.rotate(keeps_old=True)

        assert secrets.key_ring().ids() == [done.key_id, old]

    def test_can_be_ended_half_way_and_repeated(self, sources, monkeypatch):
        reached = []

        def end(name: str) -> None:
            reached.append(name)
            if reached.count("rotation.secret_renewed") == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(rotation, "failpoint", end)
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate()
        monkeypatch.undo()
        assert [revealed(source) for source in sources] == ["secret 0", "secret 1", "secret 2"]

        done = rotation.rotate()

        assert (done.renewed, len(done.dropped)) == (3, 2)
        assert [revealed(source) for source in sources] == ["secret 0", "secret 1", "secret 2"]

    def test_says_what_it_could_not_read_and_goes_on(self, sources):
        SourceSecret.objects.filter(source=sources[1]).update(ciphertext=b"altered" * 9)
        (old,) = secrets.key_ring().ids()

        done = rotation.rotate()

        assert done.renewed == 2
        assert len(done.unreadable) == 1
        assert sources[1].slug in done.unreadable[0]
        assert old in secrets.key_ring().ids()  # something is still said to need it

    def test_leaves_variables_alone(self, db, layout, vault_type):
        source = SourceFactory(source_type=vault_type, config={})
        handed.name_variable(source=source, key="password", variable="KBC_TOKEN")

        assert rotation.rotate().renewed == 0

    def test_is_audited(self, sources):
        done = rotation.rotate()

        event = AuditEvent.objects.get(action="secrets.rotate")
        assert (event.after["key"], event.after["renewed"]) == (done.key_id, 3)

    def test_takes_the_first_of_the_keys_that_the_operator_gives(self, sources, settings, layout):
        old = (layout.state / "keys" / "secrets").read_text().strip()
        new = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
        settings.CONFIG = Config(secrets_keys=f"{new},{old}")

        done = rotation.rotate()

        assert (done.renewed, done.dropped) == (3, ())
        settings.CONFIG = Config(secrets_keys=new)
        assert [revealed(source) for source in sources] == ["secret 0", "secret 1", "secret 2"]


class TestRotateSecrets:
    def test_says_what_it_did(self, sources):
        (old,) = secrets.key_ring().ids()
        out = io.StringIO()

        call_command("rotate_secrets", stdout=out)

        (new,) = secrets.key_ring().ids()
        assert out.getvalue().splitlines() == [
            f"Encrypted 3 secrets with the key {new}.", f"Dropped the key {old}.",
        ]  # fmt: skip

    def test_fails_where_a_secret_could_not_be_read(self, sources):
        SourceSecret.objects.filter(source=sources[1]).update(ciphertext=b"altered" * 9)
        err = io.StringIO()

        with pytest.raises(SystemExit):
            call_command("rotate_secrets", stdout=io.StringIO(), stderr=err)

        assert f"Left as it is: {sources[1].slug}: password" in err.getvalue()
