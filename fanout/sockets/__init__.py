"""A customer's socket, from the handshake to the close code."""
