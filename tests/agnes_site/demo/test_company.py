from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import duckdb
import pytest

from agnes_site.demo import generator

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

# Every end of a month and every fifteenth that the data covers.
DAYS = """
    SELECT unnest(
        range(DATE '2024-01-15', DATE '2026-11-01', INTERVAL 1 MONTH)
        || range(DATE '2024-02-01', DATE '2026-11-02', INTERVAL 1 MONTH)
            .list_transform(lambda first: first - INTERVAL 1 DAY)
    )::DATE AS day
"""


def value(company: duckdb.DuckDBPyConnection, sql: str):
    [(found,)] = company.execute(sql).fetchall()
    return found


def pairs(company: duckdb.DuckDBPyConnection, sql: str) -> dict:
    return dict(company.execute(sql).fetchall())


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


class TestSubscriptions:
    def test_of_one_customer_do_not_overlap(self, company):
        overlaps = value(
            company,
            """
            SELECT count(*)
            FROM subscriptions AS a JOIN subscriptions AS b USING (customer_id)
            WHERE a.subscription_id < b.subscription_id
                AND (a.ended_on IS NULL OR b.started_on < a.ended_on)
            """,
        )

        assert overlaps == 0

    def test_change_plan_by_ending_and_starting_on_the_same_day(self, company):
        changes, broken = company.execute("""
            SELECT count(*), count(*) FILTER (
                WHERE before.ended_on <> after.started_on
                    OR before.end_reason <> after.start_reason
                    OR (after.start_reason = 'upgrade') <> (new.tier > old.tier)
                    OR (after.start_reason = 'downgrade') <> (new.tier < old.tier)
                    OR (after.start_reason = 'annual_switch') <> (
                        old.billing = 'monthly' AND new.billing = 'annual'
                    )
            )
            FROM subscriptions AS after
            JOIN subscriptions AS before
                ON before.subscription_id = after.previous_subscription_id
            JOIN plans AS old ON old.plan_id = before.plan_id
            JOIN plans AS new ON new.plan_id = after.plan_id
            WHERE after.start_reason IN ('upgrade', 'downgrade', 'annual_switch')
        """).fetchone()

        assert changes > 100
        assert broken == 0

    def test_start_again_only_after_a_churn(self, company):
        reasons = pairs(
            company,
            """
            SELECT after.start_reason, list_sort(list(DISTINCT before.end_reason))
            FROM subscriptions AS after
            LEFT JOIN subscriptions AS before
                ON before.subscription_id = after.previous_subscription_id
            WHERE after.start_reason IN ('new', 'reactivation')
            GROUP BY after.start_reason
            """,
        )

        assert reasons == {"new": [None], "reactivation": ["churn"]}

    def test_have_an_end_and_a_reason_together(self, company):
        reasons = pairs(
            company, "SELECT end_reason, count(ended_on) FROM subscriptions GROUP BY ALL"
        )

        assert reasons.pop(None) == 0
        assert set(reasons) == {"churn", "upgrade", "downgrade", "annual_switch"}

    def test_decide_the_status_of_their_customer(self, company):
        customers = company.execute("""
            SELECT
                status,
                churned_on,
                count(subscription_id),
                count(subscription_id) FILTER (WHERE ended_on IS NULL),
                max(ended_on)
            FROM customers LEFT JOIN subscriptions USING (customer_id)
            GROUP BY customer_id, status, churned_on
        """).fetchall()

        assert {status for status, *_ in customers} == {"trial", "active", "churned"}
        for status, churned_on, subscriptions, running, last_end in customers:
            assert running == (1 if status == "active" else 0)
            assert (subscriptions == 0) == (status == "trial")
            assert churned_on == (last_end if status == "churned" else None)


class TestInvoices:
    def test_equal_the_price_less_discount_and_proration(self, company):
        rows = company.execute("""
            SELECT
                invoices.kind, invoices.period_start, invoices.period_end, list_amount,
                discount_amount, proration_amount, amount, plans.billing, plans.price,
                discount_percent, started_on
            FROM invoices JOIN subscriptions USING (subscription_id) JOIN plans USING (plan_id)
        """).fetchall()

        seen = defaultdict(int)
        for kind, start, end, listed, discount, proration, amount, *terms in rows:
            billing, price, percent, started_on = terms
            sign = -1 if kind == "credit" else 1
            net = price * (100 - percent) / 100
            used = Decimal((end - start).days) / full_days(billing, start, end, started_on)
            charge = (net * used).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)

            assert listed == sign * price
            assert discount == sign * (price - net)
            assert amount == sign * charge
            assert amount == listed - discount - proration
            assert (kind == "full") == (used == 1)
            seen[kind] += 1

        assert min(seen[kind] for kind in ("full", "prorated", "credit")) > 10

    def test_cover_each_day_of_a_subscription_once(self, company):
        subscribed = value(
            company,
            """
            SELECT sum(last_day - started_on) FROM (
                SELECT started_on, coalesce(ended_on, DATE '2026-11-01') AS last_day
                FROM subscriptions
            )
            """,
        )
        billed = value(
            company,
            """
            SELECT sum(
                (CASE kind WHEN 'credit' THEN -1 ELSE 1 END)
                * (least(period_end, last_day) - least(period_start, last_day))
            )
            FROM invoices JOIN (
                SELECT
                    subscription_id,
                    CASE WHEN ended_on IS NULL THEN DATE '2026-11-01' ELSE 'infinity' END
                        AS last_day
                FROM subscriptions
            ) USING (subscription_id)
            """,
        )

        assert billed == subscribed

    def test_give_the_same_mrr_as_subscriptions_on_any_day(self, company):
        by_subscription = pairs(
            company,
            f"""
            SELECT day, sum(mrr)
            FROM ({DAYS})
            JOIN subscriptions
                ON started_on <= day AND (ended_on > day OR ended_on IS NULL)
            GROUP BY day
            """,
        )
        by_invoice = pairs(
            company,
            f"""
            SELECT
                day,
                sum(((list_amount - discount_amount) / period_months)::DECIMAL(12, 2))
            FROM ({DAYS})
            JOIN invoices ON period_start <= day AND period_end > day
            GROUP BY day
            """,
        )

        assert len(by_subscription) == 68
        assert by_invoice == by_subscription

    def test_give_the_revenue_of_a_month_that_mrr_promises_for_monthly_plans(self, company):
        billed, promised = company.execute("""
            SELECT
                (
                    SELECT sum(amount) FROM invoices
                    WHERE period_start = DATE '2026-09-01' AND period_months = 1
                ),
                (
                    SELECT sum(mrr) FROM subscriptions JOIN plans USING (plan_id)
                    WHERE billing = 'monthly' AND started_on <= DATE '2026-09-01'
                        AND (ended_on > DATE '2026-09-01' OR ended_on IS NULL)
                )
        """).fetchone()

        assert billed == promised > 0

    def test_say_when_they_were_paid_or_why_not(self, company):
        states = company.execute("""
            SELECT status, bool_and(paid_on >= issued_on), min(due_on), max(due_on)
            FROM invoices GROUP BY status ORDER BY status
        """).fetchall()

        by_status = {status: (paid, first, last) for status, paid, first, last in states}
        assert by_status["paid"][0] is True
        assert by_status["open"][0] is None
        assert by_status["open"][1] >= generator.BUSINESS_END
        assert by_status["overdue"][2] < generator.BUSINESS_END


class TestMrr:
    def test_moves_by_exactly_what_started_and_ended(self, company):
        months = company.execute("""
            WITH months AS (
                SELECT unnest(
                    range(DATE '2024-02-01', DATE '2026-11-01', INTERVAL 1 MONTH)
                )::DATE AS first
            ),
            moved AS (
                SELECT started_on AS day, start_reason AS reason, mrr FROM subscriptions
                UNION ALL
                SELECT ended_on, end_reason, -mrr FROM subscriptions
                WHERE ended_on IS NOT NULL
            )
            SELECT
                first,
                (SELECT sum(mrr) FROM subscriptions WHERE started_on < first
                    AND (ended_on >= first OR ended_on IS NULL)) AS before,
                (SELECT sum(mrr) FROM moved WHERE date_trunc('month', day) = first) AS moved,
                (SELECT sum(mrr) FROM subscriptions WHERE started_on < first + INTERVAL 1 MONTH
                    AND (ended_on >= first + INTERVAL 1 MONTH OR ended_on IS NULL)) AS after
            FROM months
            ORDER BY first
        """).fetchall()

        assert len(months) == 33
        for first, before, moved, after in months:
            assert before + moved == after, first

    def test_grows_over_the_years(self, company):
        first, second, third = (
            value(
                company,
                f"""
                SELECT sum(mrr) FROM subscriptions
                WHERE started_on <= DATE '{year}-10-31'
                    AND (ended_on > DATE '{year}-10-31' OR ended_on IS NULL)
                """,
            )
            for year in (2024, 2025, 2026)
        )

        assert first < second < third

    def test_is_won_by_expansion_with_the_amounts_of_the_opportunities(self, company):
        won, gained = company.execute("""
            SELECT
                (SELECT sum(amount) FROM opportunities
                    WHERE stage = 'won' AND kind = 'expansion'),
                (SELECT sum((after.mrr - before.mrr) * 12)
                    FROM subscriptions AS after
                    JOIN subscriptions AS before
                        ON before.subscription_id = after.previous_subscription_id
                    WHERE after.start_reason = 'upgrade')
        """).fetchone()

        assert won == gained > 0


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


def full_days(billing: str, start: date, end: date, started_on: date) -> int:
    """Return the days of the whole month or year that a period belongs to."""
    if billing == "monthly":
        return (end - start.replace(day=1)).days
    years = end.year - started_on.year - 1
    return (end - anniversary(started_on, years)).days


def anniversary(day: date, years: int) -> date:
    leap_day_is_missing = (day.month, day.day) == (2, 29) and (day.year + years) % 4
    return day.replace(year=day.year + years, day=28 if leap_day_is_missing else day.day)
