"""Rows of a table on the page of what they belong to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.admin import TabularInline


class RowsInline(TabularInline):  # type: ignore[misc]  # the framework has no types
    """Rows of a table on the page of what they belong to, written by services."""

    extra = 0
    hide_title = True

    def add_row(self, request: HttpRequest, row: Any) -> None:
        """Add what was filled in."""
        raise NotImplementedError

    def change_row(self, request: HttpRequest, row: Any) -> None:
        """Change what was edited."""
        raise NotImplementedError

    def remove_row(self, request: HttpRequest, row: Any) -> None:
        """Remove what was ticked."""
        raise NotImplementedError
