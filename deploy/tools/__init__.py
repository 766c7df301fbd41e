"""Commands beside the stack: replay, simulate, dead letters, tokens and keys."""
