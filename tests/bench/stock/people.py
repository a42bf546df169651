"""Somebody who may read, but is no administrator."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from access.models import ADMIN, Grant, Group, User
from access.services import groups, stamps, tokens


def add_reader(name: str) -> str:
    """Add a person in a group of their own and return a token of theirs."""
    user = User.objects.create_user(f"{name}@example.com")
    group = groups.create_group(name=name, description="", by=None)
    groups.add_member(group=group, user=user, by=None)
    return tokens.create(user=user, name="bench", by=None).secret


def add_readers(names: list[str]) -> dict[str, str]:
    """Add several people and return a token of each, by name."""
    return {name: add_reader(name) for name in names}


def sign_an_administrator_in() -> str:
    """Add an administrator and return the cookie of a browser in which they have signed in."""
    user = User.objects.create_user("bench@example.com")
    groups.add_member(group=Group.objects.get(name=ADMIN), user=user, by=None)
    browser = Client()
    browser.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={browser.cookies[settings.SESSION_COOKIE_NAME].value}"


def lists() -> dict[str, str]:
    """Return where each list of the admin is, by what it holds."""
    return {
        str(model._meta.verbose_name_plural): reverse(
            f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        )
        for model in admin.site._registry
    }


def grant_each(name: str, tables: list[str]) -> None:
    """Give the group of that reader a grant on each table: the most grants there can be."""
    group = Group.objects.get(name=name)
    Grant.objects.bulk_create(
        Grant(group=group, resource_type="table", resource_id=table) for table in tables
    )
    stamps.move_groups([group])


def grant_each_to_all(names: list[str], tables: list[str]) -> None:
    """Give each of those readers a grant on each table."""
    for name in names:
        grant_each(name, tables)
