"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client
from hypothesis import settings as examples

from access.models import ADMIN, Group, User
from access.services import grants, groups, tokens
from agnes_site.core.storage import Layout
from catalog.models import Table
from extracts.engine import warm
from tests import disks, measured
from tests import vault as vaults

# The children of runs have an environment of their own, which is made here and nowhere else.
warm.BARE_ENVIRONMENT.update(measured.ENVIRONMENT)
# How long an example takes says something about the machine only.
examples.register_profile("patient", examples.default, deadline=None)
examples.load_profile("patient")


@pytest.fixture
def layout(tmp_path: Path, settings) -> Layout:
    """Fresh folders of an installation of its own."""
    found = Layout(root=tmp_path / "data", state=tmp_path / "data" / "state")
    found.create()
    settings.LAYOUT = found
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    with disks.mounted(tmp_path / "disk", "size=1m") as disk:
        yield disk.folder


@pytest.fixture
def analyst(db) -> User:
    """Somebody who may sign in and has no grants."""
    return User.objects.create_user("ana@example.com", "correct horse", name="Ana")


@pytest.fixture
def admin(db) -> User:
    """An administrator."""
    user = User.objects.create_user("ada@example.com", "correct horse", name="Ada")
    groups.add_member(group=Group.objects.get(name=ADMIN), user=user, by=None)
    return user


@pytest.fixture
def pages(client: Client, admin: User) -> Client:
    """A browser in which an administrator is signed in."""
    client.force_login(admin)
    return client


@pytest.fixture
def grant(db) -> Callable[..., None]:
    """Let a user read a table: ``grant(analyst, table)``."""

    def give(user: User, table: Table, **options) -> None:
        group, _ = Group.objects.get_or_create(name=f"Readers {user.pk}")
        if not group.memberships.filter(user=user).exists():
            groups.add_member(group=group, user=user, by=None)
        grants.grant(group=group, resource_type="table", resource_id=table.name, by=None, **options)

    return give


class ApiClient(Client):
    """Calls the API as one user, by a token."""

    def __init__(self, secret: str) -> None:
        super().__init__(headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def api_as(db, monkeypatch) -> Callable[[User], ApiClient]:
    """Return a client that calls the API as the given user."""
    # When tokens were used is written down twice a minute: not while statements are counted.
    monkeypatch.setattr(tokens, "_FLUSH_SECONDS", 3600)

    def sign_in(user: User) -> ApiClient:
        return ApiClient(tokens.create(user=user, name="test", by=None).secret)

    return sign_in


@pytest.fixture
def api(api_as, analyst) -> ApiClient:
    """Calls the API as the analyst."""
    return api_as(analyst)


@pytest.fixture
def admin_api(api_as, admin) -> ApiClient:
    """Calls the API as the administrator."""
    return api_as(admin)


@pytest.fixture
def vault_type() -> Iterator[str]:
    """A type of source that needs secrets."""
    with vaults.opened():
        yield "vault"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the 336 776 flights of 2013; in CI its absence is a failure."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "nycflights13"
    if not folder.is_dir():
        message = "needs ../shared/data/nycflights13"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
