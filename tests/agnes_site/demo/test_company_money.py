"""How the money of the demo company adds up: subscriptions, invoices, MRR."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from agnes_site.demo import generator
from tests.agnes_site.demo.asking import pairs, value

# Every end of a month and every fifteenth that the data covers.
DAYS = """
    SELECT unnest(
        range(DATE '2024-01-15', DATE '2026-11-01', INTERVAL 1 MONTH)
        || range(DATE '2024-02-01', DATE '2026-11-02', INTERVAL 1 MONTH)
            .list_transform(lambda first: first - INTERVAL 1 DAY)
    )::DATE AS day
"""


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


def full_days(billing: str, start: date, end: date, started_on: date) -> int:
    """Return the days of the whole month or year that a period belongs to."""
    if billing == "monthly":
        return (end - start.replace(day=1)).days
    years = end.year - started_on.year - 1
    return (end - anniversary(started_on, years)).days


def anniversary(day: date, years: int) -> date:
    leap_day_is_missing = (day.month, day.day) == (2, 29) and (day.year + years) % 4
    return day.replace(year=day.year + years, day=28 if leap_day_is_missing else day.day)
