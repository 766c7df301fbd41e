"""Follows the live positions: geofences, states of orders, online and offline."""
