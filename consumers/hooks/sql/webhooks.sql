SELECT
    hook,
    webhook_id,
    url,
    active AND removed_at IS NULL AS active,
    seed,
    CASE WHEN previous_until > clock_timestamp() THEN previous_seed END AS previous_seed,
    failing_since IS NOT NULL AS failing,
    removed_at IS NOT NULL AS removed
FROM webhooks
ORDER BY hook
