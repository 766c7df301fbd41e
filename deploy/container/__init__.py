"""What a role has in a container: the front door alone, its health check, its bill of materials."""
