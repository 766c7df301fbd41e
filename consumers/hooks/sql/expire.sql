-- Gives up what had its time, of a webhook to which nothing can be sent now.
UPDATE webhook_deliveries
SET state = 'dead', error = coalesce(error, 'expired')
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_deliveries
    WHERE hook = $1 AND state = 'waiting' AND expires_at <= clock_timestamp()
    ORDER BY delivery_id
    LIMIT $2
)
