-- The next fixes of some drivers, each after its own time, in [$3, $4], $5 a driver at most.
-- Every column has a fixed size and is never null, so that a row has one length in binary.
SELECT w.place, l.recorded_at, l.latitude, l.longitude, l.speed, l.accuracy
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS w (driver_id, after, place)
CROSS JOIN LATERAL (
    SELECT
        recorded_at, latitude, longitude,
        coalesce(speed, 'NaN') AS speed, coalesce(accuracy, 'NaN') AS accuracy
    FROM locations
    WHERE driver_id = w.driver_id
      AND recorded_at > w.after AND recorded_at >= $3 AND recorded_at <= $4
    ORDER BY recorded_at LIMIT $5
) AS l
