DELETE FROM webhooks
WHERE
    hook = $1
    AND removed_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE hook = $1)
