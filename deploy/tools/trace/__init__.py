"""Recorded traces as fixes: readers of CSV, GPX and our own exports, and the judge of a row."""
