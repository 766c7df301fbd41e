"""The operators' map: every driver in a box, a frame a second."""
