"""Who is calling: a token or a browser session becomes a user, in one query."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import CharField, DateTimeField, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer
from ninja.utils import check_csrf

from access.models import ADMIN, EVERYONE, AccessToken, Grant, Group, User
from access.services import tokens
from agnes_site.core.errors import AccessDeniedError, NotSignedInError
from agnes_site.core.prepared import Parameter, PreparedQuery
from agnes_site.core.requests import current, note_client_kind

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class CsrfError(AccessDeniedError):
    """A browser's request did not carry the page's own token."""

    code = "csrf_failed"
    hint = "Reload the page and try again."


class AdminRequiredError(AccessDeniedError):
    """Only administrators may do this."""

    code = "admin_required"
    hint = "Ask an administrator, or use a token without restricted scopes."


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sent a request, and all that decides which manifest they get.

    ``group_stamps`` holds the stamp of each group of the user; ``lapsed_at`` is the time at
    which the last of their grants to expire did so.
    """

    user: User
    group_stamps: Mapping[UUID, UUID] = field(repr=False)
    lapsed_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """A hash that moves whenever what this caller may read can have changed."""
        token = self.user.token
        parts = [
            str(self.user.pk),
            str(self.user.manifest_stamp),
            *(f"{group}:{stamp}" for group, stamp in sorted(self.group_stamps.items())),
            ",".join(sorted(token.only)) if token else "",
            self.lapsed_at.isoformat() if self.lapsed_at else "",
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class AuthedRequest(HttpRequest):
    """A request whose sender is known."""

    user: User
    auth: Caller


class AnyUser(HttpBearer):
    """Every signed-in caller: by bearer token, or by the session of a browser."""

    def __call__(self, request: HttpRequest) -> Caller:
        """Return who is calling.

        Raises:
            NotSignedInError: there is neither a valid token nor a session.
            CsrfError: a browser's request that changes something lacks the page's token.
        """
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            caller = self.authenticate(request, secret.strip())
        else:
            caller = self._by_session(request)
        request.user = caller.user
        return caller

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Return the caller that a token stands for."""
        caller = caller_of_token(token)
        if caller is None:
            raise NotSignedInError("The token is not valid: mistyped, expired or revoked.")
        assert caller.user.token is not None
        note_client_kind("service" if caller.user.token.kind == "svc" else "cli")
        tokens.uses.note(caller.user.token.hash, current().ip)
        return caller

    def _by_session(self, request: HttpRequest) -> Caller:
        user = request.user
        if not isinstance(user, User) or not user.is_active:
            raise NotSignedInError("Sign in, or send a token: `Authorization: Bearer agn_…`.")
        if request.method not in _SAFE_METHODS and check_csrf(request):
            raise CsrfError("The request did not come from a page of this server.")
        note_client_kind("web")
        return caller_of_user(user)


class AdminUser(AnyUser):
    """Administrators only; a token with scopes needs the scope ``admin``.

    A token that is limited to some tables never administers: it could lift its own limit.
    """

    def __call__(self, request: HttpRequest) -> Caller:
        """Return the administrator who is calling.

        Raises:
            AdminRequiredError: the caller is known, but may not administer.
        """
        caller = super().__call__(request)
        token = caller.user.token
        is_limited = token is not None and bool(
            token.only or (token.scopes and "admin" not in token.scopes)
        )
        if not caller.user.is_admin or is_limited:
            raise AdminRequiredError("Admin access required.")
        return caller


_USER_FIELDS = [field.attname for field in User._meta.concrete_fields]
_TOKEN_FIELDS = [field.attname for field in AccessToken._meta.concrete_fields]
_GROUP_FIELDS = ["group_id", "group__name", "group__stamp"]


def _holders() -> QuerySet[AccessToken, Any]:
    now = Parameter("now", DateTimeField())
    lapsed = Grant.objects.filter(expires_at__lte=now).order_by("-expires_at")
    everyone = Group.objects.filter(name=EVERYONE)
    return (
        AccessToken.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=now),
            hash=Parameter("hash", CharField()),
            revoked_at__isnull=True,
            user__is_active=True,
        )
        .annotate(
            lapsed_at=Subquery(
                lapsed.filter(group=OuterRef("user__memberships__group")).values("expires_at")[:1]
            ),
            everyone_lapsed_at=Subquery(
                lapsed.filter(group__name=EVERYONE).values("expires_at")[:1]
            ),
            everyone_id=Subquery(everyone.values("pk")[:1]),
            everyone_stamp=Subquery(everyone.values("stamp")[:1]),
        )
        .values_list(
            *_TOKEN_FIELDS,
            *(f"user__{name}" for name in _USER_FIELDS),
            *(f"user__memberships__{name}" for name in _GROUP_FIELDS),
            "lapsed_at",
            "everyone_id",
            "everyone_stamp",
            "everyone_lapsed_at",
        )
    )


# A row for each group of the token's user, or one without a group.
_holder = PreparedQuery(_holders)


def caller_of_token(secret: str) -> Caller | None:
    """Return the caller of a valid token, or ``None``; one query, none for a malformed one."""
    if not tokens.is_well_formed(secret):
        return None
    rows = _holder.rows(hash=tokens.hash_of(secret), now=timezone.now())
    if not rows:
        return None
    of_user, of_group = len(_TOKEN_FIELDS), len(_TOKEN_FIELDS) + len(_USER_FIELDS)
    user = User.from_db("default", _USER_FIELDS, rows[0][of_user:of_group])
    user.token = AccessToken.from_db("default", _TOKEN_FIELDS, rows[0][:of_user])
    everyone_id, everyone_stamp, everyone_lapsed_at = rows[0][-3:]
    lapsed = {row[-4] for row in rows} | {everyone_lapsed_at}
    return _caller(
        user,
        groups=[row[of_group : of_group + len(_GROUP_FIELDS)] for row in rows],
        everyone=(everyone_id, everyone_stamp),
        lapsed_at=max(lapsed - {None}, default=None),
    )


def caller_of_user(user: User) -> Caller:
    """Return the caller for a user who signed in by browser."""
    groups = Group.objects.of(user)
    lapsed = Grant.objects.filter(group__in=groups.values("pk"), expires_at__lte=timezone.now())
    return _caller(
        user,
        groups=list(groups.values_list("pk", "name", "stamp")),
        everyone=None,
        lapsed_at=lapsed.order_by("-expires_at").values_list("expires_at", flat=True).first(),
    )


def _caller(
    user: User,
    *,
    groups: list[tuple[Any, ...]],
    everyone: tuple[UUID, UUID] | None,
    lapsed_at: datetime | None,
) -> Caller:
    stamps = {pk: stamp for pk, _, stamp in groups if pk is not None}
    if everyone is not None:
        stamps[everyone[0]] = everyone[1]
    user.__dict__["is_admin"] = any(name == ADMIN for _, name, _ in groups)
    return Caller(user=user, group_stamps=stamps, lapsed_at=lapsed_at)
