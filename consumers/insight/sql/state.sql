INSERT INTO insight_state (driver_id, share, folded_to, state)
SELECT * FROM unnest($1::text[], $2::smallint[], $3::timestamptz[], $4::bytea[])
ON CONFLICT (driver_id) DO UPDATE SET folded_to = excluded.folded_to, state = excluded.state
