"""Somebody who may read, but is no administrator."""

from __future__ import annotations

from access.models import Grant, Group, User
from access.services import groups, stamps, tokens


def add_reader(name: str) -> str:
    """Add a person in a group of their own and return a token of theirs."""
    user = User.objects.create_user(f"{name}@example.com")
    group = groups.create_group(name=name, description="", by=None)
    groups.add_member(group=group, user=user, by=None)
    return tokens.create(user=user, name="bench", by=None).secret


def grant_each(name: str, tables: list[str]) -> None:
    """Give the group of that reader a grant on each table: the most grants there can be."""
    group = Group.objects.get(name=name)
    Grant.objects.bulk_create(
        Grant(group=group, resource_type="table", resource_id=table) for table in tables
    )
    stamps.move_groups([group])
