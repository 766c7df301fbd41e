"""The events' socket: what happened, as it happens."""
