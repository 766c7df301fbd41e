"""Orders: what they are, how their state goes on, and where it is kept."""
