"""What is driven, and who sends it, takes it and watches it."""
