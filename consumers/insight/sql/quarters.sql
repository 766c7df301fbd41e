INSERT INTO driver_quarters (
    driver_id, quarter, first_at, last_at, fixes, distance_m, tracked_s, moving_s, over_limit_s,
    speed_max
)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::int[],
    $6::float8[], $7::float8[], $8::float8[], $9::float8[], $10::float8[]
)
ON CONFLICT (driver_id, quarter) DO UPDATE SET
    first_at = excluded.first_at, last_at = excluded.last_at, fixes = excluded.fixes,
    distance_m = excluded.distance_m, tracked_s = excluded.tracked_s,
    moving_s = excluded.moving_s, over_limit_s = excluded.over_limit_s,
    speed_max = excluded.speed_max
