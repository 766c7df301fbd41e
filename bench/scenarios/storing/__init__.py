"""What the history stage and the database take, and how it goes when they come back."""
