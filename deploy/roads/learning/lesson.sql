INSERT INTO road_lessons (
    vehicle, day, trips, under_way_s, off_before_s, off_after_s, kept
) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (vehicle, day) DO UPDATE SET
    trips = excluded.trips, under_way_s = excluded.under_way_s,
    off_before_s = excluded.off_before_s, off_after_s = excluded.off_after_s,
    kept = excluded.kept, learned_at = now()
