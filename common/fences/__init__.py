"""Geofences as ingest takes them and the places engine follows them. Pure."""
