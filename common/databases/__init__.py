"""Which database holds a driver's history, and connections to databases and through poolers."""
