-- The first that waits of each driver, where it is due and not on its way, and when something
-- more is due: $1 the webhook, $2 deliveries on their way, $3 how many. One statement, so that
-- nothing becomes due between the two. One row without a delivery where none is.
SELECT
    n.next_due_s,
    d.delivery_id,
    d.event_id,
    d.attempts,
    d.body,
    d.left_s,
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
) AS n
LEFT JOIN (
    SELECT
        waiting.delivery_id,
        waiting.event_id,
        waiting.attempts,
        waiting.body,
        waiting.type,
        waiting.due_at,
        extract(epoch FROM waiting.expires_at - statement_timestamp())::float8 AS left_s
    FROM webhook_deliveries AS waiting
    WHERE
        waiting.hook = $1
        AND waiting.state = 'waiting'
        AND waiting.due_at <= statement_timestamp()
        AND waiting.delivery_id <> ALL ($2::bigint[])
        AND (
            waiting.driver_id IS NULL
            -- One look into the index for each, whatever the planner believes of the table.
            OR waiting.delivery_id = (
                SELECT first.delivery_id FROM webhook_deliveries AS first
                WHERE
                    first.hook = waiting.hook
                    AND first.driver_id = waiting.driver_id
                    AND first.state = 'waiting'
                ORDER BY first.delivery_id
                LIMIT 1
            )
        )
    ORDER BY waiting.due_at, waiting.delivery_id
    LIMIT $3
) AS d ON true
LEFT JOIN events AS e ON e.event_id = d.event_id
ORDER BY d.due_at, d.delivery_id
