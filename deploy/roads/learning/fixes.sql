SELECT recorded_at, latitude, longitude, accuracy
FROM locations
WHERE driver_id = $1 AND recorded_at >= $2 AND recorded_at <= $3
ORDER BY recorded_at
LIMIT $4
