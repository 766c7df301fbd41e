"""What ingest and the planner agree on: what a plan is asked for with, and how they talk of it."""
