UPDATE webhook_deliveries
SET due_at = clock_timestamp()
WHERE
    hook = (SELECT hook FROM webhooks WHERE webhook_id = $1 AND removed_at IS NULL)
    AND state = 'waiting'
    AND due_at > clock_timestamp()
