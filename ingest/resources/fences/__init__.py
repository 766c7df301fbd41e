"""Geofences: made, changed, listed, imported, and who is inside."""
