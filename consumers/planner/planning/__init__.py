"""The rules of a plan: what a problem is, when a route holds, why something is left over. Pure."""
