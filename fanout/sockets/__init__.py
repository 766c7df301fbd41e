"""A socket, from its upgrade to its close code: frames, places, pings, deadlines."""
