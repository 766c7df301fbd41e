-- Removes what ended in state $3: beyond the newest $4 of them, or older than $5 seconds.
DELETE FROM webhook_deliveries
WHERE delivery_id IN (
    SELECT oldest.delivery_id
    FROM (
        SELECT delivery_id, created_at FROM webhook_deliveries
        WHERE hook = $1 AND state = $3
        ORDER BY delivery_id
        LIMIT $2
    ) AS oldest
    WHERE
        oldest.created_at < clock_timestamp() - $5::float8 * interval '1 second'
        OR oldest.delivery_id <= (
            SELECT delivery_id FROM webhook_deliveries
            WHERE hook = $1 AND state = $3
            ORDER BY delivery_id DESC
            OFFSET $4
            LIMIT 1
        )
)
