"""Trips, stops and statistics: a function of each driver's stored fixes, kept up to date.

`fold` is the function; everything else reads fixes for it and writes what it says.
"""
