"""The commands beside `up` and the roles: a folder for what belongs to one idea."""
