-- A page of a webhook's deliveries in some states, newest first: so many of each, then of all.
SELECT d.*
FROM unnest($2::text[]) AS asked (state)
CROSS JOIN LATERAL (
    SELECT
        delivery_id,
        event_id,
        type,
        driver_id,
        state,
        created_at,
        CASE WHEN state = 'waiting' THEN due_at END AS next_attempt_at,
        attempts,
        attempted_at,
        took_ms,
        status,
        error
    FROM webhook_deliveries
    WHERE
        hook = (SELECT hook FROM webhooks WHERE webhook_id = $1 AND removed_at IS NULL)
        AND state = asked.state
        AND delivery_id < $3
    ORDER BY delivery_id DESC
    LIMIT $4
) AS d
ORDER BY d.delivery_id DESC
LIMIT $4
