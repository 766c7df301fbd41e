-- The fix of driver $1 at $2, and the one before it: newest first.
SELECT
    recorded_at, latitude, longitude,
    coalesce(speed, 'NaN') AS speed, coalesce(accuracy, 'NaN') AS accuracy
FROM locations WHERE driver_id = $1 AND recorded_at <= $2
ORDER BY recorded_at DESC LIMIT 2
