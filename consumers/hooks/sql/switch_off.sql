UPDATE webhooks
SET
    active = false,
    disabled_reason = $2,
    disabled_at = clock_timestamp(),
    updated_at = clock_timestamp()
WHERE hook = $1 AND active AND removed_at IS NULL
RETURNING webhook_id, disabled_at
