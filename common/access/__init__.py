"""Who may do what: roles and rules, tokens and keys, revocations. What ingest and fan-out share."""
