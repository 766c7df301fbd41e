-- Removes deliveries of a webhook that was deleted.
DELETE FROM webhook_deliveries
WHERE delivery_id IN (
    SELECT delivery_id FROM webhook_deliveries WHERE hook = $1 LIMIT $2
)
