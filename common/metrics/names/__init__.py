"""Every metric there is, one file a role. A new role adds a file and a line in `catalogue`."""
