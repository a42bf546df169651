"""What happened lately, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from access.models import AuditEvent, User
from agnes_site.core import human, markup
from agnes_site.core.database import as_uuid
from agnes_site.web.overview.reading import READS

_LOOKED_AT = 1000
_SHOWN = 8

# What somebody did to one thing, and the noun of it for when there are several.
SENTENCES: Mapping[str, tuple[str, str]] = {
    "audit.check": ("found that the audit was altered", "time"),
    "audit.lost": ("found that events of the audit were gone", "time"),
    "column.describe": ("described a column of {}", "table"),
    "data.damage_reported": ("reported a damaged file of {}", "table"),
    "data.download": ("downloaded {}", "table"),
    "folder.change": ("changed the folder {}", "folder"),
    "folder.create": ("added the folder {}", "folder"),
    "folder.delete": ("removed the folder {}", "folder"),
    "incident.waive": ("waived an incident", "incident"),
    "publish": ("published a new version of {}", "table"),
    "register_table": ("registered {}", "table"),
    "registry.import": ("imported a file into the registry", "import"),
    "release": ("released {}", "table"),
    "resource_grant.changed": ("changed a grant on {}", "grant"),
    "resource_grant.created": ("granted {} to a group", "thing"),
    "resource_grant.deleted": ("took a grant on {} away", "grant"),
    "revert": ("took back a change of {}", "thing"),
    "roll_back": ("rolled {} back", "table"),
    "run.cancel": ("cancelled a run of {}", "table"),
    "run.extract": ("asked for a run of {}", "table"),
    "run.rebuild": ("asked to show {} anew", "source"),
    "run.rejected_download": ("downloaded rows that could not be read", "time"),
    "secrets.rotate": ("changed the key that secrets are encrypted with", "time"),
    "setup.done": ("set this server up", "time"),
    "source.change": ("changed the source {}", "source"),
    "source.create": ("added the source {}", "source"),
    "source.delete": ("removed the source {}", "source"),
    "source.forget_secret": ("removed a secret of {}", "source"),
    "source.found": ("found the source {}", "source"),
    "source.set_secret": ("set a secret of {}", "source"),
    "token.create": ("made a token", "token"),
    "token.revoke": ("revoked a token", "token"),
    "unregister_table": ("unregistered {}", "table"),
    "update_table": ("changed {}", "table"),
    "user.activate": ("activated the user {}", "user"),
    "user.change": ("changed the user {}", "user"),
    "user.create": ("added the user {}", "user"),
    "user.deactivate": ("deactivated the user {}", "user"),
    "user.set_password": ("set the password of {}", "user"),
    "user_group.changed": ("changed the group {}", "group"),
    "user_group.created": ("added the group {}", "group"),
    "user_group.deleted": ("removed the group {}", "group"),
    "user_group.member_added": ("put somebody into {}", "group"),
    "user_group.member_removed": ("took somebody out of {}", "group"),
}


@dataclass
class Deed:
    """The same thing done by the same person, to one thing or to several.

    ``is_cut`` when there may have been more of it than was looked at.
    """

    action: str
    actor: UUID | None
    at: datetime
    is_cut: bool = False
    resources: set[str] = field(default_factory=set)
    actors: set[UUID | None] = field(default_factory=set)


def card() -> SafeString | str:
    """Return what was done lately, the newest first."""
    found = deeds()
    if not found:
        return ""
    known = people(found)
    lines = format_html_join(
        "",
        "<li><span>{}</span>{}</li>",
        ((sentence(deed, known), markup.when(deed.at)) for deed in found),
    )
    aside = markup.link(reverse("admin:access_auditevent_changelist"), "The whole audit")
    listed = format_html('<ul class="ag-happened">{}</ul>', lines)
    return markup.card("What happened lately", listed, aside=aside)


def deeds() -> list[Deed]:
    """Return the newest deeds, the same ones of an hour as one; those of readers all as one."""
    newest = (
        AuditEvent.objects.exclude(action="audit.check", result="ok")
        .order_by("-at")
        .values_list("at", "actor_id", "action", "resource")
    )
    events = list(newest[:_LOOKED_AT])
    folded: dict[tuple[Any, ...], Deed] = {}
    for at, actor, action, resource in events:
        deed = folded.setdefault(_key(action, actor, at), Deed(action=action, actor=actor, at=at))
        deed.resources.add(resource)
        deed.actors.add(actor)
    found = list(folded.values())[:_SHOWN]
    if len(events) == _LOOKED_AT:
        oldest = events[-1][0]
        for deed in found:
            deed.is_cut = _span(deed.action, deed.at) == _span(deed.action, oldest)
    return found


def _key(action: str, actor: UUID | None, at: datetime) -> tuple[Any, ...]:
    return (action, None if action in READS else actor, *_span(action, at))


def _span(action: str, at: datetime) -> tuple[Any, ...]:
    """Return the day or the hour whose deeds are told as one."""
    return (at.date(),) if action in READS else (at.date(), at.hour)


def sentence(deed: Deed, known: Mapping[str, str]) -> str:
    """Return what was done: “Ana downloaded 3 tables”."""
    said, noun = SENTENCES.get(deed.action, (f"did “{deed.action}” to {{}}", "thing"))
    if len(deed.resources) == 1:
        what = _called(next(iter(deed.resources)), known)
    else:
        what = _counted(deed, len(deed.resources), noun)
        said = said.replace(f"the {noun} {{}}", "{}") if "{}" in said else f"{said} ({{}})"
    return f"{_who(deed, known)} {said.format(what)}"


def _who(deed: Deed, known: Mapping[str, str]) -> str:
    if len(deed.actors) > 1:
        return _counted(deed, len(deed.actors), "person", "people")
    return known.get(str(deed.actor), "Somebody") if deed.actor else "The system"


def _counted(deed: Deed, count: int, *noun: str) -> str:
    return human.plural(count, *noun) + (" or more" if deed.is_cut else "")


def _called(resource: str, known: Mapping[str, str]) -> str:
    """Return the name of a thing: a user's is looked up, another's is the end of its path."""
    kind, _, name = resource.partition("/")
    if kind == "user":
        return known.get(name, "somebody")
    return name or kind


def people(found: Iterable[Deed]) -> dict[str, str]:
    """Return the names of all users that are told of, by their id; one query."""
    ids = {deed.actor for deed in found}
    for deed in found:
        named = [each.partition("/") for each in deed.resources]
        ids |= {as_uuid(name) for kind, _, name in named if kind == "user"}
    users = User.objects.filter(pk__in=ids - {None})
    return {str(user.pk): str(user) for user in users}
