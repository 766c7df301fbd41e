UPDATE webhooks
SET
    previous_seed = seed,
    previous_until = now() + $3::float8 * interval '1 second',
    seed = $2,
    updated_at = now()
WHERE webhook_id = $1 AND removed_at IS NULL
RETURNING previous_until
