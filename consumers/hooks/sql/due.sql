-- The first that waits of each driver, where it is due and not on its way, and when something
-- more is due: $1 the webhook, $2 deliveries on their way, $3 how many. One statement, so that
-- nothing becomes due between the two. One row without a delivery where none is.
--
-- The longest due are looked at first, and their drivers' first ones asked for one by one. Where
-- a thousand of them all wait for others, every driver is asked for: however much waits behind
-- drivers that failed, neither takes long.
WITH RECURSIVE longest AS MATERIALIZED (
    SELECT delivery_id, driver_id, due_at
    FROM webhook_deliveries
    WHERE hook = $1 AND state = 'waiting' AND due_at <= statement_timestamp()
    ORDER BY due_at, delivery_id
    LIMIT 1000
),
heads AS MATERIALIZED (
    SELECT delivery_id, due_at
    FROM longest
    WHERE
        delivery_id <> ALL ($2::bigint[])
        AND (
            driver_id IS NULL
            OR delivery_id = (
                SELECT first.delivery_id FROM webhook_deliveries AS first
                WHERE
                    first.hook = $1
                    AND first.state = 'waiting'
                    AND first.driver_id = longest.driver_id
                ORDER BY first.delivery_id
                LIMIT 1
            )
        )
    ORDER BY due_at, delivery_id
    LIMIT $3
),
drivers AS (
    (
        SELECT delivery_id, driver_id, due_at FROM webhook_deliveries
        WHERE hook = $1 AND state = 'waiting'
        ORDER BY driver_id, delivery_id
        LIMIT 1
    )
    UNION ALL
    SELECT next.* FROM drivers CROSS JOIN LATERAL (
        SELECT d.delivery_id, d.driver_id, d.due_at FROM webhook_deliveries AS d
        WHERE d.hook = $1 AND d.state = 'waiting' AND d.driver_id > drivers.driver_id
        ORDER BY d.driver_id, d.delivery_id
        LIMIT 1
    ) AS next
),
behind AS (
    SELECT delivery_id, due_at FROM drivers
    WHERE
        (SELECT count(*) = 1000 FROM longest)
        AND NOT EXISTS (SELECT FROM heads)
        AND driver_id IS NOT NULL
        AND due_at <= statement_timestamp()
        AND delivery_id <> ALL ($2::bigint[])
    UNION ALL
    SELECT delivery_id, due_at FROM webhook_deliveries
    WHERE
        (SELECT count(*) = 1000 FROM longest)
        AND NOT EXISTS (SELECT FROM heads)
        AND hook = $1
        AND state = 'waiting'
        AND driver_id IS NULL
        AND due_at <= statement_timestamp()
        AND delivery_id <> ALL ($2::bigint[])
    ORDER BY due_at, delivery_id
    LIMIT $3
)
SELECT
    soon.next_due_s,
    d.delivery_id,
    d.event_id,
    d.attempts,
    d.body,
    extract(epoch FROM d.expires_at - statement_timestamp())::float8 AS left_s,
    d.type,
    e.driver_id,
    e.order_id,
    e.geofence_id,
    e.at,
    e.recorded_at,
    e.data
FROM (
    SELECT extract(epoch FROM min(due_at) - statement_timestamp())::float8 AS next_due_s
    FROM webhook_deliveries
    WHERE hook = $1 AND state = 'waiting' AND due_at > statement_timestamp()
) AS soon
LEFT JOIN (SELECT * FROM heads UNION ALL SELECT * FROM behind) AS found ON true
LEFT JOIN webhook_deliveries AS d ON d.delivery_id = found.delivery_id
LEFT JOIN events AS e ON e.event_id = d.event_id
ORDER BY found.due_at, found.delivery_id
