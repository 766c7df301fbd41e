-- What is stored already stays as it is. In key order, so that two writers cannot deadlock.
-- The columns are those of common.event.COLUMNS.
INSERT INTO locations ({columns})
SELECT {columns} FROM locations_stage ORDER BY driver_id, recorded_at
ON CONFLICT DO NOTHING
