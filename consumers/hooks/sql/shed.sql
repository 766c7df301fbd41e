-- Gives up the oldest that wait beyond $3 of them.
UPDATE webhook_deliveries
SET state = 'dead', error = 'backlog'
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_deliveries
    WHERE
        hook = $1
        AND state = 'waiting'
        AND delivery_id <= (
            SELECT delivery_id FROM webhook_deliveries
            WHERE hook = $1 AND state = 'waiting'
            ORDER BY delivery_id DESC
            OFFSET $3
            LIMIT 1
        )
    ORDER BY delivery_id
    LIMIT $2
)
