"""Where a driver was, as JSON, GeoJSON, GPX or CSV."""
