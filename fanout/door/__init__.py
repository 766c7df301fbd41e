"""From a connection to a socket, or to a refusal in plain HTTP: judged on the head alone."""
