-- The fixes of a trip, one every fifteen seconds. $1 driver, $2 its beginning, $3 its end.
SELECT DISTINCT ON (slot) extract(epoch FROM recorded_at)::double precision, latitude, longitude
FROM (
    SELECT
        recorded_at, latitude, longitude,
        date_bin(interval '15 seconds', recorded_at, $2::timestamptz) AS slot
    FROM locations
    WHERE driver_id = $1 AND recorded_at BETWEEN $2 AND $3
) AS fixes
ORDER BY slot, recorded_at
LIMIT 5760
