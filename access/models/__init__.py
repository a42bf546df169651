"""Who there is and who may do what."""

from access.models.audit import AuditEvent
from access.models.grant import Grant, GrantQuerySet, Tier
from access.models.group import ADMIN, EVERYONE, Group, GroupQuerySet, Membership, MembershipSource
from access.models.setup import SetupCode
from access.models.token import AccessToken, TokenKind
from access.models.user import User

__all__ = [
    "ADMIN",
    "EVERYONE",
    "AccessToken",
    "AuditEvent",
    "Grant",
    "GrantQuerySet",
    "Group",
    "GroupQuerySet",
    "Membership",
    "MembershipSource",
    "SetupCode",
    "Tier",
    "TokenKind",
    "User",
]
