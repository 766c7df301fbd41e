INSERT INTO insight_repairs AS known (driver_id, share, since)
SELECT * FROM unnest($1::text[], $2::smallint[], $3::timestamptz[])
ON CONFLICT (driver_id) DO UPDATE SET since = least(known.since, excluded.since)
