"""What a run found: its result, its aims, and how both are shown."""
