"""Limits of webhooks that users meet."""

# Every event is compared with every active webhook as it is stored: a hundred cost it some 50 µs.
WEBHOOKS_MAX = 100
# What browsers and proxies take; a longer address is a mistake.
URL_CHARS_MAX = 2048
# Items on a page of deliveries.
DELIVERIES = 100
DELIVERIES_MAX = 1000
# How long a delivery is tried, from when its event was stored.
RETRY_S = 24 * 3600.0
# How long the secret before the newest one signs too.
ROTATION_S = 24 * 3600.0
