"""What is computed from the history: trips, stops, summaries, heat maps. Read, never computed."""
