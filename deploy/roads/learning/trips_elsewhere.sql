-- Trips that began in a span, where no orders are. Of more than the limit, so many by chance.
SELECT t.driver_id, t.started_at, t.ended_at
FROM trips t
WHERE NOT t.open AND t.started_at >= $1 AND t.started_at < $2
ORDER BY hashtext(t.driver_id || t.started_at::text)
LIMIT $3
