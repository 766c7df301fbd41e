"""Plans over HTTP: who may ask, and what the planner does not see: positions and orders."""
