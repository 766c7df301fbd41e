"""What ingest and the sender of webhooks must agree on: addresses, secrets, limits."""
