INSERT INTO trips (
    driver_id, started_at, ended_at, start_latitude, start_longitude, end_latitude,
    end_longitude, distance_m, moving_s, speed_max, fixes, open
)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::float8[], $6::float8[],
    $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::int[], $12::bool[]
)
ON CONFLICT (driver_id, started_at) DO UPDATE SET
    ended_at = excluded.ended_at, end_latitude = excluded.end_latitude,
    end_longitude = excluded.end_longitude, distance_m = excluded.distance_m,
    moving_s = excluded.moving_s, speed_max = excluded.speed_max, fixes = excluded.fixes,
    open = excluded.open
