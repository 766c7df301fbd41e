"""The history stage: batches into the database, exactly once."""
