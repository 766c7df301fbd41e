"""From a validated update to an entry in a stream: dating, encoding, limits, room."""
