UPDATE webhook_deliveries AS d
SET
    state = r.state,
    error = r.error,
    status = r.status,
    took_ms = r.took_ms,
    attempts = d.attempts + 1,
    attempted_at = clock_timestamp(),
    due_at = CASE
        WHEN r.delay_s IS NULL THEN d.due_at
        ELSE clock_timestamp() + r.delay_s * interval '1 second'
    END
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::integer[], $5::integer[], $6::float8[]
) AS r (delivery_id, state, error, status, took_ms, delay_s)
WHERE d.delivery_id = r.delivery_id AND d.state = 'waiting'
