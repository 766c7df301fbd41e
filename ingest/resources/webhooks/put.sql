UPDATE webhooks
SET
    url = $2,
    events = $3,
    driver_id = $4,
    order_id = $5,
    geofence_id = $6,
    active = $7,
    disabled_reason = CASE WHEN NOT $7 THEN disabled_reason END,
    disabled_at = CASE WHEN NOT $7 THEN disabled_at END,
    failing_since = CASE WHEN url = $2 AND active THEN failing_since END,
    updated_at = now()
WHERE webhook_id = $1 AND removed_at IS NULL
