-- Trips of one kind of vehicle that began in a span: that of the driver's order nearest in time, a
-- car where no order says. Of more than the limit, so many by chance.
SELECT t.driver_id, t.started_at, t.ended_at
FROM trips t
WHERE NOT t.open AND t.started_at >= $2 AND t.started_at < $3
  AND coalesce((
      SELECT o.vehicle
      FROM orders o
      WHERE o.driver_id = t.driver_id AND o.new_at <= t.ended_at AND o.vehicle IS NOT NULL
      ORDER BY o.new_at DESC
      LIMIT 1
  ), 'car') = $1
ORDER BY hashtext(t.driver_id || t.started_at::text)
LIMIT $4
