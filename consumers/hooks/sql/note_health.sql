UPDATE webhooks
SET failing_since = CASE WHEN $2 THEN coalesce(failing_since, clock_timestamp()) END
WHERE hook = $1
RETURNING extract(epoch FROM clock_timestamp() - failing_since)::float8
