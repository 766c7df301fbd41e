INSERT INTO driver_cell_hours (driver_id, hour, cell, fixes, stops, distance_m, moving_s)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::bigint[], $4::int[], $5::int[], $6::float8[], $7::float8[]
)
ON CONFLICT (hour, driver_id, cell) DO UPDATE SET
    fixes = excluded.fixes, stops = excluded.stops, distance_m = excluded.distance_m,
    moving_s = excluded.moving_s
