"""`make chaos`: a running stack is broken on purpose, and judged."""
