-- Gives up what is $3 seconds beyond its time.
UPDATE webhook_deliveries
SET state = 'dead', error = coalesce(error, 'expired')
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_deliveries
    WHERE
        hook = $1
        AND state = 'waiting'
        AND expires_at <= clock_timestamp() - $3::float8 * interval '1 second'
    ORDER BY delivery_id
    LIMIT $2
)
