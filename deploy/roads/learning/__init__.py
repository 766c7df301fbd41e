"""Speeds of the roads, learned from the fleet's own trips."""
