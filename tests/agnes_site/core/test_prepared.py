"""Queries that are composed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import CharField, DateTimeField, Q

from access.models import Group
from agnes_site.core.prepared import Parameter, PreparedQuery

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def asked():
    """A query for the names of groups, and how often it was composed."""
    composed = []

    def make():
        composed.append(1)
        return Group.objects.filter(
            Q(name=Parameter("name", CharField()))
            | Q(created_at__gt=Parameter("since", DateTimeField())),
            name__startswith="Team",
        ).values_list("pk", "name", "created_at")

    return PreparedQuery(make), composed


@pytest.mark.django_db
class TestPreparedQuery:
    def test_answers_like_the_query_itself_for_each_value(self, asked):
        query, composed = asked
        for name, hours in (("Team A", 0), ("Team B", 2), ("Other", 3)):
            group = Group.objects.create(name=name)
            Group.objects.filter(pk=group.pk).update(created_at=NOON + timedelta(hours=hours))
        a, b = Group.objects.get(name="Team A"), Group.objects.get(name="Team B")

        later = query.rows(name="Team A", since=NOON + timedelta(hours=9))
        both = query.rows(name="Team A", since=NOON + timedelta(hours=1))
        neither = query.rows(name="Team' OR 1=1 --", since=NOON + timedelta(hours=9))

        assert later == [(a.pk, "Team A", a.created_at)]
        assert sorted(row[0] for row in both) == sorted([a.pk, b.pk])
        assert neither == []
        assert len(composed) == 1

    def test_is_one_statement(self, asked, django_assert_num_queries):
        query, _ = asked
        with django_assert_num_queries(1):
            query.rows(name="x", since=NOON)


@pytest.mark.django_db(transaction=True)
def test_is_composed_for_each_connection(asked):
    query, composed = asked
    Group.objects.create(name="Team A")

    def ask(_):
        try:
            return [row[1] for row in query.rows(name="Team A", since=NOON + timedelta(days=9999))]
        finally:
            connection.close()

    with ThreadPoolExecutor(max_workers=2) as threads:
        answers = list(threads.map(ask, range(6)))

    assert answers == [["Team A"]] * 6
    assert 1 <= len(composed) <= 2
