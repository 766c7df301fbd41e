-- One piece of a driver's route, oldest first. $1 driver, $2 ≤ recorded_at < $3, $4 the time of the
-- last point of the piece before (or null), $5 the most rows. The unique index (driver_id,
-- recorded_at) gives the order and the place to go on from. The columns are those of
-- ingest.resources.route.page.COLUMNS.
SELECT {columns}
FROM locations
WHERE driver_id = $1
  AND recorded_at >= $2
  AND recorded_at < $3
  AND ($4::timestamptz IS NULL OR recorded_at > $4)
ORDER BY recorded_at
LIMIT $5
