-- What is stored already stays as it is. In key order, so that two writers cannot deadlock.
INSERT INTO locations
SELECT * FROM locations_stage ORDER BY driver_id, recorded_at
ON CONFLICT DO NOTHING
