"""Random histories: whatever is done to people, grants and tables, each caller sees their own.

A model of plain sets says who should see what; the manifest, its ETag and the downloads of every
caller are compared with it after each step.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from access.models import ADMIN, EVERYONE, AuditEvent, Grant, Group, Membership, Tier, User
from access.services import grants, groups, history, tokens
from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import Layout
from catalog.connectors import QueryMode
from catalog.models import Folder, Source, Table
from catalog.services import exchange, files, folders, registry, removal, retention, versions
from catalog.services.exchange import Format
from tests.catalog.sight import Held, Shown, World
from tests.conftest import ApiClient
from tests.factories import SourceFactory, publish, stored_file

MANIFEST = "/api/sync/manifest"
PEOPLE, GROUPS = ("kim", "ben"), ("Sales", "Ops")
SOURCES, FOLDERS, TABLES = ("shop", "crm"), ("east", "west"), ("orders", "people", "stock")
RESOURCES = (
    *(("table", name) for name in TABLES), *(("folder", name) for name in FOLDERS),
    *(("source", name) for name in SOURCES),
)  # fmt: skip

a_person, a_group = st.sampled_from(PEOPLE), st.sampled_from(GROUPS)
a_table, a_folder = st.sampled_from(TABLES), st.sampled_from(FOLDERS)


@dataclass
class Key:
    """A token: whose, limited to what, and what it was answered last."""

    person: str
    only: tuple[str, ...]
    client: ApiClient
    row: Any
    is_revoked: bool = False
    etag: str = ""
    body: dict[str, Any] = field(default_factory=dict)


class Installation(RuleBasedStateMachine):
    """The services, and the model beside them."""

    layout: Layout

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.clock = time_machine.travel(datetime(2026, 6, 1, tzinfo=UTC), tick=False)
        self.time = self.clock.start()
        self.world = World(groups={ADMIN: {"ada"}}, active={"ada", *PEOPLE})
        self.before: World | None = None
        self.saved: tuple[str, World] | None = None
        self.count = 0
        for person in ("ada", *PEOPLE):
            User.objects.create_user(f"{person}@example.com", "correct horse")
        groups.add_member(group=_group(ADMIN), user=_user("ada"), by=None)
        self.keys = [self._new_key(person, ()) for person in ("ada", *PEOPLE)]
        self.keys.append(self._new_key("kim", ("orders", "stock")))
        self.keys.append(self._new_key("ada", ("people",)))

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)
        self.clock.stop()

    # People and groups

    @rule(group=a_group, person=a_person)
    def join_or_leave(self, group: str, person: str) -> None:
        self._need_group(group)
        self._about_to()
        if person in self.world.groups[group]:
            membership = Membership.objects.get(group=_group(group), user=_user(person))
            groups.remove_member(membership=membership, by=None)
            self.world.groups[group].remove(person)
        else:
            groups.add_member(group=_group(group), user=_user(person), by=None)
            self.world.groups[group].add(person)

    @rule(person=a_person)
    def become_admin_or_not(self, person: str) -> None:
        self._about_to()
        if person in self.world.groups[ADMIN]:
            membership = Membership.objects.get(group=_group(ADMIN), user=_user(person))
            groups.remove_member(membership=membership, by=None)
            self.world.groups[ADMIN].remove(person)
        else:
            groups.add_member(group=_group(ADMIN), user=_user(person), by=None)
            self.world.groups[ADMIN].add(person)

    @rule(group=a_group)
    def delete_group(self, group: str) -> None:
        self._need_group(group)
        self._about_to()
        groups.delete_group(group=_group(group), by=None)
        del self.world.groups[group]
        self.world.grants = {
            key: held for key, held in self.world.grants.items() if key[0] != group
        }

    @rule(person=a_person)
    def switch_person(self, person: str) -> None:
        self._about_to()
        is_active = person not in self.world.active
        groups.set_active(user=_user(person), is_active=is_active, by=None)
        self.world.active ^= {person}

    # Grants

    @rule(
        group=st.sampled_from((*GROUPS, EVERYONE)), resource=st.sampled_from(RESOURCES),
        tier=st.sampled_from(Tier), minutes=st.none() | st.sampled_from([0, 5, 10, 60]),
    )  # fmt: skip
    def grant(self, group: str, resource: tuple[str, str], tier: Tier, minutes: int | None) -> None:
        self._need_group(group)
        self._need(*resource)
        self._about_to()
        until = None if minutes is None else _now() + timedelta(minutes=minutes)
        key = (group, *resource)
        if key in self.world.grants:
            given = _grant(key)
            grants.change(given=given, tier=tier, expires_at=until, by=None)
        else:
            grants.grant(
                group=_group(group), resource_type=resource[0], resource_id=resource[1], by=None,
                tier=tier, expires_at=until,
            )  # fmt: skip
        self.world.grants[key] = Held(tier=tier.value, expires_at=until)

    @precondition(lambda self: self.world.grants)
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.grants)))
        self._about_to()
        grants.revoke(given=_grant(key), by=None)
        del self.world.grants[key]

    @rule(minutes=st.sampled_from([1, 5, 20]))
    def time_passes(self, minutes: int) -> None:
        self.time.shift(timedelta(minutes=minutes))

    # Tables

    @rule(table=a_table)
    def publish(self, table: str) -> None:
        self._need("table", table)
        self._settled()
        shown = self.world.tables[table]
        self.count += 1
        content = f"PAR1 {table} {self.count}".encode()
        row = _table(table)
        try:
            version = publish(row, stored_file(self.layout, content))
        except versions.TablePinnedError:
            assert row.is_pinned
        else:
            assert not row.is_pinned
            shown.versions[version.number] = content

    @rule(table=a_table, data=st.data())
    def roll_back(self, table: str, data: st.DataObject) -> None:
        self._need("table", table)
        self._settled()
        kept = self.world.tables[table].versions
        if kept:
            number = data.draw(st.sampled_from(sorted(kept)))
            version = versions.roll_back(table=_table(table), number=number, by=None)
            kept[version.number] = kept[number]
            if data.draw(st.booleans()):
                versions.release(table=_table(table), by=None)

    @rule(kept=st.integers(1, 2))
    def clean_up(self, kept: int) -> None:
        self._settled()
        retention.thin_out_all(kept=kept)
        retention.collect_garbage(store=self.layout.store, older_than_seconds=-1)
        for shown in self.world.tables.values():
            shown.versions = dict(sorted(shown.versions.items())[-kept:])

    @rule(table=a_table, folder=st.sampled_from(("", *FOLDERS)))
    def move(self, table: str, folder: str) -> None:
        self._need("table", table)
        if folder:
            self._need("folder", folder)
        self._change(table, folder=folder)
        self.world.tables[table].folder = folder

    @rule(table=a_table, is_server_only=st.booleans(), description=st.sampled_from("ab"))
    def keep_on_server(self, table: str, is_server_only: bool, description: str) -> None:
        self._need("table", table)
        self._change(table, server_only=is_server_only, description=description)
        self.world.tables[table].is_server_only = is_server_only

    @rule(table=a_table)
    def leave_rows_at_source(self, table: str) -> None:
        self._need("table", table)
        is_remote = not self.world.tables[table].is_remote
        mode = QueryMode.REMOTE if is_remote else QueryMode.LOCAL
        self._change(table, query_mode=mode)
        self.world.tables[table].is_remote = is_remote

    @rule(table=a_table)
    def unregister(self, table: str) -> None:
        self._need("table", table)
        self._settled()
        registry.unregister_table(table=_table(table), by=None)
        self._forget_table(table)

    @rule(folder=a_folder)
    def remove_folder(self, folder: str) -> None:
        self._need("folder", folder)
        self._settled()
        folders.remove_folder(folder=Folder.objects.get(slug=folder), by=None)
        self.world.folders.remove(folder)
        self.world.forget("folder", folder)
        for shown in self.world.tables.values():
            if shown.folder == folder:
                shown.folder = ""

    @rule(source=st.sampled_from(SOURCES))
    def remove_source(self, source: str) -> None:
        self._need("source", source)
        self._settled()
        removal.remove_source(source=_source(source), by=None, with_tables=True)
        for table, shown in list(self.world.tables.items()):
            if shown.source == source:
                self._forget_table(table)
        self.world.sources.remove(source)
        self.world.forget("source", source)

    # What others did is taken back, or an earlier state imported

    @precondition(lambda self: self.before is not None)
    @rule()
    def take_back(self) -> None:
        event = AuditEvent.objects.latest("at", "pk")
        history.revert(event=event, by=None)
        assert self.before is not None
        self.world, self.before = self.before, None

    @rule()
    def export(self) -> None:
        self._settled()
        self.saved = (exchange.write(as_format=Format.YAML), copy.deepcopy(self.world))

    @precondition(lambda self: self.saved is not None)
    @rule()
    def bring_back(self) -> None:
        self._settled()
        assert self.saved is not None
        text, then = self.saved
        document = exchange.read(text.encode(), file_name="all.yaml")
        if any(
            then.tables[name].source != self.world.tables[name].source
            for name in then.tables.keys() & self.world.tables.keys()
        ):
            # A table cannot move to another source: nothing at all is imported.
            with pytest.raises(exchange.ImportRefusedError):
                exchange.apply(document, exactly=True, expected=None, by=None)
            return
        exchange.apply(document, exactly=True, expected=None, by=None)
        now, self.world = self.world, copy.deepcopy(then)
        self.world.active = now.active
        for name, shown in self.world.tables.items():
            shown.versions = now.tables[name].versions if name in now.tables else {}

    # Tokens

    @rule(person=a_person, only=st.lists(a_table, max_size=2, unique=True))
    def make_token(self, person: str, only: list[str]) -> None:
        if len(self.keys) < 7:
            self.keys.append(self._new_key(person, tuple(only)))

    @rule(number=st.integers(1, 6))
    def revoke_token(self, number: int) -> None:
        if number < len(self.keys):
            tokens.revoke(token=self.keys[number].row, by=None)
            self.keys[number].is_revoked = True

    # What holds

    @invariant()
    def each_sees_their_own(self) -> None:
        for key in self.keys:
            response = key.client.get(MANIFEST, headers={"X-Agnes-Client": "agnes/1; parts"})
            if key.is_revoked or key.person not in self.world.active:
                assert response.status_code == 401
                continue
            body = response.json()
            del body["server_time"]
            readable = self._readable(key)
            assert _told(body) == self._expected(readable), key
            if response["ETag"] == key.etag:
                assert body == key.body
            key.etag, key.body = response["ETag"], body
            self._check_downloads(key, readable)

    def _readable(self, key: Key) -> dict[str, str]:
        """Return tier by name of the tables that a caller may read."""
        found = {
            name: self.world.tier(key.person, name, _now())
            for name in self.world.tables
            if not key.only or name in key.only
        }
        return {name: tier for name, tier in found.items() if tier}

    def _expected(self, readable: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {"waiting": []}
        for name, tier in readable.items():
            shown = self.world.tables[name]
            if not shown.versions and not shown.is_remote:
                found["waiting"].append(name)
                continue
            stays = shown.is_remote or shown.is_server_only
            number = max(shown.versions, default=None)
            size = None if stays else len(shown.versions[number])
            found[name] = ("remote" if stays else "local", tier, number, size)
        found["waiting"].sort()
        return found

    def _check_downloads(self, key: Key, readable: dict[str, str]) -> None:
        user = _user(key.person)
        user.token = key.row
        for name in TABLES:
            shown = self.world.tables.get(name)
            if shown is None or name not in readable:
                expected = "table_not_found"
            elif shown.is_server_only:
                expected = "server_only"
            elif shown.is_remote or not shown.versions:
                expected = "nothing_to_download"
            else:
                expected = shown.versions[max(shown.versions)]
            assert _downloaded(user, name) == expected, (key, name)

    # The means

    def _about_to(self) -> None:
        """Remember the world as it is, for what is done next can be taken back."""
        self.before = copy.deepcopy(self.world)
        # The newest event is known by its time.
        self.time.shift(timedelta(milliseconds=1))

    def _settled(self) -> None:
        self.before = None

    def _change(self, table: str, **fields: Any) -> None:
        self._about_to()
        if not registry.update_table(table=_table(table), by=None, **fields):
            self._settled()

    def _need_group(self, group: str) -> None:
        if group != EVERYONE and group not in self.world.groups:
            groups.create_group(name=group, by=None)
            self.world.groups[group] = set()

    def _need(self, kind: str, name: str) -> None:
        if kind == "source" and name not in self.world.sources:
            SourceFactory(slug=name, source_type="sqlite", config={"path": f"/{name}"})
            self.world.sources.add(name)
        elif kind == "folder" and name not in self.world.folders:
            folders.add_folder(slug=name, by=None)
            self.world.folders.add(name)
        elif kind == "table" and name not in self.world.tables:
            source = SOURCES[(len(self.world.tables) + self.count) % len(SOURCES)]
            self._need("source", source)
            registry.register_table(source=_source(source), name=name, source_table=name, by=None)
            self.world.tables[name] = Shown(source=source)

    def _forget_table(self, table: str) -> None:
        del self.world.tables[table]
        self.world.forget("table", table)

    def _new_key(self, person: str, only: tuple[str, ...]) -> Key:
        new = tokens.create(user=_user(person), name="test", by=None, only=only)
        client = ApiClient(new.secret)
        return Key(person=person, only=only, client=client, row=new.token)


def _told(body: dict[str, Any]) -> dict[str, Any]:
    told = {
        name: (
            entry["query_mode"], entry["tier"], entry["version"],
            entry["size_bytes"] if entry["parts"] else None,
        )
        for name, entry in body["tables"].items()
    }  # fmt: skip
    return {"waiting": body["waiting"], **told}


def _downloaded(user: User, name: str) -> str | bytes:
    try:
        _, file = files.find(user, name)
    except AgnesError as error:
        return error.code
    return file.path.read_bytes()


def _now() -> datetime:
    return datetime.now(UTC)


def _user(name: str) -> User:
    return User.objects.get(email=f"{name}@example.com")


def _group(name: str) -> Group:
    return Group.objects.get(name=name)


def _source(slug: str) -> Source:
    return Source.objects.get(slug=slug)


def _table(name: str) -> Table:
    return Table.objects.get(name=name)


def _grant(key: tuple[str, str, str]) -> Grant:
    group, resource_type, resource_id = key
    return Grant.objects.get(
        group__name=group, resource_type=resource_type, resource_id=resource_id
    )


@pytest.mark.django_db
def test_each_caller_sees_what_the_model_says(layout):
    machine = type("Tested", (Installation,), {"layout": layout})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=4, stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
