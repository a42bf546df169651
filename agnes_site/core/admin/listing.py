"""Lists that cost the same however long they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.views import ChangeList

from agnes_site.core import human

_COUNTED = 100_000


class CountedPaginator(Paginator):  # type: ignore[type-arg]  # generic in its stubs only
    """Pages of a list that is counted only so far, and can be turned only so far."""

    @cached_property
    def count(self) -> int:
        """Return how many there are, at most the number up to which is counted."""
        found = self.object_list
        if not isinstance(found, QuerySet):
            return len(found)
        return min(self._seen(found), _COUNTED)

    @cached_property
    def has_more(self) -> bool:
        """Whether there are more than are counted."""
        return self.count >= _COUNTED and self._seen(self.object_list) > _COUNTED

    def _seen(self, found: Any) -> int:
        if "_total" not in self.__dict__:
            self._total: int = found.order_by().values("pk")[: _COUNTED + 1].count()
        return self._total


class RowsChangeList(ChangeList):  # type: ignore[misc]  # the framework has no types
    """A page of a list, whose admin may look up more about all of its rows at once."""

    result_list: list[Any]

    def get_results(self, request: HttpRequest) -> None:
        """Fetch the rows of this page and what their admin adds to them."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        self.model_admin.complete_rows(request, self.result_list)

    def counted(self) -> str:
        """Return how many rows there are, with their name."""
        name, names = str(self.opts.verbose_name), str(self.opts.verbose_name_plural)
        return human.plural(self.result_count, name, names)

    def limits(self) -> Iterator[tuple[str, str]]:
        """Yield by what the list is limited: the name of a filter and what was chosen."""
        if self.query:
            yield "search", self.query
        for spec in self.filter_specs:
            if any(name in self.params for name in spec.expected_parameters()):
                yield str(spec.title), _chosen(spec, self)


class OneOfManyFilter(AutocompleteSelectFilter):  # type: ignore[misc]  # the framework has no types
    """Limits a list to what belongs to one other thing, which is found by typing."""

    def chosen(self) -> str:
        """Return the name of what was chosen."""
        found = self.field.remote_field.model._default_manager.filter(pk=self.value()).first()
        return str(found or "")


def _chosen(spec: Any, shown: ChangeList) -> str:
    if isinstance(spec, OneOfManyFilter):
        return spec.chosen()
    for choice in spec.choices(shown):
        if choice.get("selected"):
            return str(choice["display"])
    return ""
