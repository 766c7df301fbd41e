"""What happened: one kind of record for everything that the system tells others."""
