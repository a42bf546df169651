-- The demo company: a subscription business that sells planning software to other companies.
--
-- Reads four variables: seed, scale, business_start (first day) and until (first day that has
-- not happened yet). Leaves one table per section in the main schema; what is only needed on
-- the way lives in the schema "making", which the last section drops.
--
-- Nothing here calls random(): every choice is a hash of the seed, of what is being decided
-- and for whom, so neither threads nor the order of rows can change it. Every id follows time,
-- so a later "until" adds rows and completes open ones, and leaves the rest as it was.

CREATE SCHEMA making;


-- Chance: a number in [0, 1) that belongs to one id and one question ("salt").

CREATE MACRO draw(id, salt) AS
    (hash(hash(getvariable('seed')::BIGINT, salt, id::BIGINT)) >> 11) / 9007199254740992::DOUBLE;

CREATE MACRO pick(choices, id, salt) AS
    choices[1 + floor(draw(id, salt) * len(choices))::BIGINT];

-- A factor around 1 that is sometimes much more: hours until an answer, minutes on a page.
CREATE MACRO spread(id, salt) AS
    exp(1.6 * (draw(id, salt || ' 1') + draw(id, salt || ' 2') + draw(id, salt || ' 3') - 1.5));


-- Time: whole months, and a moment of the working day in UTC.

CREATE MACRO until() AS getvariable('until')::DATE;
CREATE MACRO first_of_month(day) AS date_trunc('month', day)::DATE;
CREATE MACRO add_months(day, months) AS (day + to_months(months::INTEGER))::DATE;
CREATE MACRO moment(day, id, salt) AS (
    day::TIMESTAMP + to_seconds(
        21600 + floor(25200 * (draw(id, salt || ' am') + draw(id, salt || ' pm')))::BIGINT
    )
)::TIMESTAMPTZ;


-- Seasons: business is brisk in January and September, slow in August and December, and
-- quiet on weekends. Percent of an ordinary month, and of an ordinary day.

CREATE MACRO season(day) AS
    [115, 103, 105, 100, 98, 93, 84, 68, 120, 113, 107, 74][month(day)];
CREATE MACRO weekday(day) AS
    [118, 120, 117, 114, 101, 42, 48][isodow(day)];


-- The incident: for three days in March 2026 the product was down for part of the customers.
-- They wrote tickets, used it less, and many of them left on the first of April.

CREATE MACRO in_outage(day) AS day BETWEEN DATE '2026-03-17' AND DATE '2026-03-19';
CREATE MACRO hit_by_outage(customer) AS draw(customer, 'outage') < 0.35;


-- Money: a part of an amount in proportion (days of days), to the cent, half a cent upwards.

CREATE MACRO prorate(amount, part, whole) AS
    ((((amount * 100)::BIGINT * part * 2 + whole) // (2 * whole)) * 0.01)::DECIMAL(12, 2);


-- Words: what names and texts are made of.

SET VARIABLE given_names = [
    'Anna', 'Tomáš', 'Zoë', 'José', 'Łucja', 'Mehmet', 'Søren', 'Ingrid', 'Chloé', 'Jürgen',
    'Aoife', 'Grace', 'Omar', 'Priya', 'Hana', 'Mateo', 'Nadia', 'Kenji', 'Ελένη', 'Олена',
    'Marek', 'Beatriz', 'Lars', 'Fatima', 'Noah', 'Emma', 'Björn', 'Iñaki', 'Wei', 'Anaïs'
];
SET VARIABLE family_names = [
    'Novák', 'García', 'Müller', 'O''Brien', 'Kowalczyk', 'Yılmaz', 'Sørensen', 'Lindqvist',
    'Dupont', 'Weiß', 'Smith', 'Johnson', 'Haddad', 'Sharma', 'Tanaka', 'Silva', 'D''Angelo',
    'van den Berg', 'Παππά', 'Шевченко', 'Dvořák', 'Côté', 'Nguyễn', 'Li', 'Brown', 'Horváth'
];
SET VARIABLE company_words = [
    'Northern', 'Blue Fox', 'Granite', 'Silver Birch', 'Harbour', 'Éclair', 'Kraków', 'Alpine',
    'Maple', 'Lighthouse', 'Grün', 'Red Kite', 'Orchard', 'Señora', 'Copper', 'Open Field'
];
SET VARIABLE company_trades = [
    'Logistics', 'Studio', 'Bakery', 'Energy', 'Software', 'Clinic', 'Foods', 'Print', 'Bikes',
    'Consulting', 'Textiles', 'Travel', 'Brewery', 'Furniture', 'Architects', 'Labs'
];
SET VARIABLE industries = [
    'manufacturing', 'retail', 'software', 'health', 'education', 'transport', 'media',
    'construction', 'food, drink and catering', 'finance'
];
SET VARIABLE places = [
    {'country': 'DE', 'city': 'München'}, {'country': 'DE', 'city': 'Berlin'},
    {'country': 'DE', 'city': 'Köln'}, {'country': 'CZ', 'city': 'Praha'},
    {'country': 'CZ', 'city': 'Brno'}, {'country': 'PL', 'city': 'Kraków'},
    {'country': 'PL', 'city': 'Łódź'}, {'country': 'FR', 'city': 'Saint-Étienne'},
    {'country': 'FR', 'city': 'Paris'}, {'country': 'ES', 'city': 'A Coruña'},
    {'country': 'GB', 'city': 'London'}, {'country': 'GB', 'city': 'Leeds'},
    {'country': 'IE', 'city': 'Dún Laoghaire'}, {'country': 'SE', 'city': 'Malmö'},
    {'country': 'DK', 'city': 'Århus'}, {'country': 'US', 'city': 'Washington, DC'},
    {'country': 'US', 'city': 'Austin, TX'}, {'country': 'US', 'city': 'New York, NY'},
    {'country': 'CA', 'city': 'Québec'}, {'country': 'BR', 'city': 'São Paulo'},
    {'country': 'JP', 'city': '東京'}, {'country': 'GR', 'city': 'Αθήνα'}
];
SET VARIABLE sales_people = [
    'Alice Fournier', 'Bořivoj Šťastný', 'Carmen Ruiz', 'David Okafor', 'Eva Lindqvist'
];


-- The calendar: how many customers had signed up by the end of each month, and how many
-- visits the web site had had by the end of each day. Both are running totals in whole
-- numbers, rounded after they are scaled, so that any scale keeps its proportion.

CREATE TABLE making.months AS
WITH weighted AS (
    SELECT
        n AS month_number,
        add_months(getvariable('business_start'), n) AS month,
        round(58 * pow(1.025, n) * season(month))::BIGINT AS signups_percent
    FROM range(0, 1200) AS numbers(n)
    WHERE month < until()
)
SELECT
    month_number,
    month,
    add_months(month, 1) AS next_month,
    round(sum(signups_percent) OVER (ORDER BY month) * getvariable('scale') / 100)::BIGINT
        AS customers_by_end
FROM weighted
ORDER BY month;

CREATE TABLE making.days AS
WITH weighted AS (
    SELECT
        (getvariable('business_start') + n::INTEGER)::DATE AS day,
        round(1.05 * pow(1.02, n / 30.4) * season(day) * weekday(day))::BIGINT AS visits_percent
    FROM range(0, 36600) AS numbers(n)
    WHERE day < until()
)
SELECT
    day,
    round(sum(visits_percent) OVER (ORDER BY day) * getvariable('scale') / 100)::BIGINT
        AS visits_by_end
FROM weighted
ORDER BY day;


-- Plans: four tiers, each paid by the month or, cheaper, by the year.

CREATE TABLE plans AS
WITH tiers(tier, name, monthly, annual, launched_on) AS (
    VALUES
        (1, 'Starter', 29, 24, DATE '2024-01-01'),
        (2, 'Team', 99, 82, DATE '2024-01-01'),
        (3, 'Business', 299, 249, DATE '2024-01-01'),
        (4, 'Enterprise', 899, 749, DATE '2024-01-01')
)
SELECT
    lower(name) || '_monthly' AS plan_id,
    name,
    tier,
    'monthly' AS billing,
    monthly::DECIMAL(12, 2) AS price,
    monthly::DECIMAL(12, 2) AS monthly_price,
    launched_on
FROM tiers
UNION ALL
SELECT
    lower(name) || '_annual',
    name,
    tier,
    'annual',
    (annual * 12)::DECIMAL(12, 2),
    annual::DECIMAL(12, 2),
    launched_on
FROM tiers
ORDER BY tier, billing DESC;


-- Sign-ups: who came, when, from where, how large they are, and what they bought after a
-- trial of up to two weeks.

CREATE TABLE making.signups AS
WITH slots AS (
    SELECT
        slot,
        month,
        (month + floor(draw(slot, 'signup day') * (next_month - month))::INTEGER)::DATE AS day
    FROM (
        SELECT
            month,
            next_month,
            unnest(range(lag(customers_by_end, 1, 0) OVER (ORDER BY month), customers_by_end))
                AS slot
        FROM making.months
    )
),
timed AS (
    SELECT slot, moment(day, slot, 'signup time') AS signed_up_at
    FROM slots
),
numbered AS (
    SELECT row_number() OVER (ORDER BY signed_up_at, slot) AS customer_id, signed_up_at
    FROM timed
),
described AS (
    SELECT
        customer_id,
        signed_up_at,
        CASE
            WHEN draw(customer_id, 'segment') < 0.64 THEN 'small'
            WHEN draw(customer_id, 'segment') < 0.92 THEN 'mid'
            ELSE 'large'
        END AS segment,
        CASE
            WHEN draw(customer_id, 'channel') < 0.30 THEN 'organic_search'
            WHEN draw(customer_id, 'channel') < 0.48 THEN 'paid_search'
            WHEN draw(customer_id, 'channel') < 0.66 THEN 'paid_social'
            WHEN draw(customer_id, 'channel') < 0.82 THEN 'referral'
            WHEN draw(customer_id, 'channel') < 0.93 THEN 'partner'
            ELSE 'event'
        END AS channel
    FROM numbered
)
SELECT
    customer_id,
    signed_up_at,
    segment,
    channel,
    (signed_up_at::DATE + floor(draw(customer_id, 'trial') * 15)::INTEGER)::DATE AS first_on,
    CASE segment
        WHEN 'small' THEN pick([1, 1, 1, 2], customer_id, 'tier')
        WHEN 'mid' THEN pick([1, 2, 2, 3], customer_id, 'tier')
        ELSE pick([2, 3, 3, 4], customer_id, 'tier')
    END AS first_tier,
    CASE
        WHEN draw(customer_id, 'billing') < (CASE segment WHEN 'small' THEN 0.2 ELSE 0.4 END)
            THEN 'annual'
        ELSE 'monthly'
    END AS first_billing,
    CASE segment
        WHEN 'small' THEN 1 + floor(draw(customer_id, 'users') * 4)::INTEGER
        WHEN 'mid' THEN 3 + floor(draw(customer_id, 'users') * 7)::INTEGER
        ELSE 8 + floor(draw(customer_id, 'users') * 20)::INTEGER
    END AS users
FROM described
WHERE signed_up_at < until()
ORDER BY customer_id;


-- Life: on the first of every month each customer decides to stay, leave, move up, move
-- down, pay by the year from now on, or (after having left) come back. A year that is paid
-- for is left or moved down from only on its anniversary, but moved up from at any time.
-- Customers from paid social leave more easily, those who were referred less.

CREATE MACRO churn_factor(channel) AS
    CASE channel WHEN 'paid_social' THEN 1.9 WHEN 'referral' THEN 0.6 ELSE 1.0 END;
CREATE MACRO monthly_churn(tier) AS [0.042, 0.028, 0.018, 0.010][tier];
CREATE MACRO anniversary_churn(tier) AS [0.20, 0.15, 0.10, 0.06][tier];

CREATE TABLE making.life AS
WITH RECURSIVE life AS (
    SELECT
        customer_id,
        channel,
        first_of_month(first_on) AS month,
        1 AS spell,
        true AS is_active,
        first_tier AS tier,
        first_billing AS billing,
        'new' AS change,
        first_on AS started_on
    FROM making.signups
    WHERE first_on < until()
    UNION ALL
    SELECT
        customer_id,
        channel,
        this_month,
        CASE WHEN decision = 'stay' THEN spell ELSE spell + 1 END,
        CASE decision WHEN 'churn' THEN false WHEN 'reactivation' THEN true ELSE is_active END,
        CASE decision WHEN 'upgrade' THEN tier + 1 WHEN 'downgrade' THEN tier - 1 ELSE tier END,
        CASE decision
            WHEN 'annual_switch' THEN 'annual'
            WHEN 'reactivation' THEN 'monthly'
            ELSE billing
        END,
        CASE WHEN decision = 'stay' THEN change ELSE decision END,
        CASE
            WHEN decision = 'stay' THEN started_on
            WHEN decision = 'reactivation'
                THEN (this_month + floor(draw(step, 'day of return') * 28)::INTEGER)::DATE
            WHEN billing = 'annual' AND is_anniversary THEN add_months(started_on, age)
            ELSE this_month
        END
    FROM (
        SELECT
            *,
            CASE
                WHEN NOT is_active
                    THEN CASE WHEN chance < 0.007 THEN 'reactivation' ELSE 'stay' END
                WHEN chance < leaving THEN 'churn'
                WHEN chance < leaving + 0.016 AND tier < 4 THEN 'upgrade'
                WHEN billing = 'annual' AND NOT is_anniversary THEN 'stay'
                WHEN chance < leaving + 0.023 AND tier > 1 THEN 'downgrade'
                WHEN chance < leaving + 0.034 AND billing = 'monthly' THEN 'annual_switch'
                ELSE 'stay'
            END AS decision
        FROM (
            SELECT
                *,
                CASE
                    WHEN billing = 'monthly'
                        THEN monthly_churn(tier) * churn_factor(channel)
                            * CASE
                                WHEN this_month = DATE '2026-04-01' AND hit_by_outage(customer_id)
                                    THEN 6
                                ELSE 1
                            END
                    WHEN is_anniversary THEN anniversary_churn(tier) * churn_factor(channel)
                    ELSE 0
                END AS leaving
            FROM (
                SELECT
                    *,
                    add_months(month, 1) AS this_month,
                    date_diff('month', started_on, this_month) AS age,
                    age % 12 = 0 AS is_anniversary,
                    customer_id * 1200
                        + date_diff('month', getvariable('business_start'), this_month) AS step,
                    draw(step, 'decision') AS chance
                FROM life
                WHERE add_months(month, 1) < until()
            )
        )
    )
)
SELECT customer_id, month, spell, is_active, tier, billing, change, started_on
FROM life
ORDER BY customer_id, month;


-- Subscriptions: one row from one change to the next. ended_on is the first day without it,
-- so a change of plan ends one subscription on the day on which the next one starts.
-- mrr is what the subscription is worth in a month: the plan's monthly price less discount.

CREATE TABLE subscriptions AS
WITH spells AS (
    SELECT DISTINCT customer_id, spell, is_active, tier, billing, change, started_on
    FROM making.life
),
dated AS (
    SELECT
        *,
        lead(started_on) OVER spells_of_customer AS next_on,
        lead(change) OVER spells_of_customer AS next_change
    FROM spells
    WINDOW spells_of_customer AS (PARTITION BY customer_id ORDER BY spell)
),
discounted AS (
    SELECT
        dated.*,
        plans.plan_id,
        plans.monthly_price,
        CASE
            WHEN dated.tier >= 3 AND dated.billing = 'annual'
                THEN pick([0, 0, 10, 15, 20], customer_id * 100 + spell, 'discount')
            ELSE pick([0, 0, 0, 0, 0, 0, 0, 10, 20], customer_id * 100 + spell, 'discount')
        END AS discount_percent
    FROM dated
    JOIN plans USING (tier, billing)
    WHERE dated.is_active AND dated.started_on < until()
),
numbered AS (
    SELECT *, row_number() OVER (ORDER BY started_on, customer_id) AS subscription_id
    FROM discounted
)
SELECT
    subscription_id,
    customer_id,
    plan_id,
    started_on,
    CASE WHEN next_on < until() THEN next_on END AS ended_on,
    change AS start_reason,
    CASE WHEN next_on < until() THEN next_change END AS end_reason,
    lag(subscription_id) OVER (PARTITION BY customer_id ORDER BY started_on)
        AS previous_subscription_id,
    discount_percent::INTEGER AS discount_percent,
    (monthly_price * (100 - discount_percent) * 0.01)::DECIMAL(12, 2) AS mrr
FROM numbered
ORDER BY subscription_id;

CREATE TABLE making.subscribed_months AS
SELECT DISTINCT customer_id, month, next_month, month_number
FROM subscriptions
JOIN making.months
    ON next_month > started_on AND (month < ended_on OR ended_on IS NULL)
ORDER BY customer_id, month;


-- Users: the people of each customer, the first of whom signed up. The others came later.

CREATE TABLE making.people AS
WITH numbered AS (
    SELECT
        row_number() OVER (ORDER BY customer_id, place) AS user_id,
        customer_id,
        place,
        signed_up_at
    FROM (
        SELECT customer_id, signed_up_at, unnest(range(users)) AS place
        FROM making.signups
    )
)
SELECT
    user_id,
    customer_id,
    place,
    pick(getvariable('given_names'), user_id, 'given name') AS given_name,
    pick(getvariable('family_names'), user_id, 'family name') AS family_name,
    CASE
        WHEN place = 0 THEN signed_up_at
        ELSE moment(
            (
                signed_up_at::DATE + 1
                + floor(400 * draw(user_id, 'joined') * draw(user_id, 'joined late'))::INTEGER
            )::DATE,
            user_id,
            'joined at'
        )
    END AS created_at
FROM numbered
ORDER BY user_id;

CREATE TABLE users AS
SELECT
    user_id,
    customer_id,
    given_name || ' ' || family_name AS name,
    coalesce(
        nullif(regexp_replace(
            translate(lower(strip_accents(given_name)), 'łø', 'lo'), '[^a-z]', '', 'g'), ''),
        'user'
    ) || user_id || '@company' || customer_id || '.example' AS email,
    CASE WHEN place = 0 THEN 'owner' ELSE pick(['admin', 'member', 'member', 'member', 'guest'],
        user_id, 'role') END AS role,
    CASE WHEN draw(user_id, 'locale') < 0.85 THEN
        pick(['en', 'en', 'de', 'cs', 'fr', 'es', 'pl'], user_id, 'language') END AS locale,
    created_at
FROM making.people
WHERE created_at < until()
ORDER BY user_id;


-- Customers: the companies. The state is the one at the end of the data: in trial (nothing
-- bought yet), active, or churned (every subscription has ended; churned_on is the last end).

CREATE TABLE customers AS
WITH states AS (
    SELECT
        customer_id,
        bool_or(ended_on IS NULL) AS is_active,
        max(ended_on) AS last_end
    FROM subscriptions
    GROUP BY customer_id
)
SELECT
    customer_id,
    CASE
        WHEN draw(customer_id, 'name') < 0.55
            THEN pick(getvariable('company_words'), customer_id, 'word') || ' '
                || pick(getvariable('company_trades'), customer_id, 'trade')
        WHEN draw(customer_id, 'name') < 0.80
            THEN pick(getvariable('family_names'), customer_id, 'founder') || ' & '
                || pick(getvariable('family_names'), customer_id, 'partner') || ', '
                || pick(['s.r.o.', 'GmbH', 'Ltd.', 'S.A.', 'Inc.'], customer_id, 'form')
        WHEN draw(customer_id, 'name') < 0.92
            THEN '"' || pick(getvariable('company_words'), customer_id, 'word') || '" '
                || pick(getvariable('company_trades'), customer_id, 'trade')
        ELSE pick(getvariable('family_names'), customer_id, 'founder') || '''s '
            || pick(getvariable('company_trades'), customer_id, 'trade')
    END AS name,
    people.given_name || ' ' || people.family_name AS contact_name,
    'billing@company' || customer_id || '.example' AS email,
    home.country,
    home.city,
    segment,
    CASE WHEN draw(customer_id, 'industry known') < 0.94
        THEN pick(getvariable('industries'), customer_id, 'industry') END AS industry,
    CASE WHEN draw(customer_id, 'employees known') < 0.88
        THEN floor((CASE segment WHEN 'small' THEN 8 WHEN 'mid' THEN 90 ELSE 1200 END)
            * spread(customer_id, 'employees') + 1)::INTEGER END AS employees,
    channel AS acquisition_channel,
    CASE WHEN channel = 'referral' AND customer_id > 1
        THEN 1 + floor(draw(customer_id, 'referrer') * (customer_id - 1))::BIGINT
    END AS referred_by_customer_id,
    signed_up_at,
    CASE
        WHEN states.customer_id IS NULL THEN 'trial'
        WHEN states.is_active THEN 'active'
        ELSE 'churned'
    END AS status,
    CASE WHEN NOT states.is_active THEN states.last_end END AS churned_on
FROM (
    SELECT *, pick(getvariable('places'), customer_id, 'place') AS home
    FROM making.signups
)
JOIN (SELECT * FROM making.people WHERE place = 0) AS people USING (customer_id)
LEFT JOIN states USING (customer_id)
ORDER BY customer_id;


-- Invoices: each bills one period of one subscription in advance, and
--
--     amount = list_amount - discount_amount - proration_amount
--     list_amount = the plan's price, discount_amount = its discount_percent of that
--
-- Paid by the month, periods are calendar months; a first period that starts within a month is
-- prorated: its proration_amount is the share of the days before the start. Paid by the year,
-- periods are years from the start. When a year is left early for a higher plan, a credit
-- gives back the unused days: its list and discount amounts are negative, its proration_amount
-- takes out the days that were used, and its period is what was not used.
--
-- So for any day, (list_amount - discount_amount) / period_months, summed over the invoices
-- whose period covers that day, is the MRR of that day: to the cent, credits included.

CREATE TABLE invoices AS
WITH billed AS (
    SELECT
        subscriptions.*,
        plans.billing,
        plans.price,
        (plans.price * discount_percent * 0.01)::DECIMAL(12, 2) AS discount,
        (plans.price - discount)::DECIMAL(12, 2) AS net,
        coalesce(ended_on, until()) AS billed_until
    FROM subscriptions
    JOIN plans USING (plan_id)
),
months AS (
    SELECT
        billed.*,
        1 AS period_months,
        greatest(month, started_on) AS period_start,
        next_month AS period_end,
        next_month - month AS full_days
    FROM billed
    JOIN making.months ON next_month > started_on AND month < billed_until
    WHERE billing = 'monthly'
),
years AS (
    SELECT
        billed.*,
        12 AS period_months,
        add_months(started_on, 12 * year) AS period_start,
        add_months(started_on, 12 * year + 12) AS period_end,
        period_end - period_start AS full_days
    FROM billed, range(0, 100) AS years(year)
    WHERE billing = 'annual' AND period_start < billed_until
),
lines AS (
    SELECT
        *,
        CASE WHEN period_end - period_start < full_days THEN 'prorated' ELSE 'full' END AS kind,
        1 AS sign,
        period_end - period_start AS billed_days
    FROM (FROM months UNION ALL FROM years)
    UNION ALL
    SELECT
        * REPLACE (ended_on AS period_start),
        'credit' AS kind,
        -1 AS sign,
        period_end - ended_on AS billed_days
    FROM years
    WHERE ended_on > period_start AND ended_on < period_end
),
numbered AS (
    SELECT
        *,
        row_number() OVER (ORDER BY period_start, subscription_id, kind) AS invoice_id,
        (period_start + floor(26 * draw(invoice_id, 'paid') * draw(invoice_id, 'paid late'))
            ::INTEGER)::DATE AS settled_on,
        prorate(net, billed_days, full_days) AS charge
    FROM lines
)
SELECT
    invoice_id,
    'INV-' || year(period_start) || '-' || lpad(invoice_id::VARCHAR, 7, '0') AS invoice_number,
    subscription_id,
    customer_id,
    kind,
    period_start AS issued_on,
    period_start + 14 AS due_on,
    period_start,
    period_end,
    period_months,
    (sign * price)::DECIMAL(12, 2) AS list_amount,
    (sign * discount)::DECIMAL(12, 2) AS discount_amount,
    (sign * (net - charge))::DECIMAL(12, 2) AS proration_amount,
    (sign * charge)::DECIMAL(12, 2) AS amount,
    'USD' AS currency,
    CASE
        WHEN kind = 'credit' THEN period_start
        WHEN draw(invoice_id, 'never paid') < 0.008 THEN NULL
        WHEN settled_on < until() THEN settled_on
    END AS paid_on,
    CASE
        WHEN paid_on IS NOT NULL THEN 'paid'
        WHEN period_start + 90 < until() THEN 'uncollectible'
        WHEN due_on < until() THEN 'overdue'
        ELSE 'open'
    END AS status
FROM numbered
ORDER BY invoice_id;


-- Web sessions: visits to the public site. Each sign-up is one of them; of the rest, one in
-- five is by a customer who signed up before that day, the others by people we do not know.

CREATE TABLE web_sessions AS
WITH signed_up AS (
    SELECT signed_up_at::DATE AS day, max(customer_id) AS last_customer_id
    FROM making.signups
    GROUP BY day
),
visits AS (
    SELECT
        day,
        unnest(range(lag(visits_by_end, 1, 0) OVER (ORDER BY day), visits_by_end)) AS visit
    FROM making.days
),
sessions AS (
    SELECT
        visit,
        CASE WHEN draw(visit, 'known') < 0.2
            THEN 1 + floor(draw(visit, 'customer') * last_customer_id)::BIGINT
        END AS customer_id,
        moment(visits.day, visit, 'visit') AS started_at,
        CASE
            WHEN draw(visit, 'channel') < 0.34 THEN 'organic_search'
            WHEN draw(visit, 'channel') < 0.52 THEN 'paid_search'
            WHEN draw(visit, 'channel') < 0.76 THEN 'paid_social'
            WHEN draw(visit, 'channel') < 0.88 THEN 'direct'
            WHEN draw(visit, 'channel') < 0.94 THEN 'referral'
            WHEN draw(visit, 'channel') < 0.98 THEN 'partner'
            ELSE 'event'
        END AS channel,
        false AS is_signup
    FROM visits
    ASOF LEFT JOIN signed_up ON visits.day > signed_up.day
    UNION ALL
    SELECT
        -customer_id,
        customer_id,
        signed_up_at - to_seconds(120 + floor(draw(customer_id, 'visit') * 900)::BIGINT),
        channel,
        true
    FROM making.signups
),
numbered AS (
    SELECT *, row_number() OVER (ORDER BY started_at, visit) AS session_id
    FROM sessions
)
SELECT
    session_id,
    CASE WHEN customer_id IS NULL
        THEN format('v{:08d}', 
            greatest(1, session_id - floor(60 * pow(draw(visit, 'visitor'), 3))::BIGINT))
        ELSE format('c{:08d}', customer_id)
    END AS visitor_id,
    customer_id,
    started_at,
    NOT is_signup AND draw(visit, 'bounce') < 0.38 AS is_bounce,
    CASE WHEN is_bounce THEN 1 ELSE 2 + floor(4 * spread(visit, 'pages'))::INTEGER END
        AS pages_viewed,
    floor(pages_viewed * (12 + 40 * spread(visit, 'seconds')))::INTEGER AS duration_seconds,
    is_signup,
    channel,
    CASE WHEN channel IN ('paid_search', 'paid_social') THEN
        pick(['spring, launch', 'always on', 'brand', 'compare "us" and them'], visit, 'campaign')
    END AS campaign,
    pick(['/', '/', '/pricing', '/features', '/blog/planning-well', '/docs?topic=start,here'],
        visit, 'page') AS landing_page,
    pick(['desktop', 'desktop', 'desktop', 'mobile', 'mobile', 'tablet'], visit, 'device')
        AS device,
    CASE WHEN draw(visit, 'country known') < 0.97
        THEN pick(getvariable('places'), coalesce(customer_id, visit),
            CASE WHEN customer_id IS NULL THEN 'country' ELSE 'place' END).country
    END AS country
FROM numbered
ORDER BY session_id;


-- Usage events: what the users of paying customers do in the product. People differ in how
-- much they use it; the API needs the Business tier; the assistant was launched in September
-- 2025 and spread from then on.

CREATE TABLE usage_events AS
WITH wanted AS (
    SELECT
        user_id,
        customer_id,
        month,
        next_month,
        created_at,
        user_id * 1200 + month_number AS user_month,
        least(
            floor(-ln(1 - draw(user_month, 'events')) * 5.6 * spread(user_id, 'diligence')
                * season(month) / 100),
            900
        )::INTEGER AS events
    FROM making.people
    JOIN making.subscribed_months USING (customer_id)
    WHERE created_at < next_month
),
placed AS (
    SELECT
        *,
        user_month * 1000 + place AS event,
        (month + floor(draw(event, 'day') * (next_month - month))::INTEGER)::DATE AS day,
        moment(day, event, 'time') AS occurred_at
    FROM (SELECT *, unnest(range(events)) AS place FROM wanted)
),
happened AS (
    SELECT
        placed.*,
        plans.tier,
        draw(event, 'feature') AS chance,
        draw(placed.user_id, 'adopts') < 0.5
            AND day >= DATE '2025-09-15' + floor(300 * draw(placed.user_id, 'adopts on'))::INTEGER
            AS has_assistant
    FROM placed
    JOIN subscriptions
        ON subscriptions.customer_id = placed.customer_id
        AND day >= subscriptions.started_on
        AND (day < subscriptions.ended_on OR subscriptions.ended_on IS NULL)
    JOIN plans USING (plan_id)
    WHERE occurred_at >= created_at
        AND occurred_at < until()
        AND draw(event, 'weekend') * 120 < weekday(day)
        AND NOT (
            in_outage(day) AND hit_by_outage(placed.customer_id) AND draw(event, 'down') < 0.9
        )
)
SELECT
    row_number() OVER (ORDER BY occurred_at, event) AS event_id,
    user_id,
    customer_id,
    occurred_at,
    CASE
        WHEN has_assistant AND chance < 0.15 THEN 'assistant'
        WHEN tier >= 3 AND chance < 0.25 THEN 'api'
        WHEN chance < 0.55 THEN 'boards'
        WHEN chance < 0.75 THEN 'reports'
        WHEN chance < 0.87 THEN 'calendar'
        WHEN chance < 0.95 AND tier >= 2 THEN 'automations'
        WHEN chance < 0.98 THEN 'exports'
        ELSE 'boards'
    END AS feature,
    pick(['opened', 'opened', 'opened', 'changed', 'changed', 'created', 'shared'], event, 'act')
        AS action,
    CASE WHEN feature = 'api' THEN 'server'
        ELSE pick(['web', 'web', 'web', 'ios', 'android'], event, 'platform') END AS platform,
    CASE WHEN draw(event, 'timed') < 0.7
        THEN floor(180 * spread(event, 'took'))::INTEGER END AS duration_ms,
    CASE WHEN draw(event, 'detailed') < 0.3
        THEN format('{{"items": {}, "view": "{}"}}',
            1 + floor(20 * draw(event, 'items'))::BIGINT,
            pick(['plan, draft', 'plan', 'přehled', 'mine'], event, 'view'))
    END AS properties
FROM happened
ORDER BY event_id;


-- Support tickets: large customers write more; the incident of March 2026 has its own. A
-- ticket that was not answered or resolved by the end of the data is open.

CREATE TABLE support_tickets AS
WITH ordinary AS (
    SELECT
        customer_id,
        users,
        signed_up_at,
        customer_id * 1200 + month_number AS customer_month,
        unnest(range(least(
            floor(-ln(1 - draw(customer_month, 'tickets'))
                * (CASE segment WHEN 'small' THEN 0.22 WHEN 'mid' THEN 0.5 ELSE 1.1 END)
                + draw(customer_month, 'one more')),
            20
        )::INTEGER)) AS place,
        customer_month * 100 + place AS ticket,
        (month + floor(draw(ticket, 'day') * (next_month - month))::INTEGER)::DATE AS day,
        pick(['how-to', 'how-to', 'bug', 'bug', 'billing', 'feature request', 'access'],
            ticket, 'category') AS category
    FROM making.subscribed_months
    JOIN making.signups USING (customer_id)
    WHERE draw(customer_month, 'writes') < 0.4
),
about_outage AS (
    SELECT
        customer_id,
        users,
        signed_up_at,
        customer_id * 1200 AS customer_month,
        99 AS place,
        customer_month * 100 + place AS ticket,
        DATE '2026-03-17' + floor(draw(ticket, 'day') * 3)::INTEGER AS day,
        'outage' AS category
    FROM making.subscribed_months
    JOIN making.signups USING (customer_id)
    WHERE month = DATE '2026-03-01' AND hit_by_outage(customer_id)
),
written AS (
    SELECT
        *,
        moment(day, ticket, 'time') AS created_at,
        CASE
            WHEN category = 'outage' THEN 'urgent'
            ELSE pick(['low', 'normal', 'normal', 'normal', 'high', 'urgent'], ticket, 'priority')
        END AS priority,
        (CASE priority WHEN 'urgent' THEN 5 WHEN 'high' THEN 11 WHEN 'normal' THEN 26 ELSE 60 END)
            * (CASE category WHEN 'outage' THEN 6 ELSE 1 END)
            * spread(ticket, 'effort') AS hours_to_resolve
    FROM (FROM ordinary UNION ALL FROM about_outage)
),
timed AS (
    SELECT
        *,
        created_at + to_seconds(
            floor(hours_to_resolve * 3600 * (0.05 + 0.3 * draw(ticket, 'first answer')))::BIGINT
        ) AS answered_at,
        created_at + to_seconds(floor(hours_to_resolve * 3600)::BIGINT) AS solved_at
    FROM written
    WHERE created_at < until() AND created_at >= signed_up_at
),
numbered AS (
    SELECT
        *,
        row_number() OVER (ORDER BY created_at, ticket) AS ticket_id,
        floor(draw(ticket, 'user') * users)::INTEGER AS user_place,
        draw(ticket, 'from a stranger') < 0.08 AS is_from_stranger
    FROM timed
)
SELECT
    ticket_id,
    numbered.customer_id,
    people.user_id,
    category,
    priority,
    pick(['email', 'email', 'chat', 'phone'], ticket, 'channel') AS channel,
    CASE category
        WHEN 'how-to' THEN pick([
            'How do I share a board, but not its budget?', 'Where is "archive" on the phone?',
            'Can two people plan the same week?'], ticket, 'subject')
        WHEN 'bug' THEN pick([
            'Export says "file too large", although it is 2 MB', 'Calendar shows ''31 April''',
            'Umlauts (ä, ö, ü) are lost in the report'], ticket, 'subject')
        WHEN 'billing' THEN pick([
            'Wrong address on the invoice, please correct', 'Paid twice?',
            'We need the word "Účtenka" on it'], ticket, 'subject')
        WHEN 'feature request' THEN pick([
            'Dark mode, please', 'Weeks that start on Sunday', 'An API for "automations"'],
            ticket, 'subject')
        WHEN 'access' THEN pick([
            'Locked out after a new phone', 'Colleague left: who owns her boards?'],
            ticket, 'subject')
        ELSE pick([
            'Nothing loads, since this morning', '"Service unavailable" on every page',
            'Is it down? Our whole team is waiting'], ticket, 'subject')
    END AS subject,
    numbered.created_at,
    CASE WHEN answered_at < until() THEN answered_at END AS first_response_at,
    CASE WHEN solved_at < until() AND draw(ticket, 'forgotten') >= 0.01 THEN solved_at END
        AS resolved_at,
    CASE WHEN resolved_at IS NULL THEN 'open' ELSE 'resolved' END AS status,
    CASE WHEN resolved_at IS NOT NULL AND draw(ticket, 'rated') < 0.42
        THEN greatest(1, least(5, 5 - floor(2.2 * draw(ticket, 'mood'))::INTEGER
            - (CASE WHEN hours_to_resolve > 48 THEN 1 ELSE 0 END)
            - (CASE WHEN category = 'outage' THEN 2 ELSE 0 END)))
    END AS satisfaction_score
FROM numbered
LEFT JOIN making.people AS people
    ON people.customer_id = numbered.customer_id
    AND people.place = numbered.user_place
    AND people.created_at <= numbered.created_at
    AND NOT is_from_stranger
ORDER BY ticket_id;


-- Opportunities: what the sales people work on. Every first subscription of a mid-sized or
-- large customer and every upgrade was won, with the MRR it added, times twelve, as amount.
-- The rest are attempts to sell a higher plan that were lost, or are still open.

CREATE TABLE opportunities AS
WITH gained AS (
    SELECT
        subscriptions.subscription_id,
        subscriptions.customer_id,
        subscriptions.plan_id,
        CASE subscriptions.start_reason WHEN 'new' THEN 'new_business' ELSE 'expansion' END
            AS kind,
        subscriptions.started_on AS known_on,
        greatest(
            signed_up_at::DATE,
            known_on - 10 - floor(50 * draw(subscriptions.subscription_id, 'sold in'))::INTEGER
        ) AS created_on,
        known_on AS expected_close_on,
        known_on AS closed_on,
        'won' AS stage,
        ((subscriptions.mrr - coalesce(before.mrr, 0)) * 12)::DECIMAL(12, 2) AS amount
    FROM subscriptions
    JOIN making.signups USING (customer_id)
    LEFT JOIN subscriptions AS before
        ON before.subscription_id = subscriptions.previous_subscription_id
    WHERE subscriptions.start_reason = 'upgrade'
        OR (subscriptions.start_reason = 'new' AND segment <> 'small')
),
attempts AS (
    SELECT
        customer_id * 1200 + month_number AS attempt,
        customer_id,
        higher.plan_id,
        (month + floor(draw(attempt, 'asked on') * 28)::INTEGER)::DATE AS created_on,
        created_on + 20 + floor(100 * draw(attempt, 'asked for'))::INTEGER AS expected_close_on,
        higher.monthly_price * 12 AS amount
    FROM making.subscribed_months
    JOIN making.signups USING (customer_id)
    JOIN subscriptions USING (customer_id)
    JOIN plans USING (plan_id)
    JOIN plans AS higher ON higher.tier = plans.tier + 1 AND higher.billing = plans.billing
    WHERE segment <> 'small' AND draw(attempt, 'asked') < 0.06 AND created_on < until()
        AND created_on >= started_on AND (created_on < ended_on OR ended_on IS NULL)
),
together AS (
    SELECT
        customer_id, plan_id, kind, known_on, created_on, expected_close_on, closed_on, stage,
        amount, subscription_id
    FROM gained
    UNION ALL
    SELECT
        customer_id,
        plan_id,
        'expansion',
        created_on,
        created_on,
        expected_close_on,
        CASE WHEN expected_close_on < until() THEN expected_close_on END AS closed_on,
        CASE
            WHEN closed_on IS NOT NULL THEN 'lost'
            WHEN created_on + 15 >= until() THEN 'qualified'
            WHEN created_on + 40 >= until() THEN 'proposal'
            ELSE 'negotiation'
        END,
        amount,
        NULL
    FROM attempts
),
numbered AS (
    SELECT *, row_number() OVER (ORDER BY known_on, customer_id, stage) AS opportunity_id
    FROM together
)
SELECT
    opportunity_id,
    customer_id,
    plan_id,
    subscription_id,
    kind,
    pick(getvariable('sales_people'), customer_id, 'owner') AS owner,
    stage,
    CASE stage
        WHEN 'won' THEN 100
        WHEN 'lost' THEN 0
        WHEN 'qualified' THEN 20
        WHEN 'proposal' THEN 45
        ELSE 70
    END AS probability_percent,
    amount::DECIMAL(12, 2) AS amount,
    'USD' AS currency,
    created_on,
    expected_close_on,
    closed_on,
    CASE WHEN stage = 'lost' THEN
        pick(['price', 'no decision', 'competitor', NULL], opportunity_id, 'reason')
    END AS lost_reason
FROM numbered
ORDER BY opportunity_id;


-- Infrastructure costs: what running the product costs in each finished month, a fixed part
-- and a part for every thousand usage events.

CREATE TABLE infrastructure_costs AS
WITH services(service_number, provider, service, fixed, per_thousand) AS (
    VALUES
        (1, 'Cumulus Cloud', 'compute', 900, 45.00),
        (2, 'Cumulus Cloud', 'database', 700, 22.00),
        (3, 'Cumulus Cloud', 'storage', 120, 6.50),
        (4, 'Edgeline', 'content delivery', 80, 9.00),
        (5, 'Edgeline', 'firewall, "standard"', 150, 0.00),
        (6, 'Watchtower', 'monitoring', 200, 4.00),
        (7, 'Lingua', 'language models', 0, 14.00)
),
used AS (
    SELECT first_of_month(occurred_at::DATE) AS month, count(*) AS events
    FROM usage_events
    GROUP BY month
)
SELECT
    month_number * 10 + service_number AS cost_id,
    month AS cost_month,
    provider,
    service,
    (
        (fixed * getvariable('scale')::DECIMAL(12, 4) + per_thousand * coalesce(events, 0) * 0.001)
        * (95 + floor(11 * draw(cost_id, 'cost'))::INTEGER) * 0.01
    )::DECIMAL(12, 2) AS amount,
    'USD' AS currency
FROM making.months
CROSS JOIN services
LEFT JOIN used USING (month)
WHERE next_month <= until()
    AND (service <> 'language models' OR month >= DATE '2025-09-01')
ORDER BY cost_id;


-- What each table is, in one sentence.

COMMENT ON TABLE plans IS 'What can be bought: four tiers, by the month or by the year.';
COMMENT ON TABLE customers IS 'Companies that signed up, with their state at the end of the data.';
COMMENT ON TABLE users IS 'People of the customers who may use the product.';
COMMENT ON TABLE subscriptions IS 'Who paid for which plan from when to when, and its MRR.';
COMMENT ON TABLE invoices IS 'What was billed for each period of a subscription, credits included.';
COMMENT ON TABLE web_sessions IS 'Visits to the public web site, sign-ups among them.';
COMMENT ON TABLE usage_events IS 'What users did in the product, one row per action.';
COMMENT ON TABLE support_tickets IS 'Questions of customers, and how long the answers took.';
COMMENT ON TABLE opportunities IS 'What the sales people tried to sell: won, lost and open.';
COMMENT ON TABLE infrastructure_costs IS 'What running the product costs each month.';

DROP SCHEMA making CASCADE;
