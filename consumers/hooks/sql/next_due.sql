SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8
FROM webhook_deliveries
WHERE hook = $1 AND state = 'waiting' AND due_at > clock_timestamp()
