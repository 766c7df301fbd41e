INSERT INTO gaps (driver_id, started_at, ended_at)
SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[])
ON CONFLICT (driver_id, started_at) DO UPDATE SET ended_at = excluded.ended_at
