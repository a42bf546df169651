"""The tables of the demo company: how they refer to each other, and what is in them."""

from __future__ import annotations

from datetime import date

import pytest

from agnes_site.demo import generator
from tests.agnes_site.demo.asking import pairs, value

FOREIGN_KEYS = [
    ("customers", "referred_by_customer_id", "customers", "customer_id"),
    ("users", "customer_id", "customers", "customer_id"),
    ("subscriptions", "customer_id", "customers", "customer_id"),
    ("subscriptions", "plan_id", "plans", "plan_id"),
    ("subscriptions", "previous_subscription_id", "subscriptions", "subscription_id"),
    ("invoices", "subscription_id", "subscriptions", "subscription_id"),
    ("invoices", "customer_id", "customers", "customer_id"),
    ("web_sessions", "customer_id", "customers", "customer_id"),
    ("usage_events", "user_id", "users", "user_id"),
    ("usage_events", "customer_id", "customers", "customer_id"),
    ("support_tickets", "customer_id", "customers", "customer_id"),
    ("support_tickets", "user_id", "users", "user_id"),
    ("opportunities", "customer_id", "customers", "customer_id"),
    ("opportunities", "plan_id", "plans", "plan_id"),
    ("opportunities", "subscription_id", "subscriptions", "subscription_id"),
]


class TestReferences:
    @pytest.mark.parametrize(("table", "column", "parent", "key"), FOREIGN_KEYS)
    def test_have_no_orphans(self, company, table, column, parent, key):
        used, orphans = company.execute(f"""
            SELECT count(child.{column}), count(*) FILTER (
                WHERE child.{column} IS NOT NULL AND parent.{key} IS NULL
            )
            FROM {table} AS child LEFT JOIN {parent} AS parent ON child.{column} = parent.{key}
        """).fetchone()

        assert used > 0
        assert orphans == 0

    def test_agree_on_the_customer(self, company):
        strangers = value(
            company,
            """
            SELECT count(*) FROM (
                SELECT a.customer_id = b.customer_id AS agrees
                FROM usage_events AS a JOIN users AS b USING (user_id)
                UNION ALL
                SELECT a.customer_id = b.customer_id
                FROM support_tickets AS a JOIN users AS b USING (user_id)
                UNION ALL
                SELECT a.customer_id = b.customer_id
                FROM invoices AS a JOIN subscriptions AS b USING (subscription_id)
                UNION ALL
                SELECT a.customer_id = b.customer_id
                FROM opportunities AS a JOIN subscriptions AS b USING (subscription_id)
                UNION ALL
                SELECT a.customer_id = b.customer_id
                FROM subscriptions AS a
                JOIN subscriptions AS b ON a.previous_subscription_id = b.subscription_id
            ) WHERE NOT agrees
            """,
        )

        assert strangers == 0

    def test_find_one_row_by_the_first_column(self, company):
        for (table,) in company.execute("SHOW TABLES").fetchall():
            key = company.table(table).columns[0]
            rows, keys = company.execute(
                f"SELECT count(*), count(DISTINCT {key}) FROM {table}"
            ).fetchone()

            assert rows == keys > 0, table


class TestBehaviour:
    @pytest.mark.parametrize(
        ("table", "moment"),
        [("web_sessions", "started_at"), ("customers", "signed_up_at")],
    )
    @pytest.mark.parametrize(("busy", "quiet"), [(9, 8), (11, 12)])
    def test_follows_the_seasons(self, company, table, moment, busy, quiet):
        months = pairs(
            company,
            f"SELECT month({moment}), count(*) FROM {table} "
            f"WHERE year({moment}) < 2026 GROUP BY ALL",
        )

        assert months[busy] > months[quiet] * 1.15

    def test_rests_on_weekends(self, company):
        days = pairs(company, "SELECT isodow(occurred_at), count(*) FROM usage_events GROUP BY ALL")

        assert max(days[6], days[7]) < min(days[day] for day in range(1, 6)) * 0.6

    def test_loses_customers_of_paid_social_more_easily_than_referred_ones(self, company):
        rates = pairs(
            company,
            """
            SELECT acquisition_channel, avg((status = 'churned')::INTEGER)
            FROM customers WHERE signed_up_at < TIMESTAMPTZ '2026-01-01 00:00:00+00'
            GROUP BY ALL
            """,
        )

        assert rates["paid_social"] > rates["referral"] * 1.5

    def test_loses_customers_after_the_incident(self, company):
        churned = pairs(
            company,
            """
            SELECT
                customer_id IN (
                    SELECT customer_id FROM support_tickets WHERE category = 'outage'
                ) AS complained,
                count(*) FILTER (end_reason = 'churn' AND ended_on = DATE '2026-04-01')
                    / count(*)
            FROM subscriptions
            WHERE started_on < DATE '2026-03-17'
                AND (ended_on > DATE '2026-03-20' OR ended_on IS NULL)
            GROUP BY ALL
            """,
        )

        assert churned[True] > churned[False] * 2 > 0

    def test_happens_only_to_paying_customers_and_people_who_exist(self, company):
        impossible = value(
            company,
            """
            SELECT count(*)
            FROM usage_events
            JOIN users USING (user_id)
            LEFT JOIN subscriptions
                ON subscriptions.customer_id = usage_events.customer_id
                AND started_on <= occurred_at::DATE
                AND (ended_on > occurred_at::DATE OR ended_on IS NULL)
            WHERE created_at > occurred_at OR subscription_id IS NULL
            """,
        )

        assert impossible == 0

    def test_answers_a_ticket_before_it_resolves_it(self, company):
        resolved, wrong = company.execute("""
            SELECT count(resolved_at), count(*) FILTER (
                WHERE first_response_at < created_at OR resolved_at < first_response_at
                    OR (resolved_at IS NOT NULL AND first_response_at IS NULL)
            )
            FROM support_tickets
        """).fetchone()

        assert resolved > 100
        assert wrong == 0

    def test_ends_before_the_end_of_the_data(self, company):
        end = f"TIMESTAMPTZ '{generator.BUSINESS_END} 00:00:00+00'"
        latest = value(
            company,
            f"""
            SELECT max(moment) FROM (
                SELECT max(occurred_at) AS moment FROM usage_events
                UNION ALL SELECT max(started_at) FROM web_sessions
                UNION ALL SELECT max(signed_up_at) FROM customers
                UNION ALL SELECT max(resolved_at) FROM support_tickets
                UNION ALL SELECT max(first_response_at) FROM support_tickets
                UNION ALL SELECT max(issued_on)::TIMESTAMPTZ FROM invoices
                UNION ALL SELECT max(paid_on)::TIMESTAMPTZ FROM invoices
                UNION ALL SELECT max(ended_on)::TIMESTAMPTZ FROM subscriptions
                UNION ALL SELECT max(closed_on)::TIMESTAMPTZ FROM opportunities
            ) WHERE moment >= {end} - INTERVAL 1 DAY
            HAVING max(moment) < {end}
            """,
        )

        assert latest.date() == date(2026, 10, 31)


class TestColumns:
    def test_of_money_are_decimal(self, company):
        types = pairs(
            company,
            """
            SELECT table_name || '.' || column_name, data_type FROM duckdb_columns()
            WHERE column_name SIMILAR TO '.*amount|price|monthly_price|mrr'
            """,
        )

        assert len(types) == 9
        assert set(types.values()) == {"DECIMAL(12,2)"}

    def test_of_moments_have_a_time_zone(self, company):
        types = pairs(
            company,
            """
            SELECT table_name || '.' || column_name, data_type FROM duckdb_columns()
            WHERE column_name LIKE '%\\_at' ESCAPE '\\'
            """,
        )

        assert len(types) == 7
        assert set(types.values()) == {"TIMESTAMP WITH TIME ZONE"}

    def test_hold_other_alphabets_commas_quotes_and_nulls(self, company):
        names = " ".join(
            name for (name,) in company.execute("SELECT name FROM customers").fetchall()
        )
        cities = " ".join(
            city for (city,) in company.execute("SELECT city FROM customers").fetchall()
        )

        assert all(sign in names for sign in (",", '"', "'", "É"))
        assert "東京" in cities
        for column in ("industry", "employees", "referred_by_customer_id", "churned_on"):
            rows, known = company.execute(
                f"SELECT count(*), count({column}) FROM customers"
            ).fetchone()
            assert 0 < known < rows
