"""Lists of the API a page at a time, for those who ask; without a limit a list is whole."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from ninja import Schema
from pydantic import Field

# What every database can count to.
LARGEST_OFFSET = 2**31
Row = TypeVar("Row", bound=Model)


class Paging(Schema):
    """Which part of a list is wanted."""

    limit: int | None = Field(
        None, ge=1, le=10_000, description="How many at most; all of them if unset."
    )
    offset: int = Field(
        0, ge=0, le=LARGEST_OFFSET, description="How many to leave out at the beginning."
    )

    def of(self, found: QuerySet[Row]) -> list[Row]:
        """Return the rows of this page."""
        end = None if self.limit is None else self.offset + self.limit
        return list(found[self.offset : end])

    def total(self, found: QuerySet[Row], page: list[Row]) -> int:
        """Return how many rows there are on all pages."""
        is_whole = self.limit is None and not self.offset
        return len(page) if is_whole else found.count()
