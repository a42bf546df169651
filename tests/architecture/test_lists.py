"""What is true of every list of the admin."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.bench.stock import company

_ROWS = 60
_MOST_QUERIES = 15
_MODELS = list(django_admin.site._registry)

each_list = pytest.mark.parametrize("model", _MODELS, ids=lambda model: model.__name__)


@pytest.fixture
def pages(client, admin):
    company.fill(tables=_ROWS, columns=3, users=_ROWS, runs=_ROWS, events=_ROWS, groups=_ROWS)
    client.force_login(admin)
    return client


def path_of(model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.hostile(59)
class TestEachList:
    @each_list
    def test_takes_few_queries_for_a_full_page(self, pages, model):
        assert model._default_manager.count() >= _ROWS, (
            f"tests/bench/stock/company.py makes no rows of {model.__name__}: add some there."
        )
        with CaptureQueriesContext(connection) as queries:
            response = pages.get(path_of(model))

        assert len(response.context["cl"].result_list) > 40
        assert len(queries) <= _MOST_QUERIES, "\n".join(q["sql"][:200] for q in queries)

    @each_list
    def test_takes_few_queries_for_a_search(self, pages, model):
        assert django_admin.site._registry[model].search_fields

        with CaptureQueriesContext(connection) as queries:
            response = pages.get(path_of(model), {"q": "0001"})

        assert response.status_code == 200
        assert len(queries) <= _MOST_QUERIES

    @each_list
    def test_offers_no_choice_of_everything_there_is(self, pages, model):
        page = pages.get(path_of(model)).content.decode()

        filters = (
            page[page.index('id="changelist-filter"') :] if "changelist-filter" in page else ""
        )

        assert len(re.findall(r"<option|<li", filters)) < _ROWS
