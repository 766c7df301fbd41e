-- The vehicle of an order that the driver of a trip had then, trip by trip. $1 drivers, $2 their
-- beginnings, $3 their ends.
SELECT (
    SELECT o.vehicle
    FROM orders AS o
    WHERE
        o.driver_id = t.driver_id
        AND o.vehicle IS NOT NULL
        AND coalesce(o.assigned_at, o.new_at) < t.ended_at
        AND coalesce(o.over_at, now()) > t.started_at
    ORDER BY o.new_at DESC
    LIMIT 1
) AS vehicle
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
    WITH ORDINALITY AS t (driver_id, started_at, ended_at, place)
ORDER BY t.place
