"""Access in the admin: users, groups, grants, tokens, audit."""

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group as DjangoGroup

from access.admin.audit import AuditEventAdmin
from access.admin.grant import GrantAdmin
from access.admin.group import GroupAdmin
from access.admin.token import AccessTokenAdmin
from access.admin.user import UserAdmin

# What other packages bring along has no meaning here: groups are ours, e-mails are on users.
for _foreign in (DjangoGroup, EmailAddress):
    if admin.site.is_registered(_foreign):
        admin.site.unregister(_foreign)

__all__ = ["AccessTokenAdmin", "AuditEventAdmin", "GrantAdmin", "GroupAdmin", "UserAdmin"]
