"""The function itself: fixes in order of `recorded_at` in, trips, stops and sums out. Pure."""
