"""Orders over HTTP: registered, changed, listed, ended; their journeys and statistics."""
