-- The kind of vehicle of trips: that of the driver's order nearest in time, a car where no order
-- says. $1 drivers, $2 the trips' ends.
SELECT coalesce((
    SELECT o.vehicle
    FROM orders o
    WHERE o.driver_id = t.driver_id AND o.new_at <= t.ended_at AND o.vehicle IS NOT NULL
    ORDER BY o.new_at DESC
    LIMIT 1
), 'car') AS vehicle
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS t (driver_id, ended_at, place)
ORDER BY t.place
