"""What can be exported and imported; each kind changes its objects by their services."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet

from access.models import Grant, Group, MembershipSource, Tier, User
from access.resources import canonical_id
from access.services import grants, groups
from agnes_site.core import slugs
from agnes_site.core.errors import InvalidInputError, NotFoundError
from catalog.models import Folder, Source, SourceSecret, Table
from catalog.services import folders, registry, secrets, sources
from catalog.services.exchange import fields
from catalog.services.exchange.fields import Field
from catalog.services.secrets import NewSecret

Key = tuple[str, ...]
Values = dict[str, Any]


class NameUnknownError(NotFoundError):
    """The document names something that is neither here nor in the document."""

    code = "import_name_unknown"
    status = 422
    hint = "Add it to the document or to the server first, or mend its name."


class NameInvalidError(InvalidInputError):
    """Nothing can be called like this."""

    code = "import_name_invalid"


class FieldFixedError(InvalidInputError):
    """This field of an existing object never changes."""

    code = "import_field_fixed"
    hint = "Leave the field as it is; to move the object, remove it and add it anew."


class Kind(ABC):
    """One kind of object. A key is the names that an object is known by; values are plain data."""

    name: ClassVar[str]
    key: ClassVar[Key] = ("name",)
    fields: ClassVar[tuple[Field, ...]]
    # What a new object cannot do without.
    required: ClassVar[Key] = ()

    @abstractmethod
    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all objects as they are now, in the order of a document, or the one named."""

    def current_of(self, key: Key) -> Values | None:
        """Return one object as it is now, if it is there."""
        return self.current(only=key[0]).get(key)

    @abstractmethod
    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add an object; fields that are not given are empty."""

    @abstractmethod
    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Set the given fields of an object."""

    @abstractmethod
    def remove(self, key: Key, by: User | None) -> None:
        """Remove an object."""

    def may_go(self, key: Key) -> bool:
        """Say whether an object that the document does not name can be removed."""
        return True

    def said(self, key: Key) -> str:
        """Return how people are told which object it is."""
        return key[0]


class Sources(Kind):
    """Sources with their settings; of secrets only the variables that some are read from."""

    name = "sources"
    fields = (
        fields.text("type"), fields.text("display_name"), fields.mapping("settings"),
        fields.text("schedule"), fields.flag("is_paused"), fields.number("concurrency", empty=2),
        fields.mapping("secret_variables"),
    )  # fmt: skip
    required = ("type",)

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all sources."""
        variables: dict[str, dict[str, str]] = {}
        named = SourceSecret.objects.exclude(env_name="").order_by("key")
        for slug, key, name in named.values_list("source__slug", "key", "env_name"):
            variables.setdefault(slug, {})[key] = name
        return {
            (each.slug,): {
                "type": each.source_type,
                "display_name": each.display_name,
                "settings": each.config,
                "schedule": each.schedule,
                "is_paused": each.is_paused,
                "concurrency": each.concurrency,
                "secret_variables": variables.get(each.slug, {}),
            }
            for each in _those(Source.objects.order_by("slug"), slug=only)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add a source."""
        given = dict(values)
        sources.add_source(
            slug=key[0], source_type=given.pop("type"), config=given.pop("settings", {}), by=by,
            secrets=_read_from(given.pop("secret_variables", {})), **given,
        )  # fmt: skip

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a source."""
        given = dict(values)
        if "type" in given:
            raise FieldFixedError("A source keeps its type.")
        if "settings" in given:
            given["config"] = given.pop("settings")
        source = Source.objects.get(slug__iexact=key[0])
        changes: dict[str, NewSecret] = {}
        if "secret_variables" in given:
            # What was typed stays, unless it is named.
            held = source.secrets.exclude(env_name="").values_list("key", flat=True)
            changes = dict.fromkeys(held, secrets.FORGOTTEN)
            changes |= _read_from(given.pop("secret_variables"))
        sources.change_source(source=source, by=by, secrets=changes, **given)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a source; tables that still come from it prevent that."""
        sources.remove_source(source=Source.objects.get(slug__iexact=key[0]), by=by)


class Folders(Kind):
    """Folders."""

    name = "folders"
    fields = (fields.text("display_name"), fields.text("description"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all folders."""
        return {
            (each.slug,): {"display_name": each.display_name, "description": each.description}
            for each in _those(Folder.objects.order_by("slug"), slug=only)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Add a folder."""
        folders.add_folder(slug=key[0], by=by, **values)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a folder."""
        folders.change_folder(folder=Folder.objects.get(slug__iexact=key[0]), by=by, **values)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a folder."""
        folders.remove_folder(folder=Folder.objects.get(slug__iexact=key[0]), by=by)


class Groups(Kind):
    """Groups with the members that administrators added; others come from elsewhere."""

    name = "groups"
    fields = (fields.text("description"), fields.references("members"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all groups with the e-mails of their members."""
        those = _those(Group.objects.order_by("name"), name=only)
        found: dict[Key, Values] = {
            (name,): {"description": description, "members": []}
            for name, description in those.values_list("name", "description")
        }
        added = those.filter(memberships__source=MembershipSource.ADMIN).order_by()
        pairs = added.order_by("memberships__user__email").values_list(
            "name", "memberships__user__email"
        )
        for name, email in pairs:
            found[(name,)]["members"].append(email)
        return found

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Make a group with its members."""
        group = groups.create_group(name=key[0], description=values.get("description", ""), by=by)
        self._set_members(group, values.get("members", []), by)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Describe a group, and add and remove members."""
        group = Group.objects.get(name__iexact=key[0])
        if "description" in values:
            groups.change_group(
                group=group, name=group.name, description=values["description"], by=by
            )
        if "members" in values:
            self._set_members(group, values["members"], by)

    def remove(self, key: Key, by: User | None) -> None:
        """Remove a group with its memberships and grants."""
        groups.delete_group(group=Group.objects.get(name__iexact=key[0]), by=by)

    def may_go(self, key: Key) -> bool:
        """Say that Admin and Everyone stay."""
        return not Group.objects.filter(name__iexact=key[0], is_system=True).exists()

    def _set_members(self, group: Group, emails: list[str], by: User | None) -> None:
        """Add whom the group misses first, so that Admin is never without anybody."""
        held = {
            each.user.email.lower(): each
            for each in group.memberships.filter(source=MembershipSource.ADMIN).select_related(
                "user"
            )
        }
        wanted = {email.lower(): email for email in emails}
        for email in wanted.keys() - held.keys():
            user = User.objects.filter(email__iexact=email).first()
            if user is None:
                raise NameUnknownError(f"There is no user with the e-mail {wanted[email]}.")
            groups.add_member(group=group, user=user, by=by)
        for email in held.keys() - wanted.keys():
            groups.remove_member(membership=held[email], by=by)


class Tables(Kind):
    """The registry."""

    name = "tables"
    fields = (
        fields.reference("source"), fields.text("display_name"), fields.reference("folder"),
        fields.text("description"), fields.reference("owner"), fields.text("bucket"),
        fields.text("source_table"), fields.text("query_mode"), fields.text("source_query"),
        fields.mapping("options"), fields.text("sync_schedule"), fields.flag("is_paused"),
        fields.text("sync_strategy"), fields.listing("primary_key", of_text=True),
        fields.text("incremental_column"), fields.number("incremental_window_days"),
        fields.number("max_history_days"), fields.number("initial_load_chunk_days"),
        fields.text("partition_by"), fields.text("partition_granularity"),
        fields.listing("where_filters"), fields.text("drift_policy"), fields.flag("server_only"),
    )  # fmt: skip
    required = ("source",)
    _ELSEWHERE: ClassVar = {"source": "source__slug", "folder": "folder__slug",
                            "owner": "owner__email"}  # fmt: skip

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all tables."""
        names = [field.name for field in self.fields]
        columns = [self._ELSEWHERE.get(name, name) for name in names]
        those = _those(Table.objects.order_by("name"), name=only)
        rows = those.values_list("name", *columns)
        return {
            (row[0],): {
                name: ("" if value is None and name in self._ELSEWHERE else value)
                for name, value in zip(names, row[1:], strict=True)
            }
            for row in rows.iterator(chunk_size=2000)
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Register a table."""
        if not slugs.is_slug(key[0]):
            raise NameInvalidError(
                f"{key[0]!r} cannot be the name of a table.",
                hint=f"Such as {slugs.slug(key[0])}, with the other name as display_name.",
            )
        source = Source.objects.filter(slug__iexact=values["source"]).first()
        if source is None:
            raise NameUnknownError(f"There is no source named {values['source']!r}.")
        given = {name: value for name, value in values.items() if name not in ("source", "folder")}
        folder = self._folder(values.get("folder", ""))
        # What is empty is left to the registry, which has defaults of its own.
        given = {name: value for name, value in given.items() if value not in ("", None)}
        given["folder"] = folder.slug if folder else ""
        if "owner" in given:
            given["owner"] = self._owner(given["owner"])
        registry.register_table(source=source, name=key[0], by=by, **given)

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change a table."""
        given = dict(values)
        if "source" in given:
            raise FieldFixedError("A table keeps its source.")
        if "folder" in given:
            given["folder"] = self._folder(given["folder"])
        if "owner" in given:
            given["owner"] = self._owner(given["owner"])
        registry.update_table(table=Table.objects.get(name__iexact=key[0]), by=by, **given)

    def remove(self, key: Key, by: User | None) -> None:
        """Unregister a table."""
        registry.unregister_table(table=registry.find_table(key[0]), by=by)

    def _folder(self, slug: str) -> Folder | None:
        found = Folder.objects.filter(slug__iexact=slug).first() if slug else None
        if slug and found is None:
            raise NameUnknownError(f"There is no folder named {slug!r}.")
        return found

    def _owner(self, email: str) -> User | None:
        found = User.objects.filter(email__iexact=email).first() if email else None
        if email and found is None:
            raise NameUnknownError(f"There is no user with the e-mail {email}.")
        return found


class Grants(Kind):
    """Who may read what."""

    name = "grants"
    key = ("group", "resource_type", "resource_id")
    fields = (fields.text("tier", empty=Tier.REQUIRED.value), fields.moment("expires_at"))

    def current(self, *, only: str = "") -> dict[Key, Values]:
        """Return all grants."""
        everything = Grant.objects.order_by("group__name", "resource_type", "resource_id")
        found = _those(everything, group__name=only)
        return {
            (group, resource_type, resource_id): {
                "tier": tier,
                "expires_at": expires_at.isoformat() if expires_at else None,
            }
            for group, resource_type, resource_id, tier, expires_at in found.values_list(
                "group__name", "resource_type", "resource_id", "tier", "expires_at"
            )
        }

    def add(self, key: Key, values: Values, by: User | None) -> None:
        """Give a grant."""
        group = Group.objects.filter(name__iexact=key[0]).first()
        if group is None:
            raise NameUnknownError(f"There is no group named {key[0]!r}.")
        name = canonical_id(key[1], key[2])
        if name.lower() != key[2].lower():
            # Under another name the next import would not know the grant again.
            raise NameInvalidError(f"{key[2]!r} is granted as {name}.", hint=f"Write {name}.")
        grants.grant(
            group=group, resource_type=key[1], resource_id=name, by=by, **self._given(values)
        )

    def change(self, key: Key, values: Values, by: User | None) -> None:
        """Change how and until when a grant holds."""
        held = self._held(key)
        kept = {"tier": Tier(held.tier), "expires_at": held.expires_at}
        grants.change(given=held, by=by, **{**kept, **self._given(values)})

    def remove(self, key: Key, by: User | None) -> None:
        """Take a grant away, if it did not go with its group or its resource."""
        held = self._find(key)
        if held is not None:
            grants.revoke(given=held, by=by)

    def said(self, key: Key) -> str:
        """Return who holds a grant on what."""
        return f"{key[0]} on {key[1]} {key[2]}"

    def _given(self, values: Mapping[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        if "tier" in values:
            if values["tier"] not in Tier.values:
                raise TierUnknownError(f"{values['tier']!r} is no tier.")
            given["tier"] = Tier(values["tier"])
        if "expires_at" in values:
            given["expires_at"] = fields.as_moment(values["expires_at"])
        return given

    def _find(self, key: Key) -> Grant | None:
        return Grant.objects.filter(
            group__name__iexact=key[0], resource_type=key[1], resource_id__iexact=key[2]
        ).select_related("group").first()  # fmt: skip

    def _held(self, key: Key) -> Grant:
        held = self._find(key)
        if held is None:
            raise NameUnknownError(f"The grant of {self.said(key)} is gone.")
        return held


class TierUnknownError(InvalidInputError):
    """A grant is either required or available."""

    code = "tier_unknown"
    hint = f"Write one of: {', '.join(Tier.values)}."


def _read_from(named: Mapping[str, Any]) -> dict[str, NewSecret]:
    return {key: NewSecret(variable=str(name)) for key, name in named.items()}


def _those(found: QuerySet[Any], **named: str) -> QuerySet[Any]:
    return found.filter(**named) if all(named.values()) else found


# In the order in which things are added; they are removed the other way round.
KINDS: tuple[Kind, ...] = (Sources(), Folders(), Groups(), Tables(), Grants())
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
