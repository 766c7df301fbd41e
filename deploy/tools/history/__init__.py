"""Commands on the stored history: retention, archive, insight rebuild."""
