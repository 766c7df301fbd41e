UPDATE webhook_sender AS now
SET seen_at = clock_timestamp()
FROM (SELECT seen_at FROM webhook_sender FOR UPDATE) AS before
RETURNING extract(epoch FROM clock_timestamp() - before.seen_at)::float8
