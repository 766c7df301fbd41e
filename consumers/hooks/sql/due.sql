-- The first that waits of each driver, where it is due and not on its way: $1 the webhook, $2
-- deliveries on their way, $3 how many.
SELECT
    d.delivery_id,
    d.event_id,
    d.attempts,
    d.body,
    extract(epoch FROM d.expires_at - clock_timestamp())::float8 AS left_s,
    d.type,
    e.driver_id,
    e.order_id,
    e.geofence_id,
    e.at,
    e.recorded_at,
    e.data
FROM webhook_deliveries AS d
LEFT JOIN events AS e ON e.event_id = d.event_id
WHERE
    d.hook = $1
    AND d.state = 'waiting'
    AND d.due_at <= clock_timestamp()
    AND d.delivery_id <> ALL ($2::bigint[])
    AND (
        d.driver_id IS NULL
        -- One look into the index for each, whatever the planner believes of the table.
        OR d.delivery_id = (
            SELECT first.delivery_id FROM webhook_deliveries AS first
            WHERE
                first.hook = d.hook
                AND first.driver_id = d.driver_id
                AND first.state = 'waiting'
            ORDER BY first.delivery_id
            LIMIT 1
        )
    )
ORDER BY d.due_at, d.delivery_id
LIMIT $3
