INSERT INTO stops (driver_id, started_at, ended_at, latitude, longitude, fixes, ended_by)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::float8[], $5::float8[], $6::int[],
    $7::text[]
)
ON CONFLICT (driver_id, started_at) DO UPDATE SET
    ended_at = excluded.ended_at, latitude = excluded.latitude, longitude = excluded.longitude,
    fixes = excluded.fixes, ended_by = excluded.ended_by
