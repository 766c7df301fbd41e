UPDATE webhook_deliveries
SET due_at = clock_timestamp()
WHERE hook = $1 AND state = 'waiting' AND due_at > clock_timestamp()
