SELECT
    w.*,
    -- Enough to see that something is wrong; counting all could take seconds.
    (
        SELECT count(*) FROM (
            SELECT FROM webhook_deliveries AS d
            WHERE d.hook = w.hook AND d.state = 'waiting'
            LIMIT 10000
        ) AS counted
    ) AS waiting,
    (
        SELECT count(*) FROM (
            SELECT FROM webhook_deliveries AS d
            WHERE d.hook = w.hook AND d.state = 'dead'
            LIMIT 10000
        ) AS counted
    ) AS dead
FROM webhooks AS w
WHERE w.removed_at IS NULL AND ($1::text IS NULL OR w.webhook_id = $1)
ORDER BY w.webhook_id
