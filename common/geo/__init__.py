"""Geometry on the sphere: distances, cells, simpler lines. Pure; degrees in, metres out."""
